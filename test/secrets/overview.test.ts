import { expect, test } from 'vitest';
import { lookAtSecrets, secretsTable } from '../../lib/secrets/overview.ts';
import { ownSecret } from '../../lib/secrets/own-secret.ts';
import { secretKey } from '../../lib/secrets/secret-key.ts';
import { sampleProject } from '../support/sample.ts';
import { SecretsProject } from '../support/secrets-project.ts';

async function look(project: SecretsProject, { olderThan, now }: { olderThan?: number; now?: string } = {}) {
  const context = {
    projectRoot: project.root,
    project: sampleProject(),
    environment: project.environment,
    vault: await project.vault(),
    host: undefined,
    openGitHub: async () => undefined,
  };
  return lookAtSecrets(context, olderThan, now === undefined ? undefined : Date.parse(now));
}

test('a secret is as old as its last rotation, and before the first one as its vault', async () => {
  const project = await SecretsProject.create();
  const soon = new Date(Date.now() + 100 * 24 * 60 * 60 * 1000).toISOString();
  await project.rotate(secretKey, { begun: new Date(Date.now() + 89.5 * 24 * 60 * 60 * 1000).toISOString() });
  const found = await look(project, { now: soon, olderThan: 50 });
  expect(found.map(({ name, days, recommendation }) => [name, days, recommendation])).toEqual([
    ['secret-key', 10, undefined],
    ['old-secret-keys', 10, expect.stringMatching(/^from \d{4}-\d\d-\d\d on remove them/)],
    ['broker-password', 100, 'rotate it: yo goboot:secrets --rotate broker-password'],
    ['basic-auth-password', 100, 'rotate it: yo goboot:secrets --rotate basic-auth-password'],
    ['backup-password', 100, 'rotate it: yo goboot:secrets --rotate backup-password'],
    ['vault-password', 100, 'rotate it: yo goboot:secrets --rotate vault-password'],
  ]);
});

test('a secret of the owner’s is replaced by a new value, not rotated', async () => {
  const project = await SecretsProject.create();
  await project.rotate(ownSecret('STRIPE_KEY', { value: 'sk' }), { begun: '2025-01-01T00:00:00.000Z' });
  const found = await look(project, { now: '2026-06-01T00:00:00.000Z' });
  expect(found.at(-1)).toMatchObject({
    name: 'STRIPE_KEY',
    kind: 'own',
    days: 516,
    recommendation: 'get a new value: yo goboot:secrets --set STRIPE_KEY',
  });
});

test('without its host nobody says that all places agree, and the table holds no value', async () => {
  const project = await SecretsProject.create();
  const found = await look(project);
  const onHost = found.filter(({ name }) => name !== 'vault-password');
  for (const secret of onHost) expect(secret).toMatchObject({ unknown: ['host'] });
  expect(found[0]).not.toHaveProperty('agrees');
  const table = secretsTable(found).join('\n');
  expect(table).toContain('not seen: host');
  const told = table + JSON.stringify(found);
  for (const value of Object.values((await project.vault()).variables)) {
    expect(told).not.toContain(String(value));
  }
});
