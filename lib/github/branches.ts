import type { GitHub } from './client.ts';
import { fullName, type RepositoryName } from './repository.ts';

/**
 * Makes sure that a repository has branches: one that is missing begins at a commit, one that is there stays as it is.
 * Returns those that were missing. Throws a GitHubError.
 */
export async function ensureBranches(
  github: GitHub,
  repository: RepositoryName,
  branches: readonly string[],
  commit: string,
): Promise<string[]> {
  const repo = { owner: repository.owner, repo: repository.name };
  const missing: string[] = [];
  for (const branch of branches) {
    const look = () =>
      github.find(`look up the branch ${branch} of ${fullName(repository)}`, (api) =>
        api.git.getRef({ ...repo, ref: `heads/${branch}` }),
      );
    if (await look()) continue;
    await github.createOnce(
      async () =>
        (
          await github.call(`create the branch ${branch} of ${fullName(repository)}`, (api) =>
            api.git.createRef({ ...repo, ref: `refs/heads/${branch}`, sha: commit }),
          )
        ).data,
      look,
    );
    missing.push(branch);
  }
  return missing;
}
