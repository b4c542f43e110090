import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { SecretsAndVariables } from '../github/server.ts';
import { UnsupportedError } from './files.ts';

/** What GitHub holds for workflows, and who may deploy from where. */
export interface HeldByGitHub extends SecretsAndVariables {
  environments: Record<
    string,
    SecretsAndVariables & {
      /** The branches and tags that may deploy; all of them where it is not given. */
      allowed?: { name: string; type: 'branch' | 'tag' }[];
    }
  >;
}

/** The repository whose workflows are executed. */
export interface ActionsRepository {
  /** Like `ada/shop`. */
  fullName: string;
  private: boolean;
  defaultBranch: string;
  /** Its bare repository. */
  path: string;
  serverUrl: string;
  apiUrl: string;
  /** Asked anew for each job. */
  held(): HeldByGitHub;
  /** A token for a job, with the permissions that the job has and no others. */
  token(permissions: Readonly<Record<string, 'read' | 'write'>>): string;
  /** Notes that a workflow has begun to run for a commit. What it returns notes how that has ended. */
  begin?(path: string, commit: string): (conclusion: 'success' | 'failure' | 'cancelled' | 'skipped') => void;
}

/** Runs git in a bare repository and returns what it prints. */
export function gitIn(
  path: string,
  args: readonly string[],
  { env = {}, input = '' }: { env?: Record<string, string>; input?: string } = {},
): string {
  return execFileSync('git', [...args], {
    cwd: path,
    env: {
      PATH: process.env.PATH ?? '',
      GIT_DIR: path,
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_NOSYSTEM: '1',
      ...env,
    },
    encoding: 'utf8',
    input,
    stdio: ['pipe', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  });
}

/** The commit that a branch, a tag or anything else names. Throws where there is none. */
export function commitOf({ path }: Pick<ActionsRepository, 'path'>, revision: string): string {
  try {
    return gitIn(path, ['rev-parse', '--verify', '--quiet', `${revision}^{commit}`]).trim();
  } catch {
    throw new UnsupportedError(`there is no ${revision} in the repository`);
  }
}

/** A file of a commit. Throws where there is none. */
export function fileAt({ path }: Pick<ActionsRepository, 'path'>, commit: string, file: string): string {
  return gitIn(path, ['show', `${commit}:${file}`]);
}

/** The paths of the workflows of a commit. */
export function workflowsAt({ path }: Pick<ActionsRepository, 'path'>, commit: string): string[] {
  return gitIn(path, ['ls-tree', '--name-only', commit, '.github/workflows/'])
    .split('\n')
    .filter((name) => /\.ya?ml$/.test(name));
}

const identity = {
  GIT_AUTHOR_NAME: 'GitHub',
  GIT_AUTHOR_EMAIL: 'noreply@github.com',
  GIT_COMMITTER_NAME: 'GitHub',
  GIT_COMMITTER_EMAIL: 'noreply@github.com',
};

/** Makes a commit of a tree, without a branch. */
export function commitTree(
  { path }: Pick<ActionsRepository, 'path'>,
  tree: string,
  parents: readonly string[],
  message: string,
): string {
  const words = ['commit-tree', tree, ...parents.flatMap((parent) => ['-p', parent]), '-m', message];
  return gitIn(path, words, { env: identity }).trim();
}

/**
 * Changes a file, or makes it, and commits that to a branch, which is made if it is not there: without a working tree, as GitHub's
 * editor does. Returns the commit.
 */
export function commitChange(
  repository: Pick<ActionsRepository, 'path' | 'defaultBranch'>,
  file: string,
  change: (text: string) => string,
  { branch = repository.defaultBranch, from = branch }: { branch?: string; from?: string } = {},
): string {
  const { path } = repository;
  const parent = commitOf(repository, from);
  const [mode] = gitIn(path, ['ls-tree', parent, file]).split(' ');
  const input = change(mode ? fileAt(repository, parent, file) : '');
  const blob = gitIn(path, ['hash-object', '-w', '--stdin'], { input }).trim();
  const env = { GIT_INDEX_FILE: join(path, 'index-of-a-change') };
  gitIn(path, ['read-tree', parent], { env });
  gitIn(path, ['update-index', '--add', '--cacheinfo', `${mode || '100644'},${blob},${file}`], { env });
  const tree = gitIn(path, ['write-tree'], { env }).trim();
  rmSync(env.GIT_INDEX_FILE);
  const commit = commitTree(repository, tree, [parent], `Change ${file}`);
  gitIn(path, ['update-ref', `refs/heads/${branch}`, commit]);
  return commit;
}
