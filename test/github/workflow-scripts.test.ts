import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { layerPath } from '../../lib/paths.ts';
import { run } from '../../lib/process.ts';
import { octokit, useGitHub } from '../support/github/clients.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const server = useGitHub();
const scripts = join(layerPath('github'), 'scripts');
const workflows = Object.fromEntries(
  ['lint.yml', 'test.yml'].map((name) => [`.github/workflows/${name}`, 'on: push\njobs: {}\n']),
);

let repository: string;
let commit: string;
let count = 0;

beforeEach(() => {
  count += 1;
  repository = `pro-user/shop${count}`;
  server().addRepository(repository, { files: workflows });
  commit = server().repository(repository)?.commits[0]?.sha as string;
});

/** Runs a script as a step of a workflow does, with a token that has what its job is given. */
async function step(
  script: string,
  args: readonly string[],
  permissions: Record<string, 'read' | 'write'>,
  env: Record<string, string> = {},
) {
  const directory = temporaryDirectory();
  const [output, summary] = [join(directory, 'output'), join(directory, 'summary.md')];
  for (const file of [output, summary]) writeFileSync(file, '');
  const token = server().token('fine-grained', 'pro-user', { permissions });
  const result = await run(join(scripts, script), args, {
    env: {
      ...{ GITHUB_API_URL: server().url, GITHUB_REPOSITORY: repository, GITHUB_TOKEN: token },
      ...{ GITHUB_OUTPUT: output, GITHUB_STEP_SUMMARY: summary, PYTHONDONTWRITEBYTECODE: '1' },
      ...env,
    },
  });
  return {
    ...result,
    output: readFileSync(output, 'utf8'),
    summary: readFileSync(summary, 'utf8'),
  };
}

describe('A deploy requires of its commit', () => {
  const checks = (reference = 'main', pauses = {}) =>
    step(
      'require_checks.py',
      [reference, 'lint.yml', 'test.yml'],
      { contents: 'read', actions: 'read', metadata: 'read' },
      { PAUSE_SECONDS: '0.1', SECONDS_TO_BEGIN: '0.5', ...pauses },
    );

  test('that lint and test have passed, and tells the commit of a branch', async () => {
    for (const name of ['lint.yml', 'test.yml']) {
      server().addRun(repository, name, { conclusion: 'success' });
    }
    const { exitCode, output, stderr } = await checks();
    expect(exitCode, stderr).toBe(0);
    expect(output).toBe(`commit=${commit}\n`);
  });

  test('that the newest run counts, of those that were not cancelled', async () => {
    server().addRun(repository, 'lint.yml', { conclusion: 'success' });
    server().addRun(repository, 'test.yml', { conclusion: 'failure' });
    server().addRun(repository, 'test.yml', { conclusion: 'success' });
    server().addRun(repository, 'test.yml', { conclusion: 'cancelled' });
    expect((await checks()).exitCode).toBe(0);
    const id = server().addRun(repository, 'lint.yml', { conclusion: 'failure' });
    const { exitCode, stdout, summary } = await checks();
    expect(exitCode).toBe(1);
    const link = `${server().origin}/${repository}/actions/runs/${id}`;
    const problem = `lint.yml has ended with failure for ${commit.slice(0, 8)}: ${link}`;
    expect(stdout.split('\n')).toContain(`::error::${problem}`);
    expect(summary).toBe(`Not deployed: ${problem}\n\n`);
  });

  test('that what still runs comes to an end', async () => {
    server().addRun(repository, 'lint.yml', { conclusion: 'success' });
    const id = server().addRun(repository, 'test.yml', {});
    const waiting = checks();
    await sleep(700);
    server().endRun(repository, id, 'failure');
    const { exitCode, stdout } = await waiting;
    expect(exitCode).toBe(1);
    expect(stdout).toContain('::error::test.yml has ended with failure');
  });

  test('that they have run for it at all, and says how', async () => {
    server().addRun(repository, 'lint.yml', { conclusion: 'success', sha: '0'.repeat(40) });
    server().addRun(repository, 'test.yml', { conclusion: 'success' });
    const { exitCode, stdout } = await checks();
    expect(exitCode).toBe(1);
    expect(stdout).toContain(
      `::error::lint.yml has not run for ${commit.slice(0, 8)}. Start it where that commit is the newest one: gh workflow run lint.yml --ref BRANCH`,
    );
  });

  test('that GitHub knows it', async () => {
    const { exitCode, stdout } = await checks('no/such branch');
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^::error::There is no branch, tag or commit no\/such branch$/m);
    expect(stdout).not.toContain('Traceback');
  });

  test('an answer of GitHub, which may take several attempts', async () => {
    for (const name of ['lint.yml', 'test.yml']) {
      server().addRun(repository, name, { conclusion: 'success' });
    }
    server().fail({ method: 'GET', path: /runs/, with: 'reset', times: 1 });
    expect((await checks()).exitCode).toBe(0);
    const { exitCode, stdout } = await step(
      'require_checks.py',
      ['main'],
      {},
      {
        ...{ GITHUB_API_URL: 'http://127.0.0.1:9', PAUSE_SECONDS: '0.1' },
      },
    );
    expect(exitCode).toBe(1);
    expect(stdout).toContain('::error::GitHub cannot be reached');
  });
});

describe('The check of a site', () => {
  const url = 'shop.example.com';
  const wrong = { problems: ['the certificate ends in 3 days'], figures: ['disk 9 % full'] };
  const check = (report: object | undefined, env: Record<string, string> = {}) => {
    const runner = temporaryDirectory();
    if (report) {
      writeFileSync(join(runner, 'answer.jsonl'), `${JSON.stringify({ event: 'report', ...report })}\n`);
    }
    return step(
      'report_problems.py',
      [],
      { issues: 'write', metadata: 'read' },
      {
        ...{ SITE: 'shop-production', RUNNER_TEMP: runner, REASON: '' },
        ...{ GITHUB_SERVER_URL: `https://${url}`, GITHUB_RUN_ID: '7' },
        ...env,
      },
    );
  };
  const issues = () => server().repository(repository)?.issues ?? [];

  test('opens no issue when all is well', async () => {
    const { exitCode, summary, stdout } = await check({ problems: [], figures: [] });
    expect(exitCode, stdout).toBe(0);
    expect(summary).toBe('All is well with shop-production.\n');
    expect(issues()).toEqual([]);
  });

  test('opens one issue, keeps it up to date, closes it when all is well, and opens another one later', async () => {
    const first = await check(wrong);
    expect(first.exitCode).toBe(1);
    expect(first.stdout).toContain('::error::shop-production needs attention: ');
    expect(issues()).toMatchObject([{ title: 'shop-production needs attention', state: 'open', number: 1 }]);
    expect(issues()[0]?.body).toBe(
      [
        'The check of shop-production has found something:',
        '',
        '- the certificate ends in 3 days',
        '',
        '    disk 9 % full',
        '',
        `Found by [this run](https://${url}/${repository}/actions/runs/7). The next one updates this issue, and closes it when all is well.`,
      ].join('\n'),
    );
    await check({ problems: ['no backup has been made yet'], figures: [] });
    expect(issues()).toHaveLength(1);
    expect(issues()[0]?.body).toContain('- no backup has been made yet\n');
    expect(issues()[0]?.body).not.toContain('certificate');
    expect((await check({ problems: [], figures: [] })).exitCode).toBe(0);
    expect(issues()).toMatchObject([{ state: 'closed' }]);
    await check(wrong);
    expect(issues()).toMatchObject([{ state: 'closed' }, { state: 'open' }]);
  });

  test('says so when the server could not be asked', async () => {
    await check(undefined, { REASON: 'The server did not answer: Connection timed out' });
    expect(issues()[0]?.body).toContain(
      '- the server could not be asked: The server did not answer: Connection timed out\n',
    );
  });

  test('tells nobody what is wrong in a public repository', async () => {
    repository = `${repository}-public`;
    server().addRepository(repository, { private: false, files: workflows });
    const { stdout, summary } = await check(wrong);
    const told = `${issues()[0]?.body}${stdout}${summary}`;
    expect(told).not.toMatch(/certificate|disk/);
    expect(told).toContain('`sudo shop-production-release report` says what is wrong');
  });

  test('says what GitHub refuses', async () => {
    server().fail({ method: 'POST', path: /issues$/, with: 403 });
    const { exitCode, stdout } = await check(wrong);
    expect(exitCode).toBe(1);
    expect(stdout).toContain(
      '::error::The issue about shop-production could not be brought up to date: GitHub answers 403',
    );
  });
});

describe('The plan in a pull request', () => {
  // To GitHub a pull request is an issue, too.
  const comment = async (plan: string | undefined, environment = 'production') => {
    const runner = temporaryDirectory();
    if (plan !== undefined) writeFileSync(join(runner, 'plan.md'), plan);
    return step(
      'comment_plan.py',
      [],
      { issues: 'write', metadata: 'read' },
      { RUNNER_TEMP: runner, ENVIRONMENT: environment, PULL_REQUEST: '1' },
    );
  };
  const comments = () =>
    server()
      .repository(repository)
      ?.issues[0]?.comments.map(({ body }) => body);

  beforeEach(async () => {
    const client = octokit(server(), server().token('classic', 'pro-user'));
    const [owner = '', repo = ''] = repository.split('/');
    await client.issues.create({ owner, repo, title: 'Change .ansible' });
    await client.issues.createComment({ owner, repo, issue_number: 1, body: 'Looks good' });
  });

  test('is one comment for each environment, which later plans take the place of', async () => {
    for (const plan of ['2 tasks', '3 tasks']) {
      const { exitCode, stdout } = await comment(plan);
      expect(exitCode, stdout).toBe(0);
    }
    await comment('1 task', 'staging');
    expect(comments()).toEqual([
      'Looks good',
      '<!-- plan of production -->\n3 tasks',
      '<!-- plan of staging -->\n1 task',
    ]);
  });

  test('is no comment where there is no plan', async () => {
    expect((await comment(undefined)).exitCode).toBe(0);
    expect(comments()).toEqual(['Looks good']);
  });
});
