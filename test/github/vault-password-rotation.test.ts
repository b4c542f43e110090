import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { GobootError } from '../../lib/errors.ts';
import { projectPaths } from '../../lib/paths.ts';
import { open, seal } from '../../lib/secrets/sealed-text.ts';
import { vaultPassword } from '../../lib/secrets/vault-password-rotation.ts';
import { readVault } from '../../lib/vault.ts';
import { sampleCommandLines } from '../support/command-lines.ts';
import { useGitHub } from '../support/github/clients.ts';
import { git } from '../support/local-project.ts';
import { dieBefore, killBefore, makeRequestsMortal, momentsOf } from '../support/mortality.ts';
import { PublishedProject } from '../support/published-project.ts';
import { errorOf, look, resume, rotate } from '../support/rotations.ts';

vi.mock('node:fs/promises', async (original) =>
  (await import('../support/mortality.ts')).mortalFiles(await original()),
);
vi.mock('../../lib/process.ts', async (original) =>
  (await import('../support/mortality.ts')).mortalPrograms(await original()),
);

const server = useGitHub();
let project: PublishedProject;
let stopCounting: () => void;

/** Values of the project's own in other files than the vaults of its environments. */
const inlineFile = '.ansible/group_vars/all/inline.yml';

beforeAll(async () => {
  project = await PublishedProject.publish(server());
  const sealed = await seal('an own value', password(), 'prod');
  project.write(inlineFile, `own: !vault |\n${sealed.replaceAll(/^/gm, '  ')}\nplain: stays\n`);
  await project.commit('Encrypt a value');
  stopCounting = makeRequestsMortal();
}, 60_000);
afterAll(async () => {
  stopCounting();
  await project.remove();
});

const password = () => readFileSync(join(project.root, projectPaths.vaultPassword), 'utf8').trim();
const read = (path: string) => readFileSync(join(project.root, path), 'utf8');
const environments = ['production', 'staging'] as const;
const vaults = environments.map(projectPaths.vault);

const make = vaultPassword.rotation;

async function contents(): Promise<unknown> {
  return Promise.all(environments.map((environment) => readVault(project.root, environment)));
}

/** All that has to hold when a rotation has come to its end. */
async function expectRotated(old: string, before: unknown): Promise<void> {
  expect(password()).not.toBe(old);
  expect(await contents()).toEqual(before);
  for (const path of vaults) {
    expect(await open(read(path), old)).toBeUndefined();
    expect(statSync(join(project.root, path)).mode & 0o777).toBe(0o644);
  }
  expect(await open(inlineValue(), password())).toBe('an own value');
  expect(read(inlineFile)).toMatch(/\$ANSIBLE_VAULT;1\.2;AES256;prod\n[\s\S]*\nplain: stays\n$/);
  for (const environment of environments) {
    expect(project.secrets(environment).ANSIBLE_VAULT_PASSWORD).toBe(password());
  }
  expect(git(project.root, 'status', '--porcelain')).toBe('');
  expect(statSync(join(project.root, projectPaths.vaultPassword)).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(project.root, '.goboot')).filter((name) => name.startsWith('vault'))).toEqual([]);
}

const inlineValue = () =>
  read(inlineFile)
    .split('\n')
    .filter((line) => line.startsWith('  '))
    .map((line) => line.trim())
    .join('\n');

test('every vault, GitHub and the file on this computer get a new password, and the old one opens nothing', async () => {
  const [old, before] = [password(), await contents()];
  const told: string[] = [];
  project.applySecrets = async (environment) => void told.push(environment?.name ?? '');
  const { afterwards } = await rotate(project, make);
  await expectRotated(old, before);
  expect(told).toEqual(['production', 'staging']);
  expect(afterwards?.join('\n')).toMatch(/Give the new .ansible\/vault_password to everybody/);
  expect(git(project.root, 'log', '-1', '--format=%s')).toBe('Rotate the password of the vaults');
});

test('the list knows that GitHub has it, and when somebody overwrites it there', async () => {
  expect(await look(project, vaultPassword)).toMatchObject({ differences: [], unknown: [] });
  const wrong = `${password()}\n`;
  writeFileSync(join(project.root, projectPaths.vaultPassword), 'another one');
  expect(await look(project, vaultPassword)).toMatchObject({ differences: ['GitHub'] });
  writeFileSync(join(project.root, projectPaths.vaultPassword), wrong);
});

test('neither password is in a command line, a commit, an error or a file that outlives the run', async () => {
  const [old, before] = [password(), await contents()];
  const stopSampling = sampleCommandLines();
  await rotate(project, make);
  const seen = [...(await stopSampling())].join('\n');
  await expectRotated(old, before);
  const files = git(project.root, 'ls-files', '-co')
    .split('\n')
    .filter((path) => path !== projectPaths.vaultPassword);
  const texts = [seen, git(project.root, 'log', '--all', '--patch'), ...files.map(read)];
  for (const secret of [old, password()]) {
    for (const text of texts) expect(text.includes(secret)).toBe(false);
  }
});

test('a run that is killed at any moment leaves a way to the end, and the next one takes it', async () => {
  dieBefore();
  await rotate(project, make);
  const acts = dieBefore();
  expect(acts).toBeGreaterThan(60);
  for (const nth of momentsOf(acts)) {
    const [old, before] = [password(), await contents()];
    await killBefore(nth, () => rotate(project, make));
    const opens = await contents().catch((error: GobootError) => error.remedy);
    expect([
      before,
      'A rotation of the password was cut off. To end it: yo goboot:secrets --resume',
    ]).toContainEqual(opens);
    // What was killed before anything was noted has not begun.
    if ((await resume(project, make)) === 0) await rotate(project, make);
    await expectRotated(old, before);
  }
}, 900_000);

test('what GitHub refuses is taken back: files, password and GitHub are to the byte as they were', async () => {
  const files = () => [...vaults, inlineFile, projectPaths.vaultPassword].map(read);
  const before = files();
  const nth = 2;
  server().fail({ method: 'PUT', path: /ANSIBLE_VAULT_PASSWORD/, nth, with: 403, times: 1 });
  expect(await errorOf(rotate(project, make))).toMatch(/Everything is as it was before/);
  expect(files()).toEqual(before);
  for (const environment of environments) {
    expect(project.secrets(environment).ANSIBLE_VAULT_PASSWORD).toBe(password());
  }
  expect(existsSync(join(project.root, projectPaths.vaultRekeying))).toBe(false);
  expect(git(project.root, 'status', '--porcelain')).toBe('');
});

test('while GitHub is away both ways stay open, and the rotation is ended later', async () => {
  const [old, before] = [password(), await contents()];
  server().fail({
    method: 'PUT',
    path: /ANSIBLE_VAULT_PASSWORD/,
    with: 500,
    times: Number.POSITIVE_INFINITY,
  });
  expect(await errorOf(rotate(project, make))).toMatch(/--resume/);
  expect(await contents()).toEqual(before);
  server().heal();
  expect(await resume(project, make)).toBe(1);
  await expectRotated(old, before);
});

test('a host that does not answer is named and keeps nobody from a new password', async () => {
  const [old, before] = [password(), await contents()];
  const warnings: string[] = [];
  project.onWarning = (message) => warnings.push(message);
  project.applySecrets = async (environment) => {
    if (environment?.name === 'staging') throw new GobootError('admin@192.0.2.10 does not answer');
  };
  await rotate(project, make);
  await expectRotated(old, before);
  expect(warnings).toEqual([
    'The host of staging was not told: admin@192.0.2.10 does not answer. Nothing has to change there; its next deploy provisions it again',
  ]);
});

test('a vault that was edited after everything was prepared keeps its edit', async () => {
  const old = password();
  dieBefore();
  await rotate(project, make);
  const acts = dieBefore();
  // Somewhere in the middle of what follows the preparation.
  await killBefore(Math.floor(acts / 2), () => rotate(project, make));
  const current = password();
  const path = projectPaths.vault('staging');
  const opener = (await open(read(path), current)) === undefined ? undefined : current;
  const edited = await seal('vault_secret_key: edited\n', opener ?? old, '');
  writeFileSync(join(project.root, path), `${edited}\n`);
  await resume(project, make);
  expect(await readVault(project.root, 'staging')).toEqual({ vault_secret_key: 'edited' });
});

test('whoever lacks the password, or has a wrong one, hears so before anything is changed', async () => {
  const path = join(project.root, projectPaths.vaultPassword);
  const right = readFileSync(path, 'utf8');
  rmSync(path);
  expect(await errorOf(rotate(project, make))).toMatch(
    /vault_password is missing[\s\S]*Only who has the password/,
  );
  writeFileSync(path, 'wrong\n');
  expect(await errorOf(rotate(project, make))).toMatch(
    /vault.yml cannot be opened with .ansible\/vault_password\nSomebody may have rotated the password/,
  );
  writeFileSync(path, '#!/bin/sh\necho secret\n');
  chmodSync(path, 0o700);
  expect(await errorOf(rotate(project, make))).toMatch(/is a program that prints the password/);
  chmodSync(path, 0o600);
  writeFileSync(path, right);
  expect(git(project.root, 'status', '--porcelain')).toBe('');
});

test('vaults with changes that are not committed are left alone', async () => {
  const path = projectPaths.vault('production');
  const before = read(path);
  project.write(path, `${await seal('vault_secret_key: changed\n', password(), '')}\n`);
  expect(await errorOf(rotate(project, make))).toMatch(/has changes that are not committed/);
  project.write(path, before);
});
