import type { GitHub } from './client.ts';
import { describeStore, type ValueStore, validateValues } from './stored-values.ts';
import { unwatched, type Watcher } from './watcher.ts';

/** The key that a repository or an environment has for its secrets. */
export interface SealingKey {
  /** Base64 of 32 bytes (X25519). */
  key: string;
  key_id: string;
}

/** Encrypts a value so that only GitHub can read it: a sealed box of libsodium, in base64. */
export async function sealSecret(value: string, { key }: SealingKey): Promise<string> {
  const { default: sodium } = await import('libsodium-wrappers');
  await sodium.ready;
  const publicKey = sodium.from_base64(key, sodium.base64_variants.ORIGINAL);
  const sealed = sodium.crypto_box_seal(sodium.from_string(value), publicKey);
  return sodium.to_base64(sealed, sodium.base64_variants.ORIGINAL);
}

/** A secret as GitHub shows it, without its value. */
export interface ListedSecret {
  /** In GitHub's upper case. */
  name: string;
  /** When it got its value, ISO 8601, to the second. */
  updatedAt: string;
}

/** The secrets in a repository or an environment. Throws a GitHubError. */
export async function listSecretsWithTimes(github: GitHub, store: ValueStore): Promise<ListedSecret[]> {
  const { owner, name: repo, environment } = store;
  const secrets = await github.list(`list the secrets of ${describeStore(store)}`, async (api, page) => {
    const answer = environment
      ? await api.actions.listEnvironmentSecrets({ owner, repo, environment_name: environment, ...page })
      : await api.actions.listRepoSecrets({ owner, repo, ...page });
    return { ...answer, data: answer.data.secrets };
  });
  return secrets.map(({ name, updated_at }) => ({ name: name.toUpperCase(), updatedAt: updated_at }));
}

/** Names of the secrets in a repository or an environment, in GitHub's upper case. Throws a GitHubError. */
export async function listSecrets(github: GitHub, store: ValueStore): Promise<string[]> {
  return (await listSecretsWithTimes(github, store)).map(({ name }) => name);
}

export interface StoredSecret {
  name: string;
  /** GitHub never shows a secret again, so an equal value counts as an update, too. */
  result: 'created' | 'updated';
}

/**
 * Sets secrets in a repository or an environment, one after the other. All of them are checked before the first is
 * sent. Throws a GobootError that holds no value.
 */
export async function putSecrets(
  github: GitHub,
  store: ValueStore,
  values: Readonly<Record<string, string>>,
  watcher: Watcher = unwatched,
): Promise<StoredSecret[]> {
  const { owner, name: repo, environment } = store;
  const existing = await github.afterCreation(() => listSecrets(github, store));
  validateValues(values, 'secret', store, existing);
  if (Object.keys(values).length === 0) return [];
  const { data: key } = await github.afterCreation(() =>
    github.call(`read the key for secrets of ${describeStore(store)}`, (api) =>
      environment
        ? api.actions.getEnvironmentPublicKey({ owner, repo, environment_name: environment })
        : api.actions.getRepoPublicKey({ owner, repo }),
    ),
  );
  const results: StoredSecret[] = [];
  for (const [name, value] of Object.entries(values)) {
    const existed = existing.includes(name.toUpperCase());
    await watcher.before(name, existed ? 'replaced' : 'absent');
    const sealed = { encrypted_value: await sealSecret(value, key), key_id: key.key_id, secret_name: name };
    await github.afterCreation(() =>
      github.call(`set the secret ${name} of ${describeStore(store)}`, (api) =>
        environment
          ? api.actions.createOrUpdateEnvironmentSecret({
              owner,
              repo,
              environment_name: environment,
              ...sealed,
            })
          : api.actions.createOrUpdateRepoSecret({ owner, repo, ...sealed }),
      ),
    );
    await watcher.after(name);
    results.push({ name, result: existed ? 'updated' : 'created' });
  }
  return results;
}

/** Removes a secret. Returns false when there is none of that name. Throws a GitHubError. */
export function deleteSecret(github: GitHub, store: ValueStore, name: string): Promise<boolean> {
  const { owner, name: repo, environment } = store;
  return github.remove(`delete the secret ${name} of ${describeStore(store)}`, (api) =>
    environment
      ? api.actions.deleteEnvironmentSecret({ owner, repo, environment_name: environment, secret_name: name })
      : api.actions.deleteRepoSecret({ owner, repo, secret_name: name }),
  );
}
