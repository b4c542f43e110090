import type { Project } from '../project.ts';
import { type Account, lookUpAccount, lookUpOwner, type Owner } from './account.ts';
import type { GitHub } from './client.ts';
import { lookUpRepository, type RepositoryState } from './repository.ts';

/** What has to be known of GitHub before anything is created there. Each rejects with the reason. */
export interface GitHubFacts {
  github: Promise<GitHub>;
  account: Promise<Account>;
  /** What stands at the address of the project's repository. */
  repository: Promise<RepositoryState>;
  owner: Promise<Owner>;
}

/**
 * Begins to look at GitHub for a project in a local directory, which need not exist yet. Changes nothing.
 *
 * Whether the owner lets this account create repositories is asked only when there is one to create.
 */
export function lookAtGitHub(github: Promise<GitHub>, project: Project, directory?: string): GitHubFacts {
  const { owner: wanted, visibility } = project.github;
  const account = github.then(lookUpAccount);
  const repository = account.then(async ({ login }) =>
    lookUpRepository(await github, { owner: wanted ?? login, name: project.name }, directory),
  );
  const owner = Promise.all([account, repository]).then(async ([known, found]): Promise<Owner> => {
    if (found.state === 'absent') return lookUpOwner(await github, wanted ?? known.login, known, visibility);
    const { owner: login } = found.repository;
    return { login, kind: login === known.login ? 'user' : 'organization' };
  });
  const facts = { github, account, repository, owner };
  // Whoever asks hears of a failure; nobody else has to.
  for (const fact of Object.values(facts)) fact.catch(() => {});
  return facts;
}
