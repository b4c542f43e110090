import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { packageRoot } from '../../lib/paths.ts';
import { runOrThrow } from '../../lib/process.ts';
import { reservedModuleNames } from '../../lib/reserved-names.ts';
import { expectSuccess } from '../support/project-program.ts';
import { sampleNames } from '../support/rendered-project.ts';
import { missingServices, startServices } from '../support/services.ts';

/** What a server gives to the application, with values of no server. */
function productionVariables(name: string): Record<string, string> {
  return {
    DJANGO_SETTINGS_MODULE: `${name}.settings.production`,
    SECRET_KEY: 'a key of fifty different characters or more, as Django wants 0123456789',
    ALLOWED_HOSTS: 'shop.example.com',
    DATABASE_URL: 'postgresql://shop@127.0.0.1/shop',
    MEMCACHED_LOCATION: '127.0.0.1:11211',
    CELERY_BROKER_URL: 'amqp://guest@127.0.0.1//',
    EMAIL_URL: 'smtp://127.0.0.1:25',
    DEFAULT_FROM_EMAIL: 'webmaster@shop.example.com',
    ADMIN_EMAIL: 'webmaster@shop.example.com',
    STATIC_ROOT: '/tmp/static',
    MEDIA_ROOT: '/tmp/media',
  };
}

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
    await manage(['check', '--deploy', '--fail-level', 'WARNING'], productionVariables(name));
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

  test('passes its own tests with PostgreSQL, RabbitMQ and memcached', async (context) => {
    const missing = missingServices();
    if (missing.length > 0) context.skip(`not installed: ${missing.join(', ')}`);
    const services = await startServices();
    onTestFinished(services.stop);
    await expectSuccess('python', ['manage.py', 'test', '--no-input'], { cwd, env: services.variables });
  });

  test('passes all the hooks that run before a commit', async () => {
    await expectSuccess('pre-commit', ['run', '--all-files', '--show-diff-on-failure'], { cwd });
  });

  test('locks the versions that goboot was tested with, and no others', async () => {
    const { stdout } = await runOrThrow(
      'uv',
      [
        'export',
        '--locked',
        '--quiet',
        '--all-groups',
        '--no-emit-project',
        '--no-hashes',
        '--no-header',
        '--no-annotate',
      ],
      { cwd, failure: 'uv could not list the locked versions' },
    );
    const constraints = await readFile(join(packageRoot, 'lib/tested-versions/constraints.txt'), 'utf8');
    const tested = constraints.split('\n').filter((line) => line && !line.startsWith('#'));
    expect(stdout.trim().split('\n').sort()).toEqual(tested);
  });

  test('has a name that no module which it can import has', async () => {
    const names = JSON.parse(
      await expectSuccess('python', [join(packageRoot, 'scripts/list-module-names.py')], { cwd }),
    );
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
