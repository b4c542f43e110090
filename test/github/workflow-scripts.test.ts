import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { layerPath } from '../../lib/paths.ts';
import { run } from '../../lib/process.ts';
import { useGitHub } from '../support/github/clients.ts';
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
