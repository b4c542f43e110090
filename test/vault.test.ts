import { readFileSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Vault } from 'ansible-vault';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { projectPaths } from '../lib/paths.ts';
import { encryptVariables, ensureVaultPassword, newSiteSecrets } from '../lib/vault.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

test('secrets are long, differ from each other and from run to run', () => {
  const values = [...Object.values(newSiteSecrets()), ...Object.values(newSiteSecrets())];
  expect(new Set(values).size).toBe(6);
  for (const value of values) expect(value).toMatch(/^[A-Za-z0-9_-]{50}$/);
});

test('a vault opens with its password and shows nothing without', async () => {
  const vault = await encryptVariables({ vault_secret_key: 'open sesame' }, 'password');
  expect(vault).toMatch(/^\$ANSIBLE_VAULT;1\.1;AES256\n/);
  expect(vault).not.toContain('sesame');
  expect(parse((await new Vault({ password: 'password' }).decrypt(vault, undefined)) ?? '')).toEqual({
    vault_secret_key: 'open sesame',
  });
  await expect(new Vault({ password: 'wrong' }).decrypt(vault, undefined)).rejects.toThrow();
});

test('a new project gets a password that only its owner can read, and keeps it', async () => {
  const root = temporaryDirectory();
  const password = await ensureVaultPassword(root);
  const path = join(root, projectPaths.vaultPassword);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readFileSync(path, 'utf8')).toBe(`${password}\n`);
  expect(await ensureVaultPassword(root)).toBe(password);
});

test.each(['production', 'staging'])(
  'a project whose vault came without its password gets no new one: %s',
  async (environment) => {
    const root = temporaryDirectory();
    const vault = join(root, projectPaths.vault(environment));
    await mkdir(dirname(vault), { recursive: true });
    await writeFile(vault, 'sealed');
    expect(await ensureVaultPassword(root)).toBeUndefined();
  },
);
