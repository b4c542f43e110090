import type { GitHub } from './client.ts';
import { isGitHubFailure } from './errors.ts';
import { findRepository, fullName, type RepositoryName } from './repository.ts';
import { unwatched, type Watcher } from './watcher.ts';

/** In seconds. Short, because "not found" is also the answer of a plan without environments. */
const settling = 2;

/** Names of branches or tags; `*` stands for any characters but a slash. */
export interface DeploymentRefs {
  branches: readonly string[];
  tags: readonly string[];
}

/** What became of an environment; `unavailable` says why the repository cannot have one. */
export type EnvironmentResult =
  | { name: string; result: 'created' | 'existing' }
  | { name: string; unavailable: string };

/**
 * Makes sure that a repository has an environment. Only these refs may deploy to it when any are given; an
 * environment that exists keeps its settings. Where the plan has no environments for private repositories it says so
 * and changes nothing. Throws a GitHubError for any other failure.
 */
export async function ensureEnvironment(
  github: GitHub,
  repository: RepositoryName,
  name: string,
  refs?: DeploymentRefs,
  watcher: Watcher = unwatched,
): Promise<EnvironmentResult> {
  const label = `the environment ${name} of ${fullName(repository)}`;
  const environment = { owner: repository.owner, repo: repository.name, environment_name: name };
  const found = await github.find(`look up ${label}`, (api) => api.repos.getEnvironment(environment));
  await watcher.before(name, found ? 'kept' : 'absent');
  if (!found) {
    try {
      const create = () =>
        github.call(`create ${label}`, (api) =>
          api.repos.createOrUpdateEnvironment({
            ...environment,
            // Whatever else is sent, even its default, is refused where the plan lacks it.
            ...(refs && {
              deployment_branch_policy: { protected_branches: false, custom_branch_policies: true },
            }),
          }),
        );
      await github.afterCreation(create, [settling]);
    } catch (error) {
      const reason = await unavailable(github, repository, error);
      if (reason) return { name, unavailable: reason };
      throw error;
    }
  }
  await watcher.after(name);
  // Also for one that exists: an earlier run may have ended in between.
  if (refs && (!found || found.deployment_branch_policy?.custom_branch_policies)) {
    await allowDeployments(github, environment, label, refs);
  }
  return { name, result: found ? 'existing' : 'created' };
}

/** Removes an environment with its secrets and variables. Returns false when there is none. Throws a GitHubError. */
export function deleteEnvironment(
  github: GitHub,
  { owner, name: repo }: RepositoryName,
  name: string,
): Promise<boolean> {
  return github.remove(`delete the environment ${name} of ${owner}/${repo}`, (api) =>
    api.repos.deleteAnEnvironment({ owner, repo, environment_name: name }),
  );
}

/** Why there can be no environment; undefined where the error means something else. */
async function unavailable(
  github: GitHub,
  repository: RepositoryName,
  error: unknown,
): Promise<string | undefined> {
  const reason = `The plan of ${repository.owner} has no environments for private repositories`;
  if (isGitHubFailure(error, 'plan')) return reason;
  if (!isGitHubFailure(error, 'not found')) return undefined;
  // GitHub says "not found" for a lack of rights as well as for a lack of the feature.
  const found = await findRepository(github, repository);
  return found?.visibility === 'private' && found.mayAdminister ? reason : undefined;
}

type PolicyType = 'branch' | 'tag';

async function allowDeployments(
  github: GitHub,
  environment: { owner: string; repo: string; environment_name: string },
  label: string,
  { branches, tags }: DeploymentRefs,
): Promise<void> {
  const list = async () => {
    const { data } = await github.afterCreation(() =>
      github.call(`read what may deploy to ${label}`, (api) =>
        api.repos.listDeploymentBranchPolicies({ ...environment, per_page: 100 }),
      ),
    );
    return data.branch_policies;
  };
  const wanted = [
    ...branches.map((name) => ({ name, type: 'branch' as PolicyType })),
    ...tags.map((name) => ({ name, type: 'tag' as PolicyType })),
  ];
  const existing = await list();
  for (const policy of wanted) {
    const isSame = (other: { name?: string; type?: PolicyType }) =>
      other.name === policy.name && (other.type ?? 'branch') === policy.type;
    if (existing.some(isSame)) continue;
    await github.createOnce(
      async () =>
        (
          await github.call(`allow ${policy.name} to deploy to ${label}`, (api) =>
            api.repos.createDeploymentBranchPolicy({ ...environment, ...policy }),
          )
        ).data,
      async () => (await list()).find(isSame),
    );
  }
}
