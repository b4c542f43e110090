import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { visitorHeaders } from '../../lib/deploy/visitor.ts';
import { projectPaths } from '../../lib/paths.ts';
import { encryptVariables } from '../../lib/vault.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const password = 'correct "horse" $battery';

async function project(variables: string, secrets: Record<string, string>): Promise<string> {
  const root = temporaryDirectory();
  const file = join(root, projectPaths.environmentVariables('staging'));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, variables);
  writeFileSync(join(root, projectPaths.vaultPassword), 'open sesame\n');
  writeFileSync(join(root, projectPaths.vault('staging')), await encryptVariables(secrets, 'open sesame'));
  return root;
}

test('a site that asks nobody for a password gets no header', async () => {
  expect(await visitorHeaders(await project('domain: shop.example.com\n', {}), 'staging')).toEqual({});
  expect(await visitorHeaders(await project('nginx_basic_auth_user: ""\n', {}), 'staging')).toEqual({});
  expect(await visitorHeaders(temporaryDirectory(), 'staging')).toEqual({});
});

test('a site that asks for a password gets the one of its vault', async () => {
  const root = await project('nginx_basic_auth_user: friends\n', { vault_basic_auth_password: password });
  const { authorization = '' } = await visitorHeaders(root, 'staging');
  expect(Buffer.from(authorization.replace('Basic ', ''), 'base64').toString()).toBe(`friends:${password}`);
});

test('a vault without the password, or that does not open, is named', async () => {
  const without = await project('nginx_basic_auth_user: friends\n', { vault_secret_key: 'x' });
  await expect(visitorHeaders(without, 'staging')).rejects.toMatchObject({
    message: expect.stringContaining('the vault of staging has none'),
    remedy: expect.stringContaining('vault_basic_auth_password'),
  });
  writeFileSync(join(without, projectPaths.vaultPassword), 'wrong\n');
  await expect(visitorHeaders(without, 'staging')).rejects.toMatchObject({
    message: expect.stringContaining('vault.yml cannot be opened'),
  });
});
