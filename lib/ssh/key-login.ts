import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GobootError } from '../errors.ts';
import { type RunResult, run } from '../process.ts';
import type { Environment, JumpHost } from '../project.ts';
import { sshConfiguration } from './configuration.ts';
import { commandTimeout, connectTimeoutSeconds, lostConnection } from './connection.ts';
import type { KeyPair } from './key-pair.ts';
import { loginFailure } from './login-failure.ts';
import { describeTarget } from './target.ts';

/** How many keys are offered over one connection: the servers that goboot provisions let four be tried. */
const keysPerConnection = 3;

/** A machine, the way to it, and the host keys of both. */
export interface KeyLogin {
  /** Its host is the machine, with the account that is tried. */
  environment: Environment;
  knownHosts: string;
}

/**
 * Runs a command over SSH with a key that is in memory alone, and with no other: neither for the host nor for the
 * machines on the way to it. An agent holds the key for as long as the command runs.
 *
 * Throws a GobootError when a machine does not let the key in, or does not answer.
 */
export async function runWithKey(
  { environment, knownHosts }: KeyLogin,
  { privateKey, publicKey }: KeyPair,
  command: string,
): Promise<RunResult> {
  return withFiles([publicKey], async (directory, publicKeys) => {
    const [keyFile = ''] = publicKeys;
    const configuration = await writeConfiguration(directory, knownHosts, withKeyFile(environment, keyFile));
    // The agent ends with the command, also when this program is killed.
    const script =
      'ssh-add -q - && exec ssh -F "$1" -o BatchMode=yes -o ConnectTimeout="$2" "$3" "$4" < /dev/null';
    const words = [configuration, String(connectTimeoutSeconds), environment.site, command];
    const result = await run('ssh-agent', ['sh', '-c', script, 'sh', ...words], {
      input: privateKey,
      timeout: commandTimeout,
      timeoutError: () => brokeOff(environment),
    });
    if (result.exitCode === lostConnection) throw loginFailure(result.stderr, { environment, knownHosts });
    return result;
  });
}

/**
 * Asks an SSH server which of some public keys it would let in, by offering them as every login begins. No private half is
 * needed, and nobody is logged in.
 *
 * Throws a GobootError when the machine, or one on the way to it, does not answer.
 */
export async function acceptedKeys(login: KeyLogin, keys: readonly string[]): Promise<string[]> {
  const accepted: string[] = [];
  for (let start = 0; start < keys.length; start += keysPerConnection) {
    accepted.push(...(await offer(login, keys.slice(start, start + keysPerConnection))));
  }
  return accepted;
}

function offer({ environment, knownHosts }: KeyLogin, keys: readonly string[]): Promise<string[]> {
  return withFiles(keys, async (directory, publicKeys) => {
    const { keyFile: _, ...host } = environment.host;
    const configuration = await writeConfiguration(directory, knownHosts, { ...environment, host }, [
      `Host ${environment.site}`,
      '  IdentitiesOnly yes',
      // An agent would sign.
      '  IdentityAgent none',
      '  PreferredAuthentications publickey',
      ...publicKeys.map((file) => `  IdentityFile "${file}"`),
    ]);
    const { stderr } = await run(
      'ssh',
      [
        ...['-v', '-F', configuration, '-o', 'BatchMode=yes'],
        ...['-o', `ConnectTimeout=${connectTimeoutSeconds}`, environment.site, 'true'],
      ],
      { timeout: commandTimeout, timeoutError: () => brokeOff(environment) },
    );
    const isSaid = (what: string, file: string) => stderr.includes(`${what}: ${file} `);
    if (!publicKeys.every((file) => isSaid('Offering public key', file))) {
      throw loginFailure(withoutDebugging(stderr), { environment, knownHosts });
    }
    return keys.filter((_key, index) => isSaid('Server accepts key', publicKeys[index] as string));
  });
}

/** A directory of its own with a file for each public key. */
async function withFiles<T>(
  keys: readonly string[],
  action: (directory: string, files: string[]) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'goboot-key-'));
  try {
    const files = keys.map((_, index) => join(directory, `${index}.pub`));
    await Promise.all(files.map((file, index) => writeFile(file, `${keys[index]}\n`, { mode: 0o600 })));
    return await action(directory, files);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function writeConfiguration(
  directory: string,
  knownHosts: string,
  environment: Environment,
  first: readonly string[] = [],
): Promise<string> {
  const knownHostsFile = join(directory, 'known_hosts');
  const file = join(directory, 'config');
  await writeFile(knownHostsFile, knownHosts, { mode: 0o600 });
  const text = sshConfiguration([environment], { knownHostsFile, hostKeyChecking: 'yes' });
  await writeFile(file, `${first.join('\n')}\n${text}`, { mode: 0o600 });
  return file;
}

function withKeyFile({ host, jump, ...rest }: Environment, keyFile: string): Environment {
  const ofJump = ({ jump: before, ...last }: JumpHost): JumpHost => ({
    ...last,
    keyFile,
    ...(before && { jump: ofJump(before) }),
  });
  return { ...rest, host: { ...host, keyFile }, ...(jump && { jump: ofJump(jump) }) };
}

function withoutDebugging(stderr: string): string {
  return stderr
    .split('\n')
    .filter((line) => !/^(debug\d|OpenSSH_)/.test(line))
    .join('\n');
}

function brokeOff({ host }: Environment): GobootError {
  return new GobootError(`The connection to ${describeTarget(host)} broke, or its host hangs`, {
    remedy: 'Check that the server runs, and run the same command again.',
  });
}
