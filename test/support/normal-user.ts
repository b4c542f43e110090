import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { packageRoot } from '../../lib/paths.ts';
import { runOrThrow } from '../../lib/process.ts';

/** A user who is not root, with a home directory of its own. */
export interface NormalUser {
  home: string;
  /** Absent where the tests themselves are run by a normal user. */
  account?: { name: string; uid: number; gid: number };
}

// By its path: the PATH of the user may be one that has nothing.
const setpriv = '/usr/bin/setpriv';

const accountScript = join(packageRoot, 'scripts', 'normal-user.sh');

/** What the environment says of proxies and certificate authorities; another user needs it to reach anything. */
const networkVariables = [
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'CURL_CA_BUNDLE',
  'REQUESTS_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'PIP_CERT',
  'PIP_INDEX_URL',
  'PIP_EXTRA_INDEX_URL',
  'PIP_FIND_LINKS',
  'PIP_DEFAULT_TIMEOUT',
  'UV_DEFAULT_INDEX',
  'UV_INDEX',
];

/** The variables of this process that lead to the network. */
export function networkEnvironment(): Record<string, string> {
  return Object.fromEntries(
    networkVariables.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/**
 * Makes a normal user with a home inside a directory: a temporary account when run by root, otherwise whoever runs
 * this, with another home directory. `sudo` lets a temporary account become root without a password.
 */
export async function createNormalUser(directory: string, { sudo = false } = {}): Promise<NormalUser> {
  const home = join(directory, 'home');
  // Other users have to get through it, which mkdtemp lets nobody.
  chmodSync(directory, 0o755);
  if (process.getuid?.() !== 0) {
    mkdirSync(home, { recursive: true });
    return { home };
  }
  const name = `goboot-${process.pid}`;
  await runOrThrow('bash', [accountScript, 'create', name, home, ...(sudo ? ['--sudo'] : [])], {
    failure: 'A temporary user could not be made',
  });
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) =>
      Number((await runOrThrow('id', [flag, name], { failure: 'No such user' })).stdout),
    ),
  );
  return { home, account: { name, uid: uid as number, gid: gid as number } };
}

/** Ends the user's processes and removes the account, but no files. */
export async function removeNormalUser({ account }: NormalUser): Promise<void> {
  if (account) {
    await runOrThrow('bash', [accountScript, 'remove', account.name], {
      failure: `The user ${account.name} could not be removed`,
    });
  }
}

/** The words that start a program as this user. */
export function wordsAs({ account }: NormalUser, words: readonly string[]): string[] {
  return account
    ? [setpriv, `--reuid=${account.uid}`, `--regid=${account.gid}`, '--init-groups', ...words]
    : [...words];
}

export interface ProgramResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs a program as this user, without a terminal and with exactly the given environment, and returns its output
 * whatever its exit status is. The words of a wrapper are run by whoever runs this. Throws when it cannot be started.
 */
export async function runAs(
  user: NormalUser,
  words: readonly string[],
  { cwd, env, wrapper = [] }: { cwd: string; env: Record<string, string>; wrapper?: readonly string[] },
): Promise<ProgramResult> {
  const [file, ...args] = [...wrapper, ...wordsAs(user, words)] as [string, ...string[]];
  const result = await execa(file, args, { cwd, env, extendEnv: false, reject: false, stdin: 'ignore' });
  if (result.exitCode === undefined) throw new Error(`${words[0]}: ${result.shortMessage}`);
  return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr };
}

/** Makes a directory that belongs to this user. */
export function makeDirectoryFor({ account }: NormalUser, path: string): string {
  mkdirSync(path, { recursive: true });
  giveTo({ account }, path);
  return path;
}

/** Makes this user the owner of a file or directory. */
export function giveTo({ account }: Pick<NormalUser, 'account'>, path: string): void {
  if (account) chownSync(path, account.uid, account.gid);
}
