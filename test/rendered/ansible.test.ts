import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { projectPaths } from '../../lib/paths.ts';
import { defaultEnvironment, siteName } from '../../lib/project.ts';
import { expectSuccess } from '../support/project-program.ts';
import { sampleNames } from '../support/rendered-project.ts';

const parseTemplates = `
import pathlib, sys
from jinja2 import Environment
paths = sorted(pathlib.Path("roles").rglob("*.j2"))
for path in paths:
    Environment(extensions=["jinja2.ext.do"]).parse(path.read_text(), filename=str(path))
print(len(paths))
`;

describe.each(sampleNames)('The playbooks of a project called %s', (name) => {
  const project = inject('renderedProjects')[name];
  const cwd = join(project, projectPaths.ansible);
  const site = siteName(name, defaultEnvironment);

  test("pass Ansible's own check of their syntax", async () => {
    const playbooks = (await readdir(cwd)).filter((file) => file.endsWith('.yml') && !file.startsWith('.'));
    expect(playbooks).toEqual(expect.arrayContaining(['deploy.yml', 'provision.yml', 'secrets.yml']));
    for (const playbook of playbooks) {
      await expectSuccess('ansible-playbook', ['--syntax-check', playbook], { cwd });
    }
  });

  test('find the site in the inventory, in a group for each thing that it needs', async () => {
    const inventory = JSON.parse((await expectSuccess('ansible-inventory', ['--list'], { cwd })).stdout);
    for (const group of [defaultEnvironment, 'web', 'worker', 'beat', 'database', 'broker', 'cache']) {
      expect(inventory[group]?.hosts, group).toEqual([site]);
    }
  });

  test("can read the site's variables, the encrypted ones too", async () => {
    const variables = JSON.parse(
      (await expectSuccess('ansible-inventory', ['--host', site], { cwd })).stdout,
    );
    expect(variables).toMatchObject({ project_name: name, environment_name: defaultEnvironment, site });
    expect(variables.vault_secret_key).toMatch(/^.{50}$/);
    expect(variables.vault_broker_password).toMatch(/^.{50}$/);
  });

  test('hold the secrets encrypted only', async () => {
    const vault = await readFile(join(project, projectPaths.vault(defaultEnvironment)), 'utf8');
    expect(vault).toMatch(/^\$ANSIBLE_VAULT;1\.1;AES256\n[0-9a-f\n]+$/);
  });
});

describe('The playbooks', () => {
  const project = inject('renderedProjects').shop;
  const cwd = join(project, projectPaths.ansible);

  // The lint workflow's own test runs it, as one of the hooks.
  test('are held to the production profile of ansible-lint', async () => {
    expect(parse(await readFile(join(cwd, '.ansible-lint'), 'utf8')).profile).toBe('production');
    const hooks = parse(await readFile(join(project, '.pre-commit-config.yaml'), 'utf8'));
    expect(hooks.repos.flatMap(({ hooks }: { hooks: { id: string }[] }) => hooks)).toContainEqual(
      expect.objectContaining({ id: 'ansible-lint' }),
    );
  });

  test('have templates that Jinja can parse', async () => {
    const { stdout } = await expectSuccess('python', ['-c', parseTemplates], { cwd });
    expect(Number(stdout)).toBeGreaterThan(5);
  });

  test('have no finding for shellcheck in their shell scripts', async () => {
    const scripts: string[] = [];
    for (const entry of await readdir(project, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (!entry.isFile() || /\/(\.venv|\.git)\//.test(path)) continue;
      const text = await readFile(path, 'utf8');
      const [firstLine = ''] = text.split('\n', 1);
      if (!/^#!.*\b(ba|da)?sh\b/.test(firstLine)) continue;
      scripts.push(path);
      // Shells see what an expression yields, so a word stands in for it.
      const input = text.replaceAll(/\{\{.*?\}\}/gs, 'value');
      await expectSuccess('shellcheck', ['-'], { cwd: project, input });
    }
    expect(scripts.length).toBeGreaterThan(0);
  });
});

describe('The sizes of the services', () => {
  const cwd = join(inject('renderedProjects').shop, projectPaths.ansible);
  const names = [
    ...['application_web_workers', 'application_web_threads', 'application_worker_processes'],
    ...['postgresql_shared_buffers', 'postgresql_work_mem', 'rabbitmq_memory_high_watermark_mib'],
  ];

  /** What the roles make of hosts that tell so many processors and so many MiB of memory, and of variables. */
  async function sizesOn(
    hosts: { processors: number; memory: number; variables?: Record<string, unknown> }[],
  ): Promise<unknown[][]> {
    const directory = await mkdtemp(join(tmpdir(), 'sizes-'));
    onTestFinished(() => rm(directory, { recursive: true, force: true }));
    const file = (index: number) => join(directory, `${index}.json`);
    const roles = ['application', 'postgresql', 'rabbitmq'].map((role) => `roles/${role}/defaults/main.yml`);
    const plays = hosts.map(({ processors, memory, variables }, index) => ({
      hosts: 'localhost',
      gather_facts: false,
      vars_files: [...roles, 'roles/operating_system/vars/main.yml'].map((path) => join(cwd, path)),
      vars: { operating_system_answer: { stdout_lines: ['', '', '', '', '', `${processors}`, `${memory}`] } },
      tasks: [
        {
          'ansible.builtin.copy': {
            dest: file(index),
            content: `{{ [${names.join(', ')}] | to_json }}`,
            mode: '0600',
          },
          vars: variables ?? {},
        },
      ],
    }));
    const playbook = join(directory, 'playbook.json');
    await writeFile(playbook, JSON.stringify(plays));
    await expectSuccess(
      'ansible-playbook',
      ['--inventory', 'localhost,', '--connection', 'local', playbook],
      { cwd },
    );
    return Promise.all(hosts.map(async (_, index) => JSON.parse(await readFile(file(index), 'utf8'))));
  }

  test("follow the host's processors and memory, and the inventory", async () => {
    expect(
      await sizesOn([
        // Servers say a little less than they are sold with.
        { processors: 1, memory: 481 },
        { processors: 1, memory: 961 },
        { processors: 2, memory: 1963 },
        { processors: 4, memory: 7941 },
        { processors: 16, memory: 64_000 },
        { processors: 16, memory: 64_000, variables: { application_web_workers: 20 } },
      ]),
    ).toEqual([
      [1, 4, 1, '64MB', '4MB', 192],
      [2, 4, 2, '128MB', '4MB', 256],
      [2, 4, 2, '256MB', '8MB', 512],
      [4, 4, 4, '992MB', '31MB', 1984],
      [8, 4, 8, '4096MB', '32MB', 2048],
      [20, 4, 8, '4096MB', '32MB', 2048],
    ]);
  });
});

describe('The SSH server', () => {
  const cwd = join(inject('renderedProjects').shop, projectPaths.ansible);

  test.each([
    ['203.0.113.7 ecdsa-sha2-nistp256 AAAA\n', true],
    ['203.0.113.7 ecdsa-sha2-nistp256 AAAA\n203.0.113.7 ssh-ed25519 AAAA\n', false],
    ['203.0.113.7 ssh-ed25519 AAAA\n', false],
    [undefined, false],
  ])('keeps its ECDSA key where known_hosts knows no other one: %j', async (knownHosts, kept) => {
    const directory = await mkdtemp(join(tmpdir(), 'ssh-server-'));
    onTestFinished(() => rm(directory, { recursive: true, force: true }));
    if (knownHosts) await writeFile(join(directory, 'known_hosts'), knownHosts);
    const play = {
      hosts: 'localhost',
      gather_facts: false,
      vars_files: [join(cwd, 'roles/ssh_server/vars/main.yml')],
      tasks: [
        { 'ansible.builtin.assert': { that: [`ssh_server_keeps_ecdsa == ${kept ? 'true' : 'false'}`] } },
      ],
    };
    const playbook = join(directory, 'playbook.json');
    await writeFile(playbook, JSON.stringify([play]));
    await expectSuccess(
      'ansible-playbook',
      ['--inventory', 'localhost,', '--connection', 'local', playbook],
      {
        cwd,
      },
    );
  });
});

describe.each([
  ['The release command', 'application'],
  ['The request for a certificate', 'certificates'],
])('%s', (_, role) => {
  const project = inject('renderedProjects').shop;

  test('passes its own tests', async () => {
    const cwd = join(project, projectPaths.ansible, 'roles', role);
    const { stderr } = await expectSuccess(
      'python',
      ['-m', 'unittest', 'discover', '-s', 'tests', '-t', '.'],
      { cwd },
    );
    expect(stderr).toMatch(/^Ran [1-9][0-9]* tests/m);
  }, 900_000);
});

describe('The module that looks after files and services', () => {
  const project = inject('renderedProjects').shop;

  test('passes its own tests', async () => {
    const cwd = join(project, projectPaths.ansible, 'plugins');
    const { stderr } = await expectSuccess(
      'python',
      ['-m', 'unittest', 'discover', '-s', 'tests', '-t', '.'],
      { cwd },
    );
    expect(stderr).toMatch(/^Ran [1-9][0-9]* tests/m);
  });

  test('has documentation that Ansible can show', async () => {
    const { stdout } = await expectSuccess('ansible-doc', ['converge'], {
      cwd: join(project, projectPaths.ansible),
    });
    expect(stdout).toContain('restart_after');
  });
});
