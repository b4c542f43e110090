import { homedir } from 'node:os';
import { join } from 'node:path';
import { GobootError } from '../errors.ts';
import { projectPaths } from '../paths.ts';
import type { Environment, Project } from '../project.ts';
import type { OpenedProject } from '../settings-file.ts';
import { reachableFromHere } from '../ssh/key-files.ts';
import { count } from '../terminal/format.ts';
import { type Reporter, runStep } from '../terminal/reporter.ts';
import type { TrustedHost } from '../trust.ts';
import { type Check, type NamedResult, runChecks, throwOnFailures } from './check.ts';
import { hostChecks } from './host.ts';
import { projectDirectoryCheck } from './project-directory.ts';
import { toolChecks } from './tools.ts';
import { vaultPasswordCheck } from './vault-password.ts';

export interface PreflightOptions {
  projectRoot: string;
  project: Project;
  environment: Environment;
  /** Whether the project's directory is about to be written. */
  scaffolds: boolean;
  /** Whether the host is about to be used. */
  usesHost: boolean;
  /** A known_hosts file that the user vouches for. */
  knownHostsFile?: string;
}

export interface PreflightResult {
  results: NamedResult[];
  /** The open connection, when the host is used. The caller closes it. */
  host?: TrustedHost;
}

async function preflight(options: PreflightOptions): Promise<PreflightResult> {
  const { projectRoot, project, scaffolds, usesHost, knownHostsFile } = options;
  const { environment } = reachableFromHere(options.environment);
  const checks: Check[] = [
    ...toolChecks,
    scaffolds ? projectDirectoryCheck : vaultPasswordCheck,
    ...(usesHost ? hostChecks : []),
  ];
  const connecting = usesHost
    ? (await import('../trust.ts')).connectToHost(environment, {
        committed: join(projectRoot, projectPaths.knownHosts),
        own: join(homedir(), '.ssh', 'known_hosts'),
        ...(knownHostsFile && { given: knownHostsFile }),
      })
    : undefined;
  const hostFacts = connecting?.then(({ facts }) => facts);
  hostFacts?.catch(() => {});
  const results = await runChecks(checks, {
    projectRoot,
    projectName: project.name,
    environment,
    ...(hostFacts && { hostFacts }),
  });
  const host = await connecting?.catch(() => undefined);
  return { results, ...(host && { host }) };
}

/**
 * Looks at everything that could fail later, side by side, before anything is made. Reports it as one step and throws
 * a GobootError (exit status 3) that shows every failure.
 */
export async function runPreflight(reporter: Reporter, options: PreflightOptions): Promise<PreflightResult> {
  let opened: TrustedHost | undefined;
  if (options.usesHost) {
    for (const file of reachableFromHere(options.environment).missingKeyFiles) {
      reporter.warn(
        `The key file ${file} is not on this computer; the keys of your agent and the usual ones are tried. Name yours with --key-file`,
      );
    }
  }
  try {
    return await runStep(
      reporter,
      'Check everything first',
      async () => {
        const result = await preflight(options);
        opened = result.host;
        throwOnFailures(result.results);
        return result;
      },
      ({ results }) => count(results.length, 'check'),
    );
  } catch (error) {
    await opened?.connection.close();
    throw error;
  }
}

/**
 * The checks of a command that works on a site that is there already, and the open connection to its host, which the
 * caller closes. Throws like `runPreflight`.
 */
export async function connectToSite(
  reporter: Reporter,
  { root, project, environment }: OpenedProject,
): Promise<TrustedHost> {
  const { host } = await runPreflight(reporter, {
    projectRoot: root,
    project,
    environment,
    scaffolds: false,
    usesHost: true,
  });
  if (!host) throw new GobootError('There is no connection to the host');
  return host;
}

/** The checks of a command that works on a project without its host. Throws like `runPreflight`. */
export async function runLocalChecks(
  reporter: Reporter,
  { root, project, environment }: OpenedProject,
): Promise<void> {
  await runPreflight(reporter, {
    projectRoot: root,
    project,
    environment,
    scaffolds: false,
    usesHost: false,
  });
}
