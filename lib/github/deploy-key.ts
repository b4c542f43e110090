import { readFile } from 'node:fs/promises';
import {
  environmentsWithKey,
  readDeployPublicKeys,
  replaceDeployPublicKey,
} from '../ansible/deploy-public-keys.ts';
import { toGobootError, usageError } from '../errors.ts';
import type { Environment } from '../project.ts';
import { storedEnvironments } from '../settings-file.ts';
import {
  deployKeyComment,
  type KeyPair,
  makeDeployKeyPair,
  normalizePrivateKey,
  publicKeyOf,
} from '../ssh/key-pair.ts';
import { expandPath, quoted } from '../validate.ts';
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
  const isKnown = ownPublicKey(environment, publicKeys) !== undefined;
  if (isKnown && found.state !== 'absent' && (await holdsKey(github, found, environment))) return undefined;
  return makeDeployKeyPair(environment.site);
}

/**
 * The deploy key that a user brings, put right: line ends, and a comment that tells what it is for. Throws a usage
 * error for a file that holds no key which a workflow could use.
 */
export async function readDeployKey(
  path: string,
  environment: Environment,
  projectRoot: string,
): Promise<KeyPair> {
  const pair = await readKeyPair(path, environment);
  const others = storedEnvironments(projectRoot).filter(({ name }) => name !== environment.name);
  const [other] = await environmentsWithKey(projectRoot, others, pair.publicKey);
  if (other === undefined) return pair;
  // On a host that both share, sshd takes the first line that fits: a deploy to one would go to the other.
  throw usageError(
    `The deploy key ${quoted(path)} is that of the environment ${quoted(other)}`,
    'Give another one, or leave --deploy-key-file out: a key can release one site.',
  );
}

async function readKeyPair(path: string, { site }: Environment): Promise<KeyPair> {
  try {
    const privateKey = normalizePrivateKey(await readFile(expandPath(path), 'utf8'));
    return { privateKey, publicKey: publicKeyOf(privateKey, deployKeyComment(site)) };
  } catch (error) {
    const { message, remedy } = toGobootError(error);
    throw usageError(`The deploy key ${quoted(path)} cannot be used: ${message}`, remedy);
  }
}

function ownPublicKey({ site }: Environment, publicKeys: readonly string[]): string | undefined {
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
  const old = ownPublicKey(environment, await readDeployPublicKeys(projectRoot, environment.name));
  await replaceDeployPublicKey(projectRoot, environment.name, old ?? publicKey, publicKey);
}
