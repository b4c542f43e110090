import { describe, expect, test } from 'vitest';
import { ensureEnvironment } from '../../lib/github/environments.ts';
import { deleteSecret, listSecrets, putSecrets } from '../../lib/github/secrets.ts';
import type { ValueStore } from '../../lib/github/stored-values.ts';
import { deleteVariable, listVariables, putVariables } from '../../lib/github/variables.ts';
import { useGitHub } from '../support/github/clients.ts';
import { failureOf, newRepository, openClient } from '../support/github-client.ts';

const server = useGitHub();

async function prepared(environment?: string) {
  const github = await openClient(server(), server().token('classic', 'pro-user'));
  const { owner, name } = await newRepository(github);
  if (environment) await ensureEnvironment(github, { owner, name }, environment);
  const store: ValueStore = { owner, name, ...(environment && { environment }) };
  const state = () => {
    const repository = server().repository(`${owner}/${name}`);
    return environment ? repository?.environments[environment] : repository;
  };
  return { github, store, state };
}

const values = {
  DEPLOY_SSH_KEY: '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n',
  VAULT_PASSWORD: 'pässwörd ✓',
};

describe.each([undefined, 'production'])('Secrets in %s', (environment) => {
  test('can be opened by GitHub, and are the same then', async () => {
    const { github, store, state } = await prepared(environment);
    const told: string[] = [];
    const results = await putSecrets(github, store, values, {
      before: async (name, before) => void told.push(`${name} was ${before}`),
      after: async (name) => void told.push(`${name} is there`),
      refused: async (name) => void told.push(`${name} is refused`),
    });
    expect(results).toEqual([
      { name: 'DEPLOY_SSH_KEY', result: 'created' },
      { name: 'VAULT_PASSWORD', result: 'created' },
    ]);
    expect(told).toEqual([
      'DEPLOY_SSH_KEY was absent',
      'DEPLOY_SSH_KEY is there',
      'VAULT_PASSWORD was absent',
      'VAULT_PASSWORD is there',
    ]);
    expect(state()?.secrets).toEqual(values);
    expect(await listSecrets(github, store)).toEqual(Object.keys(values));
  });

  test('are replaced when they are set again', async () => {
    const { github, store, state } = await prepared(environment);
    await putSecrets(github, store, values);
    expect(await putSecrets(github, store, { VAULT_PASSWORD: 'new' })).toEqual([
      { name: 'VAULT_PASSWORD', result: 'updated' },
    ]);
    expect(state()?.secrets).toEqual({ ...values, VAULT_PASSWORD: 'new' });
  });

  test('are all checked before the first is sent', async () => {
    const { github, store, state } = await prepared(environment);
    await expect(putSecrets(github, store, { GOOD: 'x', GITHUB_X: 'y' })).rejects.toThrow(
      /GITHUB_ is reserved/,
    );
    expect(state()?.secrets).toEqual({});
  });

  test('are removed, once', async () => {
    const { github, store } = await prepared(environment);
    await putSecrets(github, store, values);
    expect(await deleteSecret(github, store, 'VAULT_PASSWORD')).toBe(true);
    expect(await deleteSecret(github, store, 'VAULT_PASSWORD')).toBe(false);
    expect(await listSecrets(github, store)).toEqual(['DEPLOY_SSH_KEY']);
  });
});

describe.each([undefined, 'production'])('Variables in %s', (environment) => {
  const variables = { DEPLOY_HOST: 'shop.example.com', DEPLOY_PORT: '22' };

  test('are created, then changed where they differ, and left alone otherwise', async () => {
    const { github, store, state } = await prepared(environment);
    expect((await putVariables(github, store, variables)).map(({ result }) => result)).toEqual([
      'created',
      'created',
    ]);
    expect(state()?.variables).toEqual(variables);
    server().requests.length = 0;
    expect(await putVariables(github, store, { ...variables, DEPLOY_PORT: '2222' })).toEqual([
      { name: 'DEPLOY_HOST', result: 'unchanged' },
      { name: 'DEPLOY_PORT', result: 'updated' },
    ]);
    expect(server().requests.map(({ method }) => method)).toEqual(['GET', 'PATCH']);
    expect(await listVariables(github, store)).toEqual(
      new Map(Object.entries({ ...variables, DEPLOY_PORT: '2222' })),
    );
  });

  test('are read page by page', async () => {
    const { github, store } = await prepared(environment);
    const many = Object.fromEntries(Array.from({ length: 31 }, (_, index) => [`V${index}`, String(index)]));
    await putVariables(github, store, many);
    expect(await listVariables(github, store)).toEqual(new Map(Object.entries(many)));
  });

  test.each([502, 'reset'] as const)('are not created twice when an answer is lost (%s)', async (fault) => {
    const { github, store, state } = await prepared(environment);
    server().fail({ method: 'POST', path: /\/variables$/, with: fault, afterEffect: true });
    await putVariables(github, store, variables);
    expect(state()?.variables).toEqual(variables);
  });

  test('are removed, once', async () => {
    const { github, store } = await prepared(environment);
    await putVariables(github, store, variables);
    expect(await deleteVariable(github, store, 'DEPLOY_PORT')).toBe(true);
    expect(await deleteVariable(github, store, 'DEPLOY_PORT')).toBe(false);
  });
});

test('no error holds a value', async () => {
  const { github, store } = await prepared();
  for (const fault of [401, 403, 409, 422, 429, 500, 'reset'] as const) {
    server().heal();
    server().fail({ method: 'PUT', path: /secrets/, with: fault, times: 10, retryAfter: 3600 });
    server().fail({ method: 'POST', path: /variables/, with: fault, times: 10, retryAfter: 3600 });
    for (const put of [putSecrets, putVariables]) {
      const error = await failureOf(() => put(github, store, { NAME: 'a-very-private-value' }));
      expect(`${error.message}${error.remedy}${error.stack}`).not.toContain('a-very-private-value');
    }
  }
});
