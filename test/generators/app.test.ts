import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import helpers from 'yeoman-test';
import AppGenerator from '../../generators/app/index.ts';
import { addDeployPublicKey, readDeployPublicKeys } from '../../lib/ansible/deploy-public-keys.ts';
import { makeDeployKeyPair } from '../../lib/ssh/key-pair.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const flags = {
  domain: 'shop.example.com',
  author: 'Ada',
  email: 'ada@example.com',
  'skip-deploy': true,
  'skip-github': true,
  yes: true,
  quiet: true,
};

beforeEach(() => {
  // Locking the Python packages needs a network; what it does is tested with the rendered project.
  vi.stubEnv('UV_OFFLINE', '1');
  vi.stubEnv('UV_CACHE_DIR', temporaryDirectory());
});
afterEach(() => vi.unstubAllEnvs());

/** Runs the generator in a directory, as `yo goboot shop …` would. */
async function scaffold(
  directory: string,
  options: Record<string, unknown> = {},
  name = 'shop',
): Promise<string> {
  await helpers
    .run(
      // Yeoman's types want every parameter of the constructor to be optional.
      AppGenerator as never,
      { namespace: 'goboot:app', resolved: join(import.meta.dirname, '../../generators/app/index.ts') },
      { cwd: directory, tmpdir: false } as never,
    )
    .withArguments([name])
    .withOptions({ ...flags, force: false, ...options } as never);
  return join(directory, name);
}

const git = (cwd: string, ...args: string[]) => execFileSync('git', args, { cwd, encoding: 'utf8' }).trim();

test('a project is rendered and committed, without its vault password', async () => {
  const root = await scaffold(temporaryDirectory());
  const committed = git(root, 'ls-tree', '-r', '--name-only', 'HEAD').split('\n');
  expect(committed).toEqual(
    expect.arrayContaining([
      'manage.py',
      '.yo-rc.json',
      '.ansible/ssh_config',
      '.ansible/inventory/production/group_vars/all/vault.yml',
    ]),
  );
  expect(committed).not.toContain('.ansible/vault_password');
  expect(statSync(join(root, '.ansible/vault_password')).mode & 0o777).toBe(0o600);
  expect(git(root, 'status', '--porcelain')).toBe('');
  expect(statSync(join(root, 'manage.py')).mode & 0o111).toBe(0o111);
});

test('the answers that later commands need are kept, and nothing secret', async () => {
  const root = await scaffold(temporaryDirectory(), { port: '2222' });
  const stored = JSON.parse(readFileSync(join(root, '.yo-rc.json'), 'utf8'))['generator-goboot'];
  expect(stored).toMatchObject({
    project: { projectName: 'shop', author: 'Ada', email: 'ada@example.com' },
    environments: { production: { domain: 'shop.example.com', host: 'shop.example.com', port: 2222 } },
  });
  expect(readFileSync(join(root, '.yo-rc.json'), 'utf8')).not.toMatch(/password|secret/i);
});

test('a second run changes nothing and makes no commit', async () => {
  const directory = temporaryDirectory();
  const root = await scaffold(directory);
  const vault = readFileSync(join(root, '.ansible/inventory/production/group_vars/all/vault.yml'), 'utf8');
  await scaffold(directory);
  expect(git(root, 'rev-list', '--count', 'HEAD')).toBe('1');
  expect(git(root, 'status', '--porcelain')).toBe('');
  expect(readFileSync(join(root, '.ansible/inventory/production/group_vars/all/vault.yml'), 'utf8')).toBe(
    vault,
  );
});

test('a new answer is rendered and committed on a second run; a user’s other changes stay uncommitted', async () => {
  const directory = temporaryDirectory();
  const root = await scaffold(directory);
  writeFileSync(join(root, 'notes.txt'), 'mine');
  await scaffold(directory, { port: '2222', force: true });
  expect(git(root, 'show', '--name-only', '--format=', 'HEAD').split('\n').sort()).toEqual([
    '.ansible/ssh_config',
    '.yo-rc.json',
  ]);
  expect(git(root, 'status', '--porcelain')).toBe('?? notes.txt');
});

test('a colleague renders again, without the key file that the project names, and nothing changes', async () => {
  const directory = temporaryDirectory();
  const key = join(temporaryDirectory(), 'ada');
  writeFileSync(key, '-----BEGIN OPENSSH PRIVATE KEY-----\n');
  const root = await scaffold(directory, { 'key-file': key });
  rmSync(key);
  await scaffold(directory);
  expect(git(root, 'rev-list', '--count', 'HEAD')).toBe('1');
  expect(readFileSync(join(root, '.yo-rc.json'), 'utf8')).toContain(key);
});

test('the deploy key stays when the project is rendered again', async () => {
  const directory = temporaryDirectory();
  const root = await scaffold(directory);
  const { publicKey } = makeDeployKeyPair('shop-production');
  await addDeployPublicKey(root, 'production', publicKey);
  git(root, 'commit', '--quiet', '--all', '--message', 'Let GitHub deploy');
  await scaffold(directory);
  expect(git(root, 'rev-list', '--count', 'HEAD')).toBe('2');
  expect(await readDeployPublicKeys(root, 'production')).toEqual([publicKey]);
});

test('a file that the user changed is not overwritten in silence', async () => {
  const directory = temporaryDirectory();
  const root = await scaffold(directory);
  writeFileSync(join(root, 'README.md'), 'mine');
  await expect(scaffold(directory)).rejects.toMatchObject({
    code: 2,
    message: expect.stringContaining('README.md'),
  });
  expect(readFileSync(join(root, 'README.md'), 'utf8')).toBe('mine');
});

test.each([['check'], ['dry-run']])('--%s writes nothing', async (flag) => {
  const directory = temporaryDirectory();
  const root = await scaffold(directory, { [flag]: true });
  expect(existsSync(root)).toBe(false);
});

test('a directory with somebody’s files is refused, and they stay', async () => {
  const directory = temporaryDirectory();
  execFileSync('mkdir', [join(directory, 'shop')]);
  writeFileSync(join(directory, 'shop', 'thesis.txt'), 'mine');
  await expect(scaffold(directory)).rejects.toMatchObject({
    code: 3,
    message: expect.stringContaining('thesis.txt'),
  });
  expect(readFileSync(join(directory, 'shop', 'thesis.txt'), 'utf8')).toBe('mine');
});
