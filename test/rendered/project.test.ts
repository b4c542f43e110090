import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import { packageRoot } from '../../lib/paths.ts';
import { reservedModuleNames } from '../../lib/reserved-names.ts';
import { lockedVersions } from '../support/locked-versions.ts';
import { expectSuccess } from '../support/project-program.ts';
import { sampleNames } from '../support/rendered-project.ts';
import { readWorkflows } from '../support/workflows.ts';

describe.each(sampleNames)('A project called %s', (name) => {
  const cwd = inject('renderedProjects')[name];
  const manage = (args: string[], env: Record<string, string> = {}) =>
    expectSuccess('python', ['manage.py', ...args], { cwd, env });

  test('passes its own tests without any service', async () => {
    await manage(['test', '--no-input']);
  });

  test('has a migration for every model', async () => {
    await manage(['makemigrations', '--check', '--dry-run']);
  });

  test("passes Django's checks for development", async () => {
    await manage(['check', '--fail-level', 'WARNING']);
  });

  test("passes Django's checks for deployment", async () => {
    // The variables of a server, as the test workflow gives them.
    const workflow = (await readWorkflows(cwd)).find(({ file }) => file === 'test.yml');
    const job = workflow?.jobs.test;
    const step = job?.steps.find(({ run }) => run?.includes('check --deploy'));
    const secretKey = { SECRET_KEY: randomBytes(50).toString('base64url') };
    await manage(['check', '--deploy', '--fail-level', 'WARNING'], {
      ...job?.env,
      ...step?.env,
      ...secretKey,
    });
  });

  test('has nothing that ruff would report or reformat', async () => {
    await expectSuccess('ruff', ['check', '--no-cache', '.'], { cwd });
    await expectSuccess('ruff', ['format', '--no-cache', '--check', '--diff', '.'], { cwd });
  });

  test('has nothing that djlint would report or reformat', async () => {
    await expectSuccess('djlint', ['--lint', '.'], { cwd });
    await expectSuccess('djlint', ['--check', '.'], { cwd });
  });

  test('has nothing that yamllint would report', async () => {
    await expectSuccess('yamllint', ['--strict', '.'], { cwd });
  });
});

describe('The project', () => {
  const cwd = inject('renderedProjects').shop;

  test('locks the versions that goboot was tested with, and no others', async () => {
    const stdout = await lockedVersions(cwd);
    const constraints = await readFile(join(packageRoot, 'lib/tested-versions/constraints.txt'), 'utf8');
    const tested = constraints.split('\n').filter((line) => line && !line.startsWith('#'));
    expect(stdout.trim().split('\n').sort()).toEqual(tested);
  });

  test('has a name that no module which it can import has', async () => {
    const { stdout } = await expectSuccess('python', [join(packageRoot, 'scripts/list-module-names.py')], {
      cwd,
    });
    const names = JSON.parse(stdout);
    const importable: string[] = [
      ...names.keywords,
      ...names.standardLibrary,
      ...Object.keys(names.packages),
    ];
    const possible = importable.filter((name) => /^[a-z][a-z0-9_]*$/.test(name) && !name.includes('__'));
    expect(possible.length).toBeGreaterThan(300);
    expect(possible.filter((name) => !reservedModuleNames.has(name))).toEqual([]);
  });
});
