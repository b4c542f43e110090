import { exitCodes, GobootError } from '../errors.ts';
import type { Environment } from '../project.ts';
import type { HostFacts } from './host-facts.ts';

export interface CheckResult {
  status: 'ok' | 'warning' | 'failed';
  /** What was found, with the value. */
  detail: string;
  remedy?: string;
}

export interface CheckContext {
  projectRoot: string;
  projectName: string;
  environment: Environment;
  /** What the host says of itself; rejects when it cannot be reached. Absent where the host plays no part. */
  hostFacts?: Promise<HostFacts>;
}

/** Something that can go wrong later, looked at before anything is made. */
export interface Check {
  name: string;
  run(context: CheckContext): Promise<CheckResult>;
}

export interface NamedResult extends CheckResult {
  name: string;
}

/** Runs checks side by side. A check that throws has failed with that message. */
export function runChecks(checks: readonly Check[], context: CheckContext): Promise<NamedResult[]> {
  return Promise.all(
    checks.map(async ({ name, run }) => {
      try {
        return { name, ...(await run(context)) };
      } catch (error) {
        const remedy = error instanceof GobootError ? error.remedy : undefined;
        return {
          name,
          status: 'failed' as const,
          detail: (error as Error).message,
          ...(remedy && { remedy }),
        };
      }
    }),
  );
}

/** Throws one error (exit status 3) that shows every failed check; does nothing when there is none. */
export function throwOnFailures(results: readonly NamedResult[]): void {
  const failed = results.filter(({ status }) => status === 'failed');
  if (failed.length === 0) return;
  const only = failed.length === 1 ? failed[0] : undefined;
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
