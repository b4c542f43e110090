import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runChecks } from '../../lib/preflight/check.ts';
import { projectDirectoryCheck } from '../../lib/preflight/project-directory.ts';
import { vaultPasswordCheck } from '../../lib/preflight/vault-password.ts';
import { sampleEnvironment } from '../support/sample.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const judge = async (projectRoot: string, check = projectDirectoryCheck) =>
  (await runChecks([check], { projectRoot, projectName: 'shop', environment: sampleEnvironment() }))[0];

test('a project’s directory may be new, empty or an earlier project', async () => {
  const directory = temporaryDirectory();
  expect(await judge(join(directory, 'new'))).toMatchObject({ status: 'ok' });
  expect(await judge(directory)).toMatchObject({ status: 'ok', detail: 'empty' });
  writeFileSync(join(directory, '.yo-rc.json'), '{}');
  expect(await judge(directory)).toMatchObject({ status: 'ok' });
});

test('it may not hold somebody’s files or be a file', async () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'theirs'));
  writeFileSync(join(directory, 'theirs', 'thesis.txt'), '');
  expect(await judge(join(directory, 'theirs'))).toMatchObject({
    status: 'failed',
    detail: expect.stringContaining('thesis.txt'),
  });
  expect(await judge(join(directory, 'theirs', 'thesis.txt'))).toMatchObject({
    status: 'failed',
    detail: expect.stringContaining('is a file'),
  });
});

test('a clone without its vault password fails with where to get it', async () => {
  expect(await judge(temporaryDirectory(), vaultPasswordCheck)).toMatchObject({
    status: 'failed',
    remedy: expect.stringContaining('.ansible/vault_password'),
  });
});
