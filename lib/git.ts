import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { execa } from 'execa';
import { run, runOrThrow } from './process.ts';

/** The commit's author, used where git itself knows none. */
export interface Identity {
  name: string;
  email: string;
}

export const mainBranch = 'main';

/** What git knows about its user; empty texts where it knows nothing, or is missing, which the preflight reports. */
export async function gitIdentity(directory?: string): Promise<Identity> {
  const { stdout } = await run('git', ['config', '--get-regexp', '^user\\.(name|email)$'], {
    ...(directory && { cwd: directory }),
  }).catch(() => ({ stdout: '' }));
  const settings = new Map(stdout.split('\n').map((line) => line.split(/ (.*)/s, 2) as [string, string]));
  return { name: settings.get('user.name') ?? '', email: settings.get('user.email') ?? '' };
}

/** Whether the directory itself (not one above it) is a git repository. */
export function isRepository(directory: string): boolean {
  return existsSync(join(directory, '.git'));
}

/** Paths with changes that are not committed, in a repository. */
export async function uncommittedPaths(directory: string): Promise<string[]> {
  const { stdout } = await runOrThrow('git', ['status', '--porcelain', '-z'], {
    cwd: directory,
    failure: 'git cannot read the state of the repository',
  });
  return stdout
    .split('\0')
    .filter(Boolean)
    .map((entry) => entry.slice(3));
}

/** The full SHA of the current commit. */
export async function currentCommit(directory: string): Promise<string> {
  const { stdout } = await runOrThrow('git', ['rev-parse', 'HEAD'], {
    cwd: directory,
    failure: `There is no commit in ${directory}`,
  });
  return stdout.trim();
}

/** Whether the repository has a commit. */
export async function hasCommit(directory: string, sha: string): Promise<boolean> {
  const { exitCode } = await run('git', ['cat-file', '-e', `${sha}^{commit}`], { cwd: directory });
  return exitCode === 0;
}

/** Those of some paths that the current commit has. */
export async function trackedPaths(directory: string, paths: readonly string[]): Promise<string[]> {
  const { stdout } = await runOrThrow('git', ['ls-tree', '-r', '-z', '--name-only', 'HEAD', '--', ...paths], {
    cwd: directory,
    failure: 'git cannot list the files of the current commit',
  });
  return stdout.split('\0').filter(Boolean);
}

/** A compressed archive of a commit, as a stream that begins at once. It fails when git does. */
export function archiveOf(directory: string, sha: string): Readable {
  // The fastest level: the network is seldom slower than the better ones.
  const subprocess = execa('git', ['archive', '--format=tar.gz', '-1', sha], {
    cwd: directory,
    stdin: 'ignore',
    buffer: false,
  });
  subprocess.catch(() => {});
  return subprocess.readable();
}

/**
 * Commits the given paths (all of them when there is no repository yet, which is then created) and returns whether
 * there was anything to commit. Other changes of the user stay as they are.
 */
export async function commit(
  directory: string,
  options: { message: string; paths?: readonly string[]; identity: Identity },
): Promise<boolean> {
  const failure = 'git could not make the commit';
  const isNew = !isRepository(directory);
  if (isNew) {
    await runOrThrow('git', ['init', '--quiet', `--initial-branch=${mainBranch}`], {
      cwd: directory,
      failure,
    });
  }
  const paths = options.paths ?? ['.'];
  const [known] = await Promise.all([
    gitIdentity(directory),
    runOrThrow('git', ['add', '--', ...paths], { cwd: directory, failure }),
  ]);
  if (!isNew) {
    const staged = await run('git', ['diff', '--cached', '--quiet', '--', ...paths], { cwd: directory });
    if (staged.exitCode === 0) return false;
  }

  const identity = {
    name: known.name || options.identity.name,
    email: known.email || options.identity.email,
  };
  await runOrThrow(
    'git',
    // Maintenance would only make the user wait: a repository of goboot's is small.
    ['-c', 'maintenance.auto=false', 'commit', '--quiet', '--message', options.message, '--', ...paths],
    {
      cwd: directory,
      env: {
        GIT_AUTHOR_NAME: identity.name,
        GIT_AUTHOR_EMAIL: identity.email,
        GIT_COMMITTER_NAME: identity.name,
        GIT_COMMITTER_EMAIL: identity.email,
      },
      failure,
    },
  );
  return true;
}
