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

const connectTimeoutSeconds = 10;
const commandTimeout = 60_000;
/** ssh's own exit status; every other one is the command's. */
const lostConnection = 255;

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

/**
 * Prepares connections to the host of an environment with nothing but what the project says: the user's own ssh
 * configuration plays no part, so that what works here works in the workflow and for a colleague.
 *
 * With known host keys every other key is refused; without any, the key that the host shows is accepted and can be
 * read from `knownHosts`.
 */
export async function openConnection(environment: Environment, knownHosts: string): Promise<SshConnection> {
  const directory = await mkdtemp(join(tmpdir(), 'goboot-ssh-'));
  const configurationFile = join(directory, 'config');
  const knownHostsFile = join(directory, 'known_hosts');
  await writeFile(knownHostsFile, knownHosts, { mode: 0o600 });
  await writeFile(
    configurationFile,
    sshConfiguration([environment], {
      knownHostsFile,
      hostKeyChecking: knownHosts.trim() ? 'yes' : 'accept-new',
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
  return {
    async execute(command, input = '') {
      const result = await ssh(sharing, command, input);
      if (result.exitCode !== lostConnection) return result;
      // A shared connection keeps to itself what the jump host said.
      const reason = environment.jump ? await ssh([], 'true', '') : result;
      throw connectionError(reason.stderr || result.stderr, environment);
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
        ? { ...result, connectionError: connectionError(stderr, environment) }
        : result;
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
        const { exitCode, stderr } = await run('ssh', [...connectionOptions, ...forward], {
          timeout: commandTimeout,
          timeoutError: () =>
            new GobootError(`The connection to ${describeTarget(jump)} broke, or its host hangs`),
        });
        if (exitCode !== 0) throw connectionError(stderr, environment, jump);
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

/** `user@host`, with the port where it is not the usual one. */
export function describeTarget({ user, address, port }: SshTarget): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return `${user}@${host}${port === 22 ? '' : `:${port}`}`;
}

interface Symptom {
  pattern: RegExp;
  message: (target: string) => string;
  remedy: string | ((failed: SshTarget) => string);
}

const symptoms: readonly Symptom[] = [
  {
    pattern: /REVOKED HOST KEY|is marked as revoked/i,
    message: (target) => `The host key of ${target} is revoked in a known_hosts file`,
    remedy: 'Do not trust that server: install it anew, or get its new key from its administrator.',
  },
  {
    pattern: /stdio forwarding failed|administratively prohibited/i,
    message: (target) => `${target} does not lead to the host behind it`,
    remedy:
      'Check --host and --port, that the jump host can reach them, and that its sshd allows it (AllowTcpForwarding).',
  },
  {
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED|host key .* has changed/i,
    message: (target) => `The host key of ${target} is not the one in known_hosts`,
    remedy:
      'If the server was installed anew, remove its old line from .ansible/known_hosts (or your own known_hosts) and try again; otherwise somebody may be listening in.',
  },
  {
    pattern: /Host key verification failed|No .* host key is known/i,
    message: (target) => `The host key of ${target} is not in the known_hosts file`,
    remedy: 'Add the line that the server’s administrator gives you, or leave --known-hosts-file out.',
  },
  {
    pattern: /UNPROTECTED PRIVATE KEY FILE/,
    message: () => 'The key file can be read by others, and ssh refuses it',
    remedy: ({ keyFile }) => `Run: chmod 600 ${keyFile ?? 'KEY_FILE'}`,
  },
  {
    pattern: /invalid format|error in libcrypto|no start line/i,
    message: () => 'ssh cannot read the key file',
    remedy:
      'Check the file: it may be cut short or have Windows line ends. ssh-keygen -y -f FILE must print its public half.',
  },
  {
    pattern: /Could not resolve hostname/,
    message: (target) => `The name of ${target} is not known to the DNS`,
    remedy: 'Check the spelling of --host.',
  },
  {
    pattern: /Connection refused/,
    message: (target) => `${target} refused the connection`,
    remedy: 'Check --port, and that the SSH server runs.',
  },
  {
    pattern: /Connection (reset|closed) by (?!UNKNOWN)/,
    message: (target) => `${target} closes the connection before anybody can log in`,
    remedy:
      'It may have locked you out after failed logins (fail2ban, PerSourcePenalties of sshd). Wait some minutes and try again.',
  },
  {
    pattern: /timed out|No route to host|Network is unreachable/i,
    message: (target) => `${target} does not answer`,
    remedy: 'Check --host and --port, that the server runs, and that its firewall lets you in.',
  },
  {
    pattern: /Permission denied|Too many authentication failures|No more authentication methods/,
    message: (target) => `${target} did not accept the key`,
    remedy: ({ keyFile }) =>
      `Add the public half of ${keyFile ?? 'a key of your agent'} to ~/.ssh/authorized_keys of that account, or give another key or user. A key with a passphrase must be in your agent: ssh-add ${keyFile ?? ''}`.trim(),
  },
];

/** The error of a login: of the given machine, or of the one that ssh tells of. */
export function connectionError(stderr: string, environment: Environment, tried?: SshTarget): GobootError {
  const { host, jump } = environment;
  // ssh tells of a jump host under its own name; whatever names none of them concerns the host behind them.
  const named = jumpHosts(environment).find(({ address }) => stderr.includes(address));
  const lastJump = /stdio forwarding failed|UNKNOWN port/.test(stderr) ? jump : undefined;
  const failed = tried ?? named ?? lastJump ?? host;
  const target = describeTarget(failed);
  const symptom = symptoms.find(({ pattern }) => pattern.test(stderr));
  if (!symptom) {
    const detail = stderr.trim().split('\n').at(-1) ?? 'ssh gave no reason';
    return new GobootError(`The connection to ${target} failed: ${detail}`, {
      remedy: 'Try the same with ssh -v.',
    });
  }
  const remedy = typeof symptom.remedy === 'string' ? symptom.remedy : symptom.remedy(failed);
  return new GobootError(symptom.message(target), { remedy });
}
