import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fingerprintsBeforeVault, provisionFingerprint } from '../../lib/deploy/fingerprint.ts';
import { commit } from '../../lib/git.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const identity = { name: 'Ada', email: 'ada@example.com' };

async function project(): Promise<string> {
  const root = temporaryDirectory();
  for (const [path, contents] of Object.entries({
    'manage.py': '',
    '.ansible/provision.yml': '- hosts: all\n',
    '.ansible/plugins/modules/converge.py': '',
    '.ansible/roles/nginx/tasks/main.yml': '[]\n',
    '.ansible/inventory/production/hosts.yml': 'all:\n',
    '.ansible/inventory/staging/hosts.yml': 'all:\n',
  })) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), contents);
  }
  await commit(root, { message: 'Start', identity });
  return root;
}

async function fingerprintAfter(root: string, path: string): Promise<string> {
  writeFileSync(join(root, path), 'changed\n');
  await commit(root, { message: 'Change', paths: [path], identity });
  return provisionFingerprint(root, 'production');
}

test('the fingerprint is the one that the playbook computes', async () => {
  const root = await project();
  const pipe =
    'git ls-files -s -- provision.yml group_vars plugins roles inventory/production | git hash-object --stdin';
  const expected = execFileSync('sh', ['-c', pipe], { cwd: join(root, '.ansible'), encoding: 'utf8' }).trim();
  expect(await provisionFingerprint(root, 'production')).toBe(expected);
});

test('it changes with a role, a plug-in and the environment’s inventory, and with nothing else', async () => {
  const root = await project();
  const before = await provisionFingerprint(root, 'production');
  expect(await fingerprintAfter(root, 'manage.py')).toBe(before);
  expect(await fingerprintAfter(root, '.ansible/inventory/staging/hosts.yml')).toBe(before);
  const withRole = await fingerprintAfter(root, '.ansible/roles/nginx/tasks/main.yml');
  expect(withRole).not.toBe(before);
  const withInventory = await fingerprintAfter(root, '.ansible/inventory/production/hosts.yml');
  expect(withInventory).not.toBe(withRole);
  expect(await fingerprintAfter(root, '.ansible/plugins/modules/converge.py')).not.toBe(withInventory);
});

test('what was provisioned before secrets changed differs in them alone, and so needs no provisioning', async () => {
  const root = await project();
  const vault = '.ansible/inventory/production/group_vars/all/vault.yml';
  const change = async (path: string, text: string) => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
    await commit(root, { message: 'Change', paths: [path], identity });
    return provisionFingerprint(root, 'production');
  };
  await change(vault, 'one');
  const withRole = await change('.ansible/roles/nginx/tasks/main.yml', 'changed\n');
  expect(await fingerprintsBeforeVault(root, 'production')).toEqual([]);
  const second = await change(vault, 'two');
  await change('manage.py', 'not provisioned');
  await change(vault, 'three');
  expect(await fingerprintsBeforeVault(root, 'production')).toEqual([second, withRole]);
});
