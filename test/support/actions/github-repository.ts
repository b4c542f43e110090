import { basename } from 'node:path';
import type { GitHub, RepositoryState } from '../github/server.ts';
import type { ActionsRepository, HeldByGitHub } from './repository.ts';

/** A repository of the server that stands in for GitHub, with all that was put there for its workflows. */
export function repositoryOn(github: GitHub, fullName: string): ActionsRepository {
  const [owner = ''] = fullName.split('/');
  const state = (): RepositoryState => {
    const found = github.repository(fullName);
    if (!found) throw new Error(`there is no ${fullName} on GitHub`);
    return found;
  };
  return {
    fullName,
    private: state().private,
    defaultBranch: state().defaultBranch,
    path: state().path,
    serverUrl: github.origin,
    apiUrl: github.url,
    held: () => {
      const { secrets, variables, environments } = state();
      const allowed = Object.entries(environments).map(([name, environment]) => {
        const { deploymentBranchPolicy: policy, branchPolicies } = environment;
        if (policy?.protected_branches) throw new Error(`${name}: what is protected is not asked here`);
        return [name, { ...environment, ...(policy?.custom_branch_policies && { allowed: branchPolicies }) }];
      });
      return {
        secrets,
        variables,
        environments: Object.fromEntries(allowed) as HeldByGitHub['environments'],
      };
    },
    begin: (path, sha) => {
      const id = github.addRun(fullName, basename(path), { sha });
      return (conclusion) => github.endRun(fullName, id, conclusion);
    },
    token: (permissions) =>
      github.token('fine-grained', owner, {
        repositories: [fullName],
        permissions: Object.fromEntries(
          Object.entries(permissions).map(([name, level]) => [name.replaceAll('-', '_'), level]),
        ),
      }),
  };
}
