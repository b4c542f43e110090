import { execFileSync } from 'node:child_process';
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
}

/** Runs git in a bare repository and returns what it prints. */
export function gitIn(path: string, args: readonly string[], env: Record<string, string> = {}): string {
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
    stdio: ['ignore', 'pipe', 'pipe'],
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
