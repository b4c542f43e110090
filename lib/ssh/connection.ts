import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { GobootError } from '../errors.ts';
import { type RunResult, run } from '../process.ts';
import { type Environment, jumpHosts, type SshTarget } from '../project.ts';
import { jumpAliases, sshConfiguration } from './configuration.ts';
import { type LoginContext, leavesFingerprintOut, loginFailure } from './login-failure.ts';
import { describeTarget } from './target.ts';

/** How long a login may take. */
export const connectTimeoutSeconds = 10;
/** In milliseconds. */
export const commandTimeout = 60_000;
/** ssh's own exit status; every other one is the command's. */
export const lostConnection = 255;

export interface StreamOptions {
  input?: Readable;
  onLine: (line: string) => void;
  /** Waits for the login of another command, for as long as that takes, instead of logging in beside it. */
  afterLogin?: boolean;
  cancelSignal?: AbortSignal;
}

export interface StreamResult {
  exitCode: number;
  stderr: string;
  connectionError?: GobootError;
}

export interface SshConnection {
  /** Runs a shell command on the site's host; the input goes to its standard input. */
  execute(command: string, input?: string): Promise<RunResult>;
  /**
   * Runs a shell command on the site's host, sends it a stream, and hands over what it prints line by line. A
   * connection that fails or breaks is told in the result: what was printed before may matter more.
   */
  stream(command: string, options: StreamOptions): Promise<StreamResult>;
  /**
   * Runs a shell command on the site's host, and hands over what it prints as a stream of bytes, which must be read.
   * `done` never rejects: a connection that fails or breaks is told in the result.
   */
  pipe(command: string, input?: Readable): { output: Readable; done: Promise<StreamResult> };
  /**
   * Runs a shell command on the site's host with the terminal and the streams of this program, and returns its exit
   * status; 255 is that of ssh itself, which has said why by then.
   */
  interact(command: string): Promise<number>;
  /**
   * Logs in to each jump host, as its own user with its own key, and lets it connect to the next SSH server. Does
   * nothing without a jump host. Throws a GobootError that names the jump host.
   */
  tryJump(): Promise<void>;
  /** The known_hosts lines as they are now, including a key that was just seen for the first time. */
  knownHosts(): Promise<string>;
  /** ssh's arguments for this connection, for programs that call ssh themselves. */
  sshArguments: string;
  /** Those of them that make ssh use the open connection, whatever its configuration is. */
  sharingArguments: string;
  /** Removes the temporary files. */
  close(): Promise<void>;
}

export interface ConnectionOptions extends Pick<LoginContext, 'changedKeyRemedy'> {
  /** Whether the key of a machine that is not among the known ones is accepted; only where none is known unless given. */
  hostKeyChecking?: 'yes' | 'accept-new';
}

/**
 * Prepares connections to the host of an environment with nothing but what the project says: the user's own ssh
 * configuration plays no part, so that what works here works in the workflow and for a colleague.
 *
 * With known host keys every other key is refused; without any, the key that the host shows is accepted and can be
 * read from `knownHosts`.
 */
export async function openConnection(
  environment: Environment,
  knownHosts: string,
  { changedKeyRemedy, hostKeyChecking = knownHosts.trim() ? 'yes' : 'accept-new' }: ConnectionOptions = {},
): Promise<SshConnection> {
  const directory = await mkdtemp(join(tmpdir(), 'goboot-ssh-'));
  const configurationFile = join(directory, 'config');
  const knownHostsFile = join(directory, 'known_hosts');
  await writeFile(knownHostsFile, knownHosts, { mode: 0o600 });
  await writeFile(
    configurationFile,
    sshConfiguration([environment], {
      knownHostsFile,
      hostKeyChecking,
    }),
    { mode: 0o600 },
  );
  const controlPath = join(directory, 'master');
  const connectionOptions = [
    ...['-F', configurationFile, '-o', `ControlPath=${controlPath}`],
    ...['-o', 'BatchMode=yes', '-o', `ConnectTimeout=${connectTimeoutSeconds}`],
  ];
  // One connection for all commands: firewalls limit how many new ones may come within half a minute.
  // It ends by itself soon after this program, should that be killed before it can close.
  const sharing = ['-o', 'ControlMaster=auto', '-o', 'ControlPersist=60'];
  const sharingArguments = [...sharing, '-o', `ControlPath=${controlPath}`].join(' ');
  const ssh = (options: readonly string[], command: string, input: string) =>
    run('ssh', [...connectionOptions, ...options, environment.site, command], {
      input,
      timeout: commandTimeout,
      timeoutError: () =>
        new GobootError(`The connection to ${describeTarget(environment.host)} broke, or its host hangs`, {
          remedy: 'What had begun on the server goes on there by itself. Run the same command again.',
        }),
    });
  const context = { environment, knownHosts, ...(changedKeyRemedy && { changedKeyRemedy }) };
  /** Asks once more where ssh would tell more. */
  const failure = async (
    stderr: string,
    again: (options: string[]) => Promise<RunResult>,
    tried?: SshTarget,
  ) => loginFailure(leavesFingerprintOut(stderr) ? (await again(['-v'])).stderr : stderr, context, tried);
  return {
    async execute(command, input = '') {
      const result = await ssh(sharing, command, input);
      if (result.exitCode !== lostConnection) return result;
      // A shared connection keeps to itself what the jump host said.
      const reason = environment.jump ? await ssh([], 'true', '') : result;
      throw await failure(reason.stderr || result.stderr, (options) => ssh(options, 'true', ''));
    },
    async stream(command, { input, onLine, afterLogin, cancelSignal }) {
      if (afterLogin) await exists(controlPath, cancelSignal);
      const subprocess = execa('ssh', [...connectionOptions, ...sharing, environment.site, command], {
        ...(input ? { input } : { stdin: 'ignore' as const }),
        ...(cancelSignal && { cancelSignal }),
        buffer: { stdout: false },
        reject: false,
      });
      for await (const line of createInterface({ input: subprocess.stdout })) onLine(line);
      const { exitCode = lostConnection, stderr } = await subprocess;
      const result = { exitCode, stderr };
      return exitCode === lostConnection
        ? { ...result, connectionError: loginFailure(stderr, context) }
        : result;
    },
    pipe(command, input) {
      const subprocess = execa('ssh', [...connectionOptions, ...sharing, environment.site, command], {
        ...(input ? { input } : { stdin: 'ignore' as const }),
        buffer: { stdout: false },
        // Bytes, and each of them once.
        encoding: 'buffer',
        reject: false,
      });
      const done = subprocess.then(({ exitCode = lostConnection, stderr: bytes }) => {
        const stderr = Buffer.from(bytes).toString('utf8');
        const result = { exitCode, stderr };
        return exitCode === lostConnection
          ? { ...result, connectionError: loginFailure(stderr, context) }
          : result;
      });
      return { output: subprocess.stdout, done };
    },
    async interact(command) {
      const hasTerminal = process.stdin.isTTY && process.stdout.isTTY;
      const terminal = hasTerminal ? ['-t'] : [];
      const options = [...connectionOptions, ...sharing, ...terminal, '-o', 'LogLevel=ERROR'];
      return (await run('ssh', [...options, environment.site, command], { interactive: true })).exitCode;
    },
    async tryJump() {
      const jumps = jumpHosts(environment);
      const aliases = jumpAliases(environment);
      // One after the other: what is behind a machine that lets nobody in is not to be asked.
      for (const [index, jump] of jumps.entries()) {
        const next = jumps[index + 1] ?? environment.host;
        const address = next.address.includes(':') ? `[${next.address}]` : next.address;
        const forward = ['-o', 'ControlPath=none', '-W', `${address}:${next.port}`, aliases[index] as string];
        const tryForward = (options: string[]) =>
          run('ssh', [...connectionOptions, ...options, ...forward], {
            timeout: commandTimeout,
            timeoutError: () =>
              new GobootError(`The connection to ${describeTarget(jump)} broke, or its host hangs`),
          });
        const { exitCode, stderr } = await tryForward([]);
        if (exitCode !== 0) throw await failure(stderr, tryForward, jump);
      }
    },
    knownHosts: () => readFile(knownHostsFile, 'utf8'),
    sshArguments: `-F ${configurationFile} ${sharingArguments}`,
    sharingArguments,
    async close() {
      await run('ssh', [...connectionOptions, '-O', 'exit', environment.site]).catch(() => {});
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Waits until a file exists. Rejects when the signal says so. */
async function exists(path: string, signal?: AbortSignal): Promise<void> {
  while (!existsSync(path)) await sleep(5, undefined, { ...(signal && { signal }) });
}
