import { exitCodes, GobootError, usageError } from '../errors.ts';
import type { GitHubFacts } from '../github/facts.ts';
import type { Environment, SshTarget } from '../project.ts';
import { count } from '../terminal/format.ts';
import type { TrustedHost } from '../trust.ts';
import { quoted } from '../validate.ts';
import type { HostFacts } from './host-facts.ts';

export type CheckStatus = 'ok' | 'warning' | 'failed';

export interface CheckResult {
  status: CheckStatus;
  /** What was found, with the value. */
  detail: string;
  /** The one thing to do about it. */
  remedy?: string;
  /** Set where the check could not be made because another one failed, which tells why. */
  skipped?: true;
}

export interface CheckContext {
  projectRoot: string;
  projectName: string;
  environment: Environment;
  /** The host that the site moves away from: the domain leads there until the move is over. */
  movesFrom?: SshTarget;
  /** Whether an earlier run has begun that move, so that the site may be there in part. */
  resumesMove?: boolean;
  /** A known_hosts file that the user vouches for. */
  knownHostsFile?: string;
  /** The login to the jump host; rejects when it fails. Present only where it is a check of its own. */
  jumpLogin?: Promise<void>;
  /** The host's keys and the connection to it. Absent where the host plays no part. */
  host?: Promise<TrustedHost>;
  /** What the host says of itself; rejects when it cannot be reached. Absent where the host plays no part. */
  hostFacts?: Promise<HostFacts>;
  /** What GitHub says. Absent where it plays no part. */
  gitHub?: GitHubFacts;
  /** Name servers to ask, as `address` or `address:port`; this computer's unless given. */
  nameServers?: readonly string[];
}

/** Something that can go wrong later, looked at before anything is made. */
export interface Check {
  name: string;
  /**
   * Whether the user may know better: what it finds can be right in a setting that goboot does not know of. Its failure
   * counts as a warning when `--ignore-check` names it.
   */
  ignorable?: true;
  run(context: CheckContext): Promise<CheckResult>;
}

export interface NamedResult extends CheckResult {
  name: string;
  seconds: number;
}

/** A check's name as one word of a command line. */
function flagName(name: string): string {
  return name.toLowerCase().replaceAll(' ', '-');
}

/**
 * Reads the names of checks whose failure is not to stop a command, separated by commas. Throws a usage error for a
 * name that is none, or of a check that nothing works without.
 */
export async function ignoredChecks(text: string | undefined): Promise<Set<string>> {
  if (text === undefined) return new Set();
  const { ignorableChecks } = await import('./examined-host.ts');
  const ignorable = ignorableChecks.map(({ name }) => name);
  return new Set(
    text
      .split(',')
      .filter((word) => word.trim())
      .map((word) => {
        const name = ignorable.find((candidate) => flagName(candidate) === flagName(word.trim()));
        if (name) return name;
        throw usageError(
          `--ignore-check ${quoted(word)} is not a check that can be ignored`,
          `These can: ${ignorable.map(flagName).join(', ')}.`,
        );
      }),
  );
}

/** Runs checks side by side. A check that throws has failed with that message. */
export function runChecks(
  checks: readonly Check[],
  context: CheckContext,
  ignored: ReadonlySet<string> = new Set(),
): Promise<NamedResult[]> {
  return Promise.all(
    checks.map(async ({ name, run }) => {
      const started = performance.now();
      const result = await run(context).catch((error: unknown): CheckResult => {
        const remedy = error instanceof GobootError ? error.remedy : undefined;
        return { status: 'failed', detail: (error as Error).message, ...(remedy && { remedy }) };
      });
      return {
        name,
        ...result,
        ...(result.status === 'failed' && ignored.has(name) && { status: 'warning' as const }),
        seconds: Number(((performance.now() - started) / 1000).toFixed(3)),
      };
    }),
  );
}

/** `26 checks, 2 warnings, 1 failed`. */
export function summarize(results: readonly CheckResult[]): string {
  const number = (wanted: CheckStatus) =>
    results.filter(({ status, skipped }) => status === wanted && !skipped).length;
  const skipped = results.filter((result) => result.skipped).length;
  const [warnings, failed] = [number('warning'), number('failed')];
  return [
    count(results.length, 'check'),
    ...(skipped > 0 ? [`${skipped} not made`] : []),
    ...(warnings > 0 ? [count(warnings, 'warning')] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
  ].join(', ');
}

/** The same results for people: those that could not be made are one line. */
export function withSkippedTogether(results: readonly NamedResult[]): NamedResult[] {
  const skipped = results.filter((result) => result.skipped);
  const [first] = skipped;
  if (!first) return [...results];
  const names = skipped.map(({ name }) => name).join(', ');
  return [
    ...results.filter((result) => !result.skipped),
    { ...first, name: 'not checked', detail: `${names}: ${first.detail}` },
  ];
}

export interface FailureOptions {
  /** Whether the user has seen each of them already. */
  listed?: boolean;
}

/**
 * Throws one error (exit status 3) that shows every failed check; does nothing when there is none. A check that was
 * skipped has failed, too, unless another one tells why.
 */
export function throwOnFailures(
  results: readonly Omit<NamedResult, 'seconds'>[],
  { listed = false }: FailureOptions = {},
): void {
  const told = results.filter(({ status }) => status === 'failed');
  const failed = told.length > 0 ? told : results.filter(({ skipped }) => skipped);
  if (failed.length === 0) return;
  const only = failed.length === 1 ? failed[0] : undefined;
  if (listed) {
    throw new GobootError(
      `${failed.length} of ${count(results.length, 'check')} failed: ${failed.map(({ name }) => name).join(', ')}`,
      { exitCode: exitCodes.preflight },
    );
  }
  if (only) {
    throw new GobootError(`${only.name}: ${only.detail}`, {
      exitCode: exitCodes.preflight,
      ...(only.remedy && { remedy: only.remedy }),
    });
  }
  const lines = failed.map(
    ({ name, detail, remedy }) => `  ${name}: ${detail}${remedy ? `\n    ${remedy}` : ''}`,
  );
  throw new GobootError(`${failed.length} checks failed; nothing was changed\n${lines.join('\n')}`, {
    exitCode: exitCodes.preflight,
  });
}
