import { homedir } from 'node:os';
import { join } from 'node:path';
import { GobootError } from '../errors.ts';
import type { GitHubFacts } from '../github/facts.ts';
import { projectPaths } from '../paths.ts';
import type { Environment, Project, SshTarget } from '../project.ts';
import type { OpenedProject } from '../settings-file.ts';
import type { SshConnection } from '../ssh/connection.ts';
import { reachableFromHere } from '../ssh/key-files.ts';
import { type Reporter, runStep } from '../terminal/reporter.ts';
import type { TrustedHost } from '../trust.ts';
import { type NamedResult, runChecks, summarize, throwOnFailures, withSkippedTogether } from './check.ts';
import { checksFor, type Purpose } from './checks.ts';

export interface PreflightOptions extends Omit<Purpose, 'throughJump' | 'usesGitHub'> {
  projectRoot: string;
  project: Pick<Project, 'name'>;
  environment: Environment;
  /** The host that the site moves away from. */
  movesFrom?: SshTarget;
  /** Whether an earlier run has begun that move. */
  resumesMove?: boolean;
  /** A known_hosts file that the user vouches for. */
  knownHostsFile?: string;
  /** Names of checks whose failure counts as a warning. */
  ignored?: ReadonlySet<string>;
  /** What GitHub says, where it takes part. */
  gitHub?: GitHubFacts;
  /** Name servers to ask, as `address` or `address:port`; this computer's unless given. */
  nameServers?: readonly string[];
  /** Whether the user gets to see every check, and not only what is wrong. */
  list?: boolean;
  /** Gets the connection before the login, for what can be got ready while the checks run. */
  onConnecting?: (connection: SshConnection) => void;
}

export interface PreflightResult {
  results: NamedResult[];
  /** The open connection, when the host is used. The caller closes it. */
  host?: TrustedHost;
}

/** Runs the checks of a command and returns what they found, whatever that is. */
export async function examine(options: PreflightOptions): Promise<PreflightResult> {
  const { projectRoot, project, movesFrom, knownHostsFile, nameServers, gitHub } = options;
  const { environment } = reachableFromHere(options.environment);
  const login = options.host === 'none' ? undefined : await logIn({ ...options, environment });
  const results = await runChecks(
    await checksFor({
      ...options,
      throughJump: environment.jump !== undefined,
      usesGitHub: gitHub !== undefined,
    }),
    {
      projectRoot,
      projectName: project.name,
      environment,
      ...(movesFrom && { movesFrom, resumesMove: options.resumesMove ?? false }),
      ...(knownHostsFile && { knownHostsFile }),
      ...(nameServers && { nameServers }),
      ...(gitHub && { gitHub }),
      ...login,
    },
    options.ignored,
  );
  const host = await login?.host.catch(() => undefined);
  return { results, ...(host && { host }) };
}

/** Logs in to the host of a site that is there already; without a host, or with a failure, it cannot be worked on. */
export async function examineKnownHost(
  projectRoot: string,
  project: Project,
  environment: Environment,
): Promise<PreflightResult & { failure: NamedResult | undefined }> {
  const found = await examine({ projectRoot, project, environment, scaffolds: false, host: 'known' });
  return { ...found, failure: found.results.find(({ status, skipped }) => status === 'failed' && !skipped) };
}

/** Begins the login; whether and why it fails is for the checks to tell. */
async function logIn({ projectRoot, environment, knownHostsFile, host, onConnecting }: PreflightOptions) {
  const { connectToHost } = await import('../trust.ts');
  const connecting = connectToHost(
    environment,
    {
      committed: join(projectRoot, projectPaths.knownHosts),
      own: join(homedir(), '.ssh', 'known_hosts'),
      ...(knownHostsFile && { given: knownHostsFile }),
    },
    host === 'examined' ? 'full' : 'short',
    onConnecting,
  );
  const login = {
    host: connecting,
    ...(host === 'examined' &&
      environment.jump && { jumpLogin: connecting.then(({ jumpLogin }) => jumpLogin) }),
    hostFacts: connecting.then(({ facts }) => facts),
  };
  for (const promise of Object.values(login)) promise.catch(() => {});
  return login;
}

/**
 * Looks at everything that could fail later, side by side, before anything is made. Reports it as one step with the
 * warnings, or as a list of all checks, and throws a GobootError (exit status 3) that shows every failure.
 */
export async function runPreflight(reporter: Reporter, options: PreflightOptions): Promise<PreflightResult> {
  if (options.host !== 'none') {
    for (const file of reachableFromHere(options.environment).missingKeyFiles) {
      reporter.warn(
        `The key file ${file} is not on this computer; the keys of your agent and the usual ones are tried. Name yours with --key-file`,
      );
    }
  }
  let found: PreflightResult | undefined;
  const show = () => {
    if (!found) return;
    if (options.list) reporter.checks(found.results, withSkippedTogether(found.results));
    else for (const warning of warningLines(found.results)) reporter.warn(warning);
  };
  try {
    const result = await runStep(
      reporter,
      'Check everything first',
      async () => {
        found = await examine(options);
        throwOnFailures(found.results, { listed: options.list ?? false });
        return found;
      },
      ({ results }) => summarize(results),
    );
    show();
    return result;
  } catch (error) {
    show();
    await found?.host?.connection.close();
    throw error;
  }
}

function warningLines(results: readonly NamedResult[]): string[] {
  return withSkippedTogether(results)
    .filter(({ status }) => status === 'warning')
    .map(({ name, detail, remedy }) => `${name}: ${detail}${remedy ? `. ${remedy}` : ''}`);
}

export interface SiteCheckOptions {
  /** Asks everything of the host and lists all checks. */
  everything?: boolean;
  onConnecting?: PreflightOptions['onConnecting'];
}

/**
 * The checks of a command that works on a site that is there already, and the open connection to its host, which the
 * caller closes. Throws like `runPreflight`.
 */
export async function connectToSite(
  reporter: Reporter,
  { root, project, environment }: OpenedProject,
  { everything = false, onConnecting }: SiteCheckOptions = {},
): Promise<TrustedHost> {
  const { host } = await runPreflight(reporter, {
    projectRoot: root,
    project,
    environment,
    scaffolds: false,
    host: everything ? 'examined' : 'known',
    list: everything,
    ...(onConnecting && { onConnecting }),
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
    host: 'none',
  });
}
