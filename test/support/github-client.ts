import { expect } from 'vitest';
import { lookUpAccount, lookUpOwner } from '../../lib/github/account.ts';
import { type GitHub, type GitHubOptions, openGitHub } from '../../lib/github/client.ts';
import { GitHubError } from '../../lib/github/errors.ts';
import { pushMain } from '../../lib/github/push.ts';
import { createRepository, type Repository } from '../../lib/github/repository.ts';
import type { RepositoryVisibility } from '../../lib/project.ts';
import type { GitHub as GitHubServer } from './github/server.ts';

/** Milliseconds for one second of waiting between attempts, so that tests are fast. */
export const pace = 1;

/** A client for a token of the server. */
export function openClient(
  server: GitHubServer,
  token: string,
  options: Partial<GitHubOptions> = {},
): Promise<GitHub> {
  return openGitHub({ url: server.url, token, pace, timeout: 5_000, ...options });
}

let number = 0;

/** A name that no other test uses. */
export function newName(): string {
  number += 1;
  return `shop-${number}`;
}

/** Creates a repository as goboot does. */
export async function newRepository(
  github: GitHub,
  { owner: login, visibility = 'private' }: { owner?: string; visibility?: RepositoryVisibility } = {},
): Promise<Repository> {
  const account = await lookUpAccount(github);
  const owner = await lookUpOwner(github, login ?? account.login, account, visibility);
  return createRepository(github, { owner, name: newName(), visibility, description: 'A shop' });
}

/** Pushes a local project to a repository. */
export function push(github: GitHub, repository: Repository, directory: string) {
  return pushMain(directory, { cloneUrl: repository.cloneUrl, token: github.token(), isNew: true, pace });
}

/** The error that an action fails with. */
export async function failureOf(action: () => Promise<unknown>): Promise<GitHubError> {
  try {
    await action();
  } catch (error) {
    expect(error).toBeInstanceOf(GitHubError);
    return error as GitHubError;
  }
  throw new Error('expected an error');
}
