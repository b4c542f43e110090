import { expect, test } from 'vitest';
import { renderProject } from '../lib/render.ts';
import { sampleEnvironment, sampleProject } from './support/sample.ts';

const files = await renderProject(sampleProject(), sampleEnvironment());
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
  const rendered = await renderProject(project, sampleEnvironment());
  const pyproject = rendered.find(({ path }) => path === 'pyproject.toml')?.contents.toString('utf8') ?? '';
  expect(pyproject).toContain(JSON.stringify(project.authorName));
});

test('the vault password is ignored by git', () => {
  expect(text('.gitignore')).toMatch(/^\/?\.ansible\/vault_password$/m);
});
