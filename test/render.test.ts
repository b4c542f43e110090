import { describe, expect, test } from 'vitest';
import type { GitHubSettings } from '../lib/project.ts';
import { renderProject } from '../lib/render.ts';
import { sampleEnvironment, sampleProject, sampleStaging } from './support/sample.ts';

const files = await renderProject(sampleProject(), [sampleEnvironment()]);
const paths = files.map(({ path }) => path);
const text = (path: string) => files.find((file) => file.path === path)?.contents.toString('utf8') ?? '';

test('the project has its Django, Ansible and workflow parts', () => {
  expect(paths).toEqual(
    expect.arrayContaining([
      'manage.py',
      'pyproject.toml',
      '.gitignore',
      'shop/settings/production.py',
      '.ansible/provision.yml',
      '.ansible/deploy.yml',
      '.ansible/inventory/production/hosts.yml',
      '.github/workflows/deploy.yml',
    ]),
  );
});

test('no file is rendered twice and none leaves the project', () => {
  expect(new Set(paths).size).toBe(paths.length);
  expect(paths.filter((path) => path.startsWith('..') || path.startsWith('/'))).toEqual([]);
});

test('no template delimiter and no template name is left', () => {
  expect(paths.filter((path) => path.includes('project_name') || path.endsWith('.ejs'))).toEqual([]);
  expect(
    files
      .filter(({ contents }) => /<%[-=_#]|[-_]%>/.test(contents.toString('latin1')))
      .map(({ path }) => path),
  ).toEqual([]);
});

test('programs keep their executable bit', () => {
  expect(files.find(({ path }) => path === 'manage.py')?.mode).toBe(0o755);
  expect(files.find(({ path }) => path === 'README.md')?.mode).toBe(0o644);
});

test('a value with quotes does not break a file', async () => {
  const project = { ...sampleProject(), authorName: `Zoë "The Dev" O'Brien \\ {{ x }}` };
  const rendered = await renderProject(project, [sampleEnvironment()]);
  const pyproject = rendered.find(({ path }) => path === 'pyproject.toml')?.contents.toString('utf8') ?? '';
  expect(pyproject).toContain(JSON.stringify(project.authorName));
});

test('the vault password is ignored by git', () => {
  expect(text('.gitignore')).toMatch(/^\/?\.ansible\/vault_password$/m);
});

describe('a project with two environments', async () => {
  const key = 'ssh-ed25519 AAAA shop-staging';
  const both = await renderProject(
    sampleProject(),
    [sampleEnvironment(), sampleStaging({ name: 'staging-eu', site: 'shop-staging-eu' })],
    { deployPublicKeys: { 'staging-eu': [key] } },
  );
  const textOf = (path: string) => String(both.find((file) => file.path === path)?.contents);

  test('has an inventory and workflows for each', () => {
    const added = both.map(({ path }) => path).filter((path) => !paths.includes(path));
    expect(added).toEqual([
      '.ansible/inventory/staging-eu/group_vars/all/main.yml',
      '.ansible/inventory/staging-eu/hosts.yml',
      '.github/workflows/check-staging-eu.yml',
      '.github/workflows/deploy-staging-eu.yml',
      '.github/workflows/plan-staging-eu.yml',
    ]);
    expect(textOf('.ansible/inventory/staging-eu/hosts.yml')).toContain('    staging_eu:\n');
    expect(textOf('.ansible/inventory/staging-eu/group_vars/all/main.yml')).toContain(key);
    expect(textOf('.ansible/inventory/production/group_vars/all/main.yml')).not.toContain(key);
  });

  test('differs from one with production alone in its README only', () => {
    const changed = files.filter(({ path, contents }) => textOf(path) !== String(contents));
    expect(changed.map(({ path }) => path)).toEqual(['README.md']);
    expect(textOf('README.md')).toContain(
      '| `staging-eu` | <https://staging.shop.example.com/> | `shop-staging-eu` |',
    );
  });

  test('deploys releases to production and pre-releases to the other one', () => {
    const condition = /if: \(github\.event_name == 'release' && (.*)\) \|\|/;
    const [, final] = textOf('.github/workflows/deploy.yml').match(condition) ?? [];
    expect(final).toBe('!github.event.release.prerelease');
    const other = textOf('.github/workflows/deploy-staging-eu.yml');
    expect(other.match(condition)?.[1]).toBe('github.event.release.prerelease');
    expect(other).toContain('group: staging-eu-');
    expect(other).not.toContain('shop-production');
  });
});

test('A check makes no record of a deployment, except on a server of one’s own, which may not know how', async () => {
  const check = async (gitHub: Partial<GitHubSettings>) => {
    const project = sampleProject();
    const files = await renderProject({ ...project, github: { ...project.github, ...gitHub } }, [
      sampleEnvironment(),
    ]);
    return String(files.find(({ path }) => path === '.github/workflows/check.yml')?.contents);
  };
  expect(await check({})).toContain('deployment: false');
  expect(await check({ apiUrl: 'https://github.example.com/api/v3' })).not.toContain('deployment');
});
