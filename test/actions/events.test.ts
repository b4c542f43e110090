import { expect, test } from 'vitest';
import {
  dispatch,
  type Event,
  pullRequest,
  push,
  release,
  schedule,
  starts,
} from '../support/actions/events.ts';
import { readWorkflow } from '../support/actions/files.ts';
import { gitIn } from '../support/actions/repository.ts';
import { TestRepository } from '../support/actions/test-repository.ts';
import { runTinySteps, stepsOf } from '../support/actions/tiny-workflow.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

function startedBy(on: string, event: Event): boolean {
  const content = `on: ${on}\njobs: {only: {runs-on: ubuntu-24.04, steps: [{run: "true"}]}}`;
  return starts(readWorkflow('.github/workflows/tiny.yml', content), event);
}

function repository(): TestRepository {
  const made = TestRepository.of(temporaryDirectory(), { 'README.md': 'one\n' });
  gitIn(made.path, ['tag', 'v1', 'main']);
  gitIn(made.path, ['branch', 'feature', 'main']);
  made.bare.commit('feature', { '.ansible/provision.yml': '---\n' }, 'Change the server');
  made.bare.commit('main', { 'README.md': 'two\n' }, 'Change the text');
  return made;
}

test('a push starts what names its branch, and its paths if it names some', () => {
  const at = repository();
  const before = gitIn(at.path, ['rev-parse', 'main~1']).trim();
  const event = push(at, { before });
  expect(event.changedPaths).toEqual(['README.md']);
  expect(startedBy('push', event)).toBe(true);
  expect(startedBy('{push: {branches: [main]}}', event)).toBe(true);
  expect(startedBy('{push: {branches: ["release/**"]}}', event)).toBe(false);
  expect(startedBy('{push: {tags: ["*"]}}', event)).toBe(false);
  expect(startedBy('{push: {paths: ["*.md"]}}', event)).toBe(true);
  expect(startedBy('{push: {paths: [".ansible/**"]}}', event)).toBe(false);
  expect(startedBy('{push: {paths-ignore: ["**"]}}', event)).toBe(false);
  expect(startedBy('pull_request', event)).toBe(false);
});

test('a pull request is a merge of both branches, and starts what names its base and its own changes', () => {
  const at = repository();
  const event = pullRequest(at, { head: 'feature' });
  expect(gitIn(at.path, ['show', `${event.sha}:README.md`])).toBe('two\n');
  expect(gitIn(at.path, ['show', `${event.sha}:.ansible/provision.yml`])).toBe('---\n');
  expect(event.changedPaths).toEqual(['.ansible/provision.yml']);
  expect(startedBy('{pull_request: {paths: [".ansible/**"]}}', event)).toBe(true);
  expect(startedBy('{pull_request: {branches: [feature]}}', event)).toBe(false);
  expect(startedBy('{pull_request: {types: [closed]}}', event)).toBe(false);
});

test('a release starts what names its type', () => {
  const event = release(repository(), { tag: 'v1' });
  expect(event.ref).toBe('refs/tags/v1');
  expect(startedBy('{release: {types: [published]}}', event)).toBe(true);
  expect(startedBy('{release: {types: [created]}}', event)).toBe(false);
});

test('a clock and a person start what waits for them', () => {
  const at = repository();
  expect(startedBy('{schedule: [{cron: "0 5 * * 1"}]}', schedule(at, '0 5 * * 1'))).toBe(true);
  expect(startedBy('{schedule: [{cron: "0 5 * * 1"}]}', schedule(at, '0 6 * * 1'))).toBe(false);
  expect(startedBy('workflow_dispatch', dispatch(at))).toBe(true);
  expect(startedBy('push', dispatch(at))).toBe(false);
});

test('the checkout has the commit of the event, alone, and what it is asked for elsewhere', async () => {
  const run = await runTinySteps(
    `
- uses: actions/checkout@v4
- run: |
    test -f README.md
    echo "$(git rev-list --count HEAD) $(git rev-parse HEAD) $(git rev-parse --abbrev-ref HEAD)"
    [ "$(git rev-parse HEAD)" = "$GITHUB_SHA" ]
- uses: actions/checkout@v4
  with: {ref: feature, path: other, fetch-depth: 0}
- run: cat other/note; git -C other rev-list --count HEAD
- id: missing
  uses: actions/checkout@v4
  with: {ref: nowhere}
    `,
    {
      files: { 'README.md': 'hello\n' },
      event: (at) => {
        const { bare } = at as TestRepository;
        gitIn(at.path, ['branch', 'feature', 'main']);
        bare.commit('feature', { note: 'from the feature\n' }, 'Note');
        bare.commit('main', { note: 'from main\n' }, 'Note');
        return push(at);
      },
    },
  );
  expect(
    stepsOf(run).map(({ conclusion }) => conclusion),
    run.log,
  ).toEqual([...['success', 'success', 'success', 'success', 'failure']]);
  expect(run.log).toMatch(/^1 [0-9a-f]{40} main$/m);
  expect(run.log).toContain('from the feature\n2\n');
  expect(run.log).toContain("A branch or tag with the name 'nowhere' could not be found");
});
