import type { Environment } from '../project.ts';
import type { GitHub } from './client.ts';
import { deploymentSettingList, prefixedName } from './deployment-settings.ts';
import { deleteEnvironment } from './environments.ts';
import type { RepositoryName } from './repository.ts';
import { deleteSecret, listSecrets } from './secrets.ts';
import { deleteVariable, listVariables } from './variables.ts';

/**
 * Removes what GitHub holds for the deploys of an environment: the environment with its secrets and variables, and those
 * of the repository whose names begin with the environment's. Returns their names. Throws a GitHubError.
 */
export async function removeFromGitHub(
  github: GitHub,
  repository: RepositoryName,
  { name }: Pick<Environment, 'name'>,
): Promise<string[]> {
  const removed = (await deleteEnvironment(github, repository, name)) ? [`environment ${name}`] : [];
  const own = new Set(deploymentSettingList.map((setting) => prefixedName(name, setting.name)));
  const [secrets, variables] = await Promise.all([
    listSecrets(github, repository),
    listVariables(github, repository),
  ]);
  for (const secret of secrets.filter((each) => own.has(each.toUpperCase()))) {
    if (await deleteSecret(github, repository, secret)) removed.push(`secret ${secret}`);
  }
  for (const variable of [...variables.keys()].filter((each) => own.has(each))) {
    if (await deleteVariable(github, repository, variable)) removed.push(`variable ${variable}`);
  }
  return removed;
}
