import { userInfo } from 'node:os';
import { PassThrough, type Readable } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import { currentCommit } from '../git.ts';
import type { Environment } from '../project.ts';
import type { SshConnection } from '../ssh/connection.ts';
import { provisionFingerprint } from './fingerprint.ts';
import { type ReleaseEvent, type ReleaseRun, runReleaseCommand } from './release-command.ts';

/** What a user may decide about a deploy. */
export interface DeployOptions {
  /** Another commit than the current one, in full. */
  commit?: string;
  /** Deploy although the live release was changed on the server. */
  discardHotFix?: boolean;
  /** Migrate although the live release cannot live with the new schema. */
  allowIncompatibleMigrations?: boolean;
  /** Seconds to wait for another run. */
  wait?: number;
}

/** What is deployed, and how. */
export interface DeployRequest {
  commit: string;
  /** The fingerprint that the host should have been provisioned with. */
  provisioned: string;
  options: DeployOptions;
}

/** A deploy whose release command runs on the host and waits for the archive: until that comes, nothing happens there. */
export interface BegunDeploy {
  /** Whether it is what a request asks for. */
  isFor(request: DeployRequest): boolean;
  /** Sends the archive, and returns what the release command reported. Throws like `runReleaseCommand`. */
  send(archive: Readable, onEvent: (event: ReleaseEvent) => void): Promise<ReleaseRun>;
  /** Ends it before the archive was sent; afterwards it does nothing. */
  abandon(): void;
}

/** What the current commit of a project asks for, unless the options name another one. */
export async function deployRequest(
  projectRoot: string,
  environment: string,
  options: DeployOptions,
): Promise<DeployRequest> {
  const [commit, provisioned] = await Promise.all([
    options.commit ?? currentCommit(projectRoot),
    provisionFingerprint(projectRoot, environment),
  ]);
  return { commit, provisioned, options };
}

/** Words for the release command: how many seconds it may wait for another run. */
export function waiting(wait: number | undefined): string[] {
  return wait ? ['--wait', String(wait)] : [];
}

/** Words for the release command: who asks for it. */
export function onBehalf(): string[] {
  return ['--by', userInfo().username];
}

/**
 * Starts the release command of a deploy, `afterLogin` as soon as another command has logged in. To start takes the host
 * a few round trips and a Python, which can happen while this computer still checks whether it wants a deploy.
 */
export function beginDeploy({
  connection,
  environment,
  request,
  afterLogin = false,
}: {
  connection: SshConnection;
  environment: Environment;
  request: DeployRequest;
  afterLogin?: boolean;
}): BegunDeploy {
  const { commit, provisioned, options } = request;
  const words = [
    'deploy',
    ...['--archive', '-', '--commit', commit, '--provisioned', provisioned],
    ...(options.discardHotFix ? ['--discard-hot-fix'] : []),
    ...(options.allowIncompatibleMigrations ? ['--allow-incompatible-migrations'] : []),
    ...waiting(options.wait),
    ...onBehalf(),
  ];
  const input = new PassThrough();
  const abandoned = new AbortController();
  let tell: ((event: ReleaseEvent) => void) | undefined;
  const run = runReleaseCommand({ connection, environment }, words, {
    input,
    afterLogin,
    cancelSignal: abandoned.signal,
    onEvent: (event) => tell?.(event),
  });
  // Whoever sends the archive hears of a failure; nobody else has to.
  run.catch(() => {});
  return {
    isFor: (other) => isDeepStrictEqual(other, request) && !abandoned.signal.aborted,
    send(archive, onEvent) {
      tell = onEvent;
      archive.once('error', (error) => input.destroy(error));
      archive.pipe(input);
      return run;
    },
    abandon() {
      if (!tell) abandoned.abort();
    },
  };
}
