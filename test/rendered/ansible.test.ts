import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
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
    expect(playbooks).toEqual(expect.arrayContaining(['deploy.yml', 'provision.yml']));
    for (const playbook of ['deploy.yml', 'provision.yml']) {
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
      const [firstLine = ''] = (await readFile(path, 'utf8')).split('\n', 1);
      if (/^#!.*\b(ba|da)?sh\b/.test(firstLine)) scripts.push(path);
    }
    if (scripts.length > 0) await expectSuccess('shellcheck', scripts, { cwd: project });
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
  });
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
