import { expect, test } from 'vitest';
import { backupPassword } from '../../lib/secrets/backup-password.ts';
import { basicAuthPassword } from '../../lib/secrets/basic-auth-password.ts';
import { brokerPassword } from '../../lib/secrets/broker-password.ts';
import { ownSecret } from '../../lib/secrets/own-secret.ts';
import type { RotatableSecret } from '../../lib/secrets/rotation.ts';
import { oldSecretKeys, secretKey } from '../../lib/secrets/secret-key.ts';
import { SecretsProject } from '../support/secrets-project.ts';

/** What the vault has, and so all others should. */
async function valuesOf(project: SecretsProject): Promise<Record<string, unknown>> {
  const { vault_changed_at, ...values } = (await project.vault()).variables;
  return values;
}

/** Whether the site can use everything that it uses, and its backups can be made. */
function worksWithEverything({ host }: SecretsProject): boolean {
  const { brokerUser, brokerPassword: password } = host.running;
  return host.brokerUsers[brokerUser] === password && host.backupKeys.includes(host.backupPassword);
}

async function expectEnd(project: SecretsProject): Promise<void> {
  const vault = await project.vault();
  const user = vault.text('vault_broker_user') ?? 'shop-production';
  expect(project.journal().unfinished()).toEqual([]);
  expect(project.git('status', '--porcelain')).toBe('');
  expect(project.host).toEqual({
    brokerUsers: { [user]: vault.text('vault_broker_password') },
    running: {
      secretKeys: [vault.text('vault_secret_key'), ...vault.list('vault_secret_key_fallbacks')],
      brokerUser: user,
      brokerPassword: vault.text('vault_broker_password'),
      own: vault.texts('vault_application_secrets'),
    },
    backupPassword: vault.text('vault_backup_password'),
    backupKeys: [vault.text('vault_backup_password')],
  });
}

const rotations: [name: string, secret: RotatableSecret, changes: string[]][] = [
  [
    'secret-key',
    secretKey,
    ['vault_secret_key', 'vault_secret_key_fallbacks', 'vault_secret_key_fallbacks_until'],
  ],
  ['broker-password', brokerPassword, ['vault_broker_password', 'vault_broker_user']],
  ['basic-auth-password', basicAuthPassword, ['vault_basic_auth_password']],
  ['backup-password', backupPassword, ['vault_backup_password']],
  ['STRIPE_KEY', ownSecret('STRIPE_KEY', { value: 'sk_1' }), ['vault_application_secrets']],
];

test.each(rotations)('%s gets another value, and nothing else does', async (_, secret, changes) => {
  const project = await SecretsProject.create();
  const before = await valuesOf(project);
  await project.rotate(secret);
  await expectEnd(project);
  const after = await valuesOf(project);
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  expect(names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name])).sort()).toEqual(
    changes.sort(),
  );
});

test.each(rotations)(
  'killed at any moment, the rotation of %s leaves a site that works, and goes on',
  async (name, secret) => {
    const project = await SecretsProject.create();
    const before = await valuesOf(project);
    const moments: SecretsProject[] = [];
    let head = project.git('rev-parse', 'HEAD');
    project.onMoment = (done) => {
      moments.push(project.copy());
      if (done === undefined || project.git('rev-parse', 'HEAD') === head) return;
      // Between the change of the vault and its commit.
      const uncommitted = project.copy();
      uncommitted.git('reset', '--quiet', head);
      moments.push(uncommitted);
      head = project.git('rev-parse', 'HEAD');
    };
    await project.rotate(secret);
    expect(moments.length).toBeGreaterThanOrEqual(7);

    let resumed = 0;
    for (const moment of moments) {
      expect(worksWithEverything(moment)).toBe(true);
      // Somebody provisions the host, not knowing of the rotation.
      const provisioned = moment.copy();
      await provisioned.apply();
      expect(worksWithEverything(provisioned)).toBe(true);
      const isNew = JSON.stringify(provisioned.host) !== JSON.stringify(moment.host);
      for (const cut of [moment, ...(isNew ? [provisioned] : [])]) {
        await cut.resume(secret);
        await expectEnd(cut);
        const { vault_secret_key_fallbacks: old } = await valuesOf(cut);
        // It was made once, however often that was tried.
        if (name === 'secret-key') expect(old).toEqual([before.vault_secret_key]);
      }
      resumed += 1;
    }
    expect(resumed).toBe(moments.length);
  },
  60_000,
);

test('the old secret key stays valid for as long as was said', async () => {
  const project = await SecretsProject.create();
  const [first] = project.host.running.secretKeys;
  await project.rotate(secretKey, { begun: '2026-01-01T00:00:00.000Z', keepOldDays: 10 });
  const [second] = project.host.running.secretKeys;
  expect(project.host.running.secretKeys).toEqual([second, first]);
  expect((await project.vault()).text('vault_secret_key_fallbacks_until')).toBe('2026-01-11T00:00:00.000Z');

  await project.rotate(secretKey, { begun: '2026-01-05T00:00:00.000Z', keepOldDays: 2 });
  const [third] = project.host.running.secretKeys;
  expect(project.host.running.secretKeys).toEqual([third, second, first]);
  expect((await project.vault()).text('vault_secret_key_fallbacks_until')).toBe('2026-01-11T00:00:00.000Z');

  await project.rotate(secretKey, { begun: '2026-02-01T00:00:00.000Z', keepOldDays: 10 });
  const [fourth] = project.host.running.secretKeys;
  expect(project.host.running.secretKeys).toEqual([fourth, third]);

  await project.rotate(oldSecretKeys);
  expect(project.host.running.secretKeys).toEqual([fourth]);
  await expectEnd(project);
});

test.each([
  ['leaked', { leaked: true }],
  ['to be kept for no day', { keepOldDays: 0 }],
])('a secret key that is %s is refused at once', async (_, settings) => {
  const project = await SecretsProject.create();
  const [old] = project.host.running.secretKeys;
  await project.rotate(secretKey, settings);
  expect(project.host.running.secretKeys).toHaveLength(1);
  expect(project.host.running.secretKeys).not.toContain(old);
  await expectEnd(project);
});

test('of a leaked password at the broker the old user is gone before the site starts anew', async () => {
  const project = await SecretsProject.create();
  const users: string[][] = [];
  project.onMoment = () => users.push(Object.keys(project.host.brokerUsers));
  await project.rotate(brokerPassword, { leaked: true });
  expect(users).not.toContainEqual(['shop-production', 'shop-production.2']);
  await expectEnd(project);
});

test('the broker’s user has one of two names in turn', async () => {
  const project = await SecretsProject.create();
  await project.rotate(brokerPassword);
  expect(Object.keys(project.host.brokerUsers)).toEqual(['shop-production.2']);
  await project.rotate(brokerPassword);
  expect(Object.keys(project.host.brokerUsers)).toEqual(['shop-production']);
});

test('what the site does not start with is taken back', async () => {
  const project = await SecretsProject.create();
  const before = await valuesOf(project);
  project.refuses = true;
  project.onMoment = () => {
    // Only the new value is refused.
    if (project.git('log', '-1', '--format=%s').startsWith('Take back')) project.refuses = false;
  };
  await expect(project.rotate(ownSecret('STRIPE_KEY', { value: 'sk_1' }))).rejects.toMatchObject({
    message: 'the new release is not well',
    remedy: expect.stringContaining('Everything is as it was before'),
  });
  expect(await valuesOf(project)).toEqual(before);
  await expectEnd(project);
  expect(project.git('log', '-1', '--format=%s')).toBe('Take back: Set the secret STRIPE_KEY of production');
});

test('when the host goes away meanwhile, the vault stays ahead of it, and the rotation goes on later', async () => {
  const project = await SecretsProject.create();
  project.onMoment = () => {
    if (project.git('log', '-1', '--format=%s') !== 'Start') project.isAway = true;
  };
  await expect(project.rotate(secretKey)).rejects.toMatchObject({
    remedy: expect.stringContaining('yo goboot:secrets --resume'),
  });
  expect(project.journal().unfinished()).toMatchObject([{ secret: 'secret-key', ended: ['vault'] }]);
  project.isAway = false;
  await project.resume(secretKey);
  await expectEnd(project);
});

test('a step after which the old value is gone is not taken back', async () => {
  const project = await SecretsProject.create();
  project.onMoment = () => {
    if (project.git('log', '-1', '--format=%s').startsWith('Remove the old user')) project.isAway = true;
  };
  await expect(project.rotate(brokerPassword)).rejects.toMatchObject({
    remedy: expect.stringMatching(/is not taken back.*\n.*--resume/s),
  });
  expect(worksWithEverything(project)).toBe(true);
  project.isAway = false;
  await project.resume(brokerPassword);
  await expectEnd(project);
});

test('the journal holds no value', async () => {
  const project = await SecretsProject.create();
  for (const [, secret] of rotations) await project.rotate(secret);
  const { readFileSync } = await import('node:fs');
  const journal = readFileSync(`${project.root}/.goboot/rotations.jsonl`, 'utf8');
  const values = [project.host.backupPassword, ...project.host.running.secretKeys, 'sk_1'];
  for (const value of values) expect(journal).not.toContain(value);
  expect(journal.trim().split('\n').length).toBeGreaterThan(20);
});
