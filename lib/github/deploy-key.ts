import { readDeployPublicKeys, replaceDeployPublicKey } from '../ansible/deploy-public-keys.ts';
import type { Environment } from '../project.ts';
import { deployKeyComment, type KeyPair, makeDeployKeyPair } from '../ssh/key-pair.ts';
import type { GitHub } from './client.ts';
import { deploymentSettings, nameInPlace, type SettingsPlace } from './deployment-settings.ts';
import { isGitHubFailure } from './errors.ts';
import type { RepositoryState } from './repository.ts';
import { listSecrets } from './secrets.ts';
import type { ValueStore } from './stored-values.ts';

/**
 * A new deploy key for an environment, or undefined where GitHub holds one whose public half the project has. A key
 * whose private half never arrived is of no use: then there is a new one, too.
 *
 * @param publicKeys those that the project lets deploy.
 * Throws a GitHubError.
 */
export async function newDeployKey(
  github: GitHub,
  found: RepositoryState,
  environment: Environment,
  publicKeys: readonly string[],
): Promise<KeyPair | undefined> {
  const isKnown = publicKeyOf(environment, publicKeys) !== undefined;
  if (isKnown && found.state !== 'absent' && (await holdsKey(github, found, environment))) return undefined;
  return makeDeployKeyPair(environment.site);
}

function publicKeyOf({ site }: Environment, publicKeys: readonly string[]): string | undefined {
  return publicKeys.find((key) => key.endsWith(` ${deployKeyComment(site)}`));
}

async function holdsKey(
  github: GitHub,
  { repository }: Exclude<RepositoryState, { state: 'absent' }>,
  { name }: Environment,
): Promise<boolean> {
  const { owner, name: repositoryName } = repository;
  const stores: Record<SettingsPlace, ValueStore> = {
    environment: { owner, name: repositoryName, environment: name },
    repository: { owner, name: repositoryName },
  };
  for (const [place, store] of Object.entries(stores) as [SettingsPlace, ValueStore][]) {
    const names = await listSecrets(github, store).catch((error): string[] => {
      // There is no such environment.
      if (isGitHubFailure(error, 'not found')) return [];
      throw error;
    });
    if (names.includes(nameInPlace(deploymentSettings.sshKey, name, place))) return true;
  }
  return false;
}

/** Lets a new deploy key deploy, in the place of the old one, from the next provisioning on. */
export async function useDeployKey(
  projectRoot: string,
  environment: Environment,
  { publicKey }: KeyPair,
): Promise<void> {
  const old = publicKeyOf(environment, await readDeployPublicKeys(projectRoot, environment.name));
  await replaceDeployPublicKey(projectRoot, environment.name, old ?? publicKey, publicKey);
}
