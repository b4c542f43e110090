import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { ExecutedScripts, withoutServer } from '../support/actions/coverage.ts';
import { type Event, pullRequest, push } from '../support/actions/events.ts';
import { readWorkflow } from '../support/actions/files.ts';
import { localServicePrograms } from '../support/actions/job-services.ts';
import { commitChange, fileAt, workflowsAt } from '../support/actions/repository.ts';
import { runWorkflow, type WorkflowRun } from '../support/actions/run.ts';
import type { Conclusion } from '../support/actions/steps.ts';
import { TestRepository } from '../support/actions/test-repository.ts';
import { lookAtThisComputer, type ThisComputer } from '../support/actions/this-computer.ts';
import { missingServices } from '../support/services.ts';

// The workflows of a rendered project that need no server, executed as they are. The last test looks whether all of
// their scripts were.

const missing = missingServices();
const executed = new ExecutedScripts();
let directory: string;
let repository: TestRepository;
let computer: ThisComputer;
let services: Awaited<ReturnType<typeof localServicePrograms>> | undefined;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'goboot-runs-'));
  repository = TestRepository.copyOf(directory, inject('renderedProjects').shop);
  computer = await lookAtThisComputer(directory);
  if (missing.length === 0) services = await localServicePrograms();
});
afterAll(async () => {
  await services?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** Runs a workflow, with every Python that is here or with one. */
function start(file: string, event: Event, { one = false } = {}): Promise<WorkflowRun> {
  return runWorkflow(repository, `.github/workflows/${file}`, event, {
    ...computer.options(one ? computer.pythons.slice(0, 1) : computer.pythons),
    executed,
    ...(services && { services }),
  });
}

/** A push to main of one changed file, beside what is on main. */
function pushOf(path: string, change: (text: string) => string): Event {
  commitChange(repository, path, change, { branch: 'changed', from: 'main' });
  return { ...push(repository, { branch: 'changed' }), ref: 'refs/heads/main' };
}

/** Makes a branch where users have one more field, with its migration. Returns its name. */
function nickname(number: number, options: string): string {
  const branch = `nickname-${number}`;
  const field = `models.TextField(${options})`;
  commitChange(repository, 'accounts/models.py', (text) => withField(text, field), { branch, from: 'main' });
  const migration = [
    ...['from django.db import migrations, models', '', '', 'class Migration(migrations.Migration):'],
    '    dependencies = [("accounts", "0001_initial")]',
    `    operations = [migrations.AddField("user", "nickname", ${field})]`,
  ];
  commitChange(repository, 'accounts/migrations/0002_user_nickname.py', () => migration.join('\n'), {
    branch,
  });
  return branch;
}

/** The models with one more field. */
function withField(text: string, field: string): string {
  const imported = text.replace(/^from django/m, 'from django.db import models\nfrom django');
  return `${imported}\n    nickname = ${field}\n`;
}

/** What became of the jobs, by their names. */
function jobs(run: WorkflowRun): Record<string, Conclusion> {
  return Object.fromEntries(run.jobs.map(({ name, conclusion }) => [name, conclusion]));
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
  test('passes for a pull request with a migration that the running release can live with', async () => {
    const run = await start('test.yml', pullRequest(repository, { head: nickname(1, 'null=True') }));
    expect(run.conclusion, run.log).toBe('success');
    expect(jobs(run)).toEqual({
      ...Object.fromEntries(computer.pythons.map((version) => [`Python ${version}`, 'success'])),
      Migrations: 'success',
    });
    expect(run.log).toContain('1 new migrations: accounts.0002_user_nickname');
    expect(run.summary).toMatch(/^\| \*\*TOTAL\*\* +\|/m);
    expect(run.leaks).toEqual([]);
  });

  test('fails for a migration that the running release could not live with, and says what to do', async () => {
    const event = pullRequest(repository, { head: nickname(2, 'default=""'), number: 2 });
    const run = await start('test.yml', event, { one: true });
    expect(jobs(run)).toMatchObject({ [`Python ${computer.pythons[0]}`]: 'success', Migrations: 'failure' });
    const [error] = run.annotations.filter(({ level }) => level === 'error');
    expect(error?.message).toMatch(/^accounts\.0002_user_nickname, AddField .*nickname.*Instead: /);
    expect(run.summary).toContain('accounts.0002_user_nickname');
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
      { one: true },
    );
    expect(run.conclusion).toBe('failure');
    expect(steps(run)).toMatchObject({ 'Run the tests': 'failure' });
    expect(run.log).toContain('AssertionError: on purpose');
  });

  test('fails for a change of a model without a migration, before any test', async () => {
    const run = await start(
      'test.yml',
      pushOf('accounts/models.py', (text) => withField(text, 'models.TextField(null=True)')),
      { one: true },
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
