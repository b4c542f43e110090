import { toGobootError } from '../errors.ts';
import { Journal } from '../journal.ts';
import { examineKnownHost } from '../preflight/run.ts';
import type { Environment, Project } from '../project.ts';
import { alignColumns, count, formatSeconds } from '../terminal/format.ts';
import type { Reporter, StepHandle } from '../terminal/reporter.ts';
import { provisionFingerprint } from './fingerprint.ts';
import { provisionStep } from './site.ts';

/** How the provisioning of one environment has ended. */
export interface ProvisionOutcome {
  environment: string;
  address: string;
  status: 'provisioned' | 'unchanged' | 'failed';
  seconds: number;
  /** Why it has failed. */
  problem?: string;
}

/**
 * Provisions the hosts of several environments side by side, each by a run of its own: a host that fails, or does not
 * answer, keeps none of the others. Hosts that were provisioned from exactly these playbooks and variables are left
 * alone. Never throws.
 */
export async function provisionAll(
  { root, project }: { root: string; project: Project },
  environments: readonly Environment[],
  reporter: Reporter,
): Promise<ProvisionOutcome[]> {
  const step = reporter.step(`Provision ${count(environments.length, 'environment')} side by side`);
  const warnings: string[] = [];
  const journal = Journal.open(root);
  const outcomes = await Promise.all(
    groupedByHost(environments).map(async (group) => {
      const ofGroup: ProvisionOutcome[] = [];
      for (const environment of group) {
        const part = partOf(step, warnings, environment.name);
        ofGroup.push(await provisionOne({ root, project, journal }, environment, part));
      }
      return ofGroup;
    }),
  );
  if (outcomes.flat().some(({ status }) => status === 'failed')) step.failed();
  else step.done();
  for (const warning of warnings) reporter.warn(warning);
  return outcomes.flat();
}

/** Two runs on one host would wait for the same locks, and restart the same services. */
export function groupedByHost(environments: readonly Environment[]): Environment[][] {
  const groups = new Map<string, Environment[]>();
  for (const environment of environments) {
    const { address } = environment.host;
    groups.set(address, [...(groups.get(address) ?? []), environment]);
  }
  return [...groups.values()];
}

async function provisionOne(
  { root: projectRoot, project, journal }: { root: string; project: Project; journal: Journal },
  environment: Environment,
  reporter: Reporter,
): Promise<ProvisionOutcome> {
  const started = performance.now();
  const ended = (status: ProvisionOutcome['status'], problem?: string): ProvisionOutcome => ({
    environment: environment.name,
    address: environment.host.address,
    status,
    seconds: Math.round((performance.now() - started) / 100) / 10,
    ...(problem && { problem }),
  });
  const { host, failure } = await examineKnownHost(projectRoot, project, environment);
  try {
    if (!host || failure) return ended('failed', failure?.detail ?? 'There is no connection');
    const [wanted, { provisioned }] = await Promise.all([
      provisionFingerprint(projectRoot, environment.name),
      host.facts,
    ]);
    if (wanted === provisioned) return ended('unchanged');
    const creation = { kind: 'site', name: environment.site, place: environment.host.address } as const;
    await journal.create(creation, provisioned ? 'kept' : 'absent', () =>
      provisionStep.run({
        projectRoot,
        environment,
        connection: host.connection,
        reporter,
        times: [],
      }),
    );
    return ended('provisioned');
  } catch (error) {
    const { message, remedy } = toGobootError(error);
    return ended('failed', [message, remedy].filter(Boolean).join('. '));
  } finally {
    await host?.connection.close();
  }
}

/** A reporter of what is only a part of another step. */
function partOf(step: StepHandle, warnings: string[], environment: string): Reporter {
  const nothing = () => {};
  return {
    plan: nothing,
    info: nothing,
    checks: nothing,
    result: nothing,
    failure: nothing,
    warn: (message) => void warnings.push(`${environment}: ${message}`),
    step: () => ({
      update: (detail) => step.update(`${environment}: ${detail}`),
      done: nothing,
      skipped: nothing,
      failed: nothing,
    }),
  };
}

/** The outcomes as a table for people. */
export function provisionTable(outcomes: readonly ProvisionOutcome[]): string[] {
  return alignColumns([
    ['environment', 'address', 'provisioning', 'took', ''],
    ...outcomes.map(({ environment, address, status, seconds, problem = '' }) => [
      environment,
      address,
      status,
      formatSeconds(seconds),
      problem,
    ]),
  ]);
}
