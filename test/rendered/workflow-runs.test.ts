import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { runOrThrow } from '../../lib/process.ts';
import { ExecutedScripts, withoutServer } from '../support/actions/coverage.ts';
import { type Event, push } from '../support/actions/events.ts';
import { readWorkflow } from '../support/actions/files.ts';
import { localServicePrograms } from '../support/actions/job-services.ts';
import type { RunnerOptions } from '../support/actions/jobs.ts';
import { commitChange, fileAt, workflowsAt } from '../support/actions/repository.ts';
import { runWorkflow, type WorkflowRun } from '../support/actions/run.ts';
import { hasPython, setupUv } from '../support/actions/stand-ins.ts';
import type { Conclusion } from '../support/actions/steps.ts';
import { TestRepository } from '../support/actions/test-repository.ts';
import { missingServices } from '../support/services.ts';

// The workflows of a rendered project that need no server, executed as they are. The last test looks whether all of
// their scripts were.

const missing = missingServices();
const executed = new ExecutedScripts();
let directory: string;
let repository: TestRepository;
let options: RunnerOptions;
/** The versions of Python that the matrix has and this computer, too. */
const pythons: string[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'goboot-runs-'));
  repository = TestRepository.copyOf(directory, inject('renderedProjects').shop);
  for (const version of ['3.11', '3.12', '3.13', '3.14']) if (await hasPython(version)) pythons.push(version);
  const services = missing.length > 0 ? undefined : await localServicePrograms();
  // Packages are downloaded once, for all tests of this computer.
  const { stdout: cache } = await runOrThrow('uv', ['cache', 'dir'], { failure: 'uv knows no cache' });
  const caches = mkdtempSync(join(directory, 'caches-'));
  symlinkSync(cache.trim(), join(caches, 'uv'));
  options = {
    directory,
    caches,
    executed,
    standIns: { 'astral-sh/setup-uv': setupUv({ otherwise: pythons.at(-1) }) },
    ...(services && { services }),
  };
  return services?.stop;
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Runs a workflow, of a matrix over versions of Python those that are here, or only some of these. */
function start(file: string, event: Event, versions = pythons): Promise<WorkflowRun> {
  return runWorkflow(repository, `.github/workflows/${file}`, event, {
    ...options,
    combination: (matrix) => versions.includes(String(matrix['python-version'] ?? versions[0])),
  });
}

/** A push to main of one changed file, beside what is on main. */
function pushOf(path: string, change: (text: string) => string): Event {
  commitChange(repository, path, change, { branch: 'changed', from: 'main' });
  return { ...push(repository, { branch: 'changed' }), ref: 'refs/heads/main' };
}

/** What became of the steps of the first job, by their names. */
function steps({ jobs }: WorkflowRun): Record<string, Conclusion> {
  return Object.fromEntries((jobs[0]?.steps ?? []).map(({ name, conclusion }) => [name, conclusion]));
}

describe('lint.yml', () => {
  test('passes for a project as it is rendered', async () => {
    const run = await start('lint.yml', push(repository));
    expect(run.conclusion, run.log).toBe('success');
    expect(run.leaks).toEqual([]);
  });

  test('fails for code that ruff would change, and says where', async () => {
    const run = await start(
      'lint.yml',
      pushOf('pages/views.py', (text) => text.replace(/^(?=from|import)/m, 'import antigravity\n')),
    );
    expect(run.conclusion).toBe('failure');
    expect(run.log).toContain('-import antigravity');
  });
});

describe.skipIf(missing.length > 0)('test.yml, with PostgreSQL, RabbitMQ and memcached', () => {
  test('passes for a project as it is rendered, with every Python that is here', async () => {
    const run = await start('test.yml', push(repository));
    expect(run.conclusion, run.log).toBe('success');
    expect(run.jobs.filter(({ conclusion }) => conclusion === 'success')).toHaveLength(pythons.length);
    expect(run.leaks).toEqual([]);
  });

  test('fails for a test that fails', async () => {
    const run = await start(
      'test.yml',
      pushOf('pages/tests/test_pages.py', (text) =>
        text.replace(
          /( +)def test_\w+\(self.*\n/,
          (line, indent) => `${line}${indent}    self.fail("on purpose")\n`,
        ),
      ),
      pythons.slice(0, 1),
    );
    expect(run.conclusion).toBe('failure');
    expect(steps(run)).toMatchObject({ 'Run the tests': 'failure' });
    expect(run.log).toContain('AssertionError: on purpose');
  });

  test('fails for a change of a model without a migration, before any test', async () => {
    const run = await start(
      'test.yml',
      pushOf('accounts/models.py', (text) =>
        `${text}\n    nickname = models.TextField()\n`.replace(
          /^from django/m,
          'from django.db import models\nfrom django',
        ),
      ),
      pythons.slice(0, 1),
    );
    expect(run.conclusion).toBe('failure');
    expect(steps(run)).toMatchObject({
      'Check that every model change has its migration': 'failure',
      'Run the tests': 'skipped',
    });
    expect(run.log).toContain('nickname');
  });

  test('and lint.yml have no script that was not executed', () => {
    const commit = push(repository).sha;
    const paths = workflowsAt(repository, commit).filter((path) => withoutServer.includes(path));
    expect(paths).toEqual(withoutServer);
    const files = paths.map((path) => readWorkflow(path, fileAt(repository, commit, path)));
    expect(executed.missing(files)).toEqual([]);
  });
});
