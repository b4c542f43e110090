import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { pullRequestChecks } from '../../lib/github/checks.ts';
import { renderProject } from '../../lib/render.ts';
import { sampleEnvironment, sampleProject } from '../support/sample.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

function projectWith(workflows: Record<string, string>): string {
  const root = temporaryDirectory();
  mkdirSync(join(root, '.github', 'workflows'), { recursive: true });
  for (const [name, text] of Object.entries(workflows)) {
    writeFileSync(join(root, '.github', 'workflows', name), text);
  }
  return root;
}

const workflow = (on: string, jobs: string) => `on: ${on}\njobs: ${jobs}\n`;

test('a job of a workflow for pull requests is a check, by its name or its id', async () => {
  const root = projectWith({
    'a.yml': workflow('{push: {branches: [main]}, pull_request: }', '{lint: {name: Lint}, types: {}}'),
    'b.yaml': workflow('[push, pull_request]', '{docs: {name: Docs}}'),
  });
  expect(await pullRequestChecks(root)).toEqual(['Lint', 'types', 'Docs']);
});

test('each combination of a matrix is a check', async () => {
  const matrix = '{python: ["3.12", "3.13"], os: [linux]}';
  const root = projectWith({
    'a.yml': workflow(
      'pull_request',
      `{a: {name: "Python $\{{ matrix.python }}", strategy: {matrix: ${matrix}}}}`,
    ),
    'b.yml': workflow('pull_request', `{b: {strategy: {matrix: ${matrix}}}}`),
  });
  expect(await pullRequestChecks(root)).toEqual([
    'Python 3.12',
    'Python 3.13',
    'b (3.12, linux)',
    'b (3.13, linux)',
  ]);
});

test('what may never report is no check', async () => {
  const root = projectWith({
    'deploy.yml': workflow('{release: {types: [published]}}', '{deploy: {}}'),
    'paths.yml': workflow('{pull_request: {paths: ["*.py"]}}', '{some: {}}'),
    'expression.yml': workflow('pull_request', '{a: {name: "${{ github.actor }}"}, b: {uses: ./x.yml}}'),
    'include.yml': workflow('pull_request', '{a: {strategy: {matrix: {include: [{x: 1}]}}}}'),
    'broken.yml': 'on: [',
    'notes.txt': workflow('pull_request', '{notes: {}}'),
  });
  expect(await pullRequestChecks(root)).toEqual([]);
});

test('a project without workflows has no checks', async () => {
  expect(await pullRequestChecks(temporaryDirectory())).toEqual([]);
});

test('the workflows of a new project have checks for linting, each version of Python and migrations', async () => {
  const files = await renderProject(sampleProject(), [sampleEnvironment()]);
  const workflows = files.filter(({ path }) => path.startsWith('.github/workflows/'));
  const root = projectWith(
    Object.fromEntries(workflows.map(({ path, contents }) => [basename(path), contents.toString('utf8')])),
  );
  expect(await pullRequestChecks(root)).toEqual([
    'Lint',
    'Python 3.11',
    'Python 3.12',
    'Python 3.13',
    'Python 3.14',
    'Migrations',
  ]);
});
