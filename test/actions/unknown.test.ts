import { expect, test } from 'vitest';
import { ExecutedScripts } from '../support/actions/coverage.ts';
import { readWorkflow } from '../support/actions/files.ts';
import { runTiny, runTinySteps } from '../support/actions/tiny-workflow.ts';

// A step that is ignored would count as executed. So whatever is not known ends the run, and is no mere failure.

test.each([
  ['an action without a stand-in', '- uses: somebody/something@v1', 'no stand-in for somebody/something@v1'],
  [
    'an input that a stand-in does not know',
    '- uses: actions/checkout@v4\n  with: {lfs: true}',
    'does not know the input lfs',
  ],
  ['a key that GitHub does not know', '- run: "true"\n  colour: red', 'colour'],
  ['a shell', '- run: "true"\n  shell: fish', 'the shell fish'],
  ['a command to the runner', '- run: echo "::set-output name=a::b"', '::set-output::'],
  ['a context that is not there in this place', '- run: echo "${{ jobs.a.result }}"', 'jobs'],
  ['a function', '- run: echo "${{ upper(1) }}"', 'upper'],
])('%s ends the run', async (_what, steps, message) => {
  await expect(runTinySteps(steps)).rejects.toThrow(message);
});

test.each([
  ['a container', 'only: {runs-on: ubuntu-24.04, container: debian, steps: [{run: "true"}]}', '"container"'],
  ['another system', 'only: {runs-on: windows-2025, steps: [{run: "true"}]}', 'windows-2025'],
  [
    'a service without a program',
    'only: {runs-on: ubuntu-24.04, services: {db: {image: mariadb}}, steps: [{run: "true"}]}',
    'no programs',
  ],
  [
    "another repository's workflow",
    'only: {uses: "somebody/something/.github/workflows/a.yml@v1"}',
    'workflow of others',
  ],
  ['a job that is not there', 'only: {needs: other, runs-on: ubuntu-24.04, steps: [{run: "true"}]}', 'other'],
])('%s ends the run', async (_what, job, message) => {
  await expect(runTiny(`  ${job}`)).rejects.toThrow(message);
});

test('a job without permissions of its own or of its workflow ends the run', async () => {
  const job = '  only: {runs-on: ubuntu-24.04, steps: [{run: "true"}]}';
  await expect(runTiny(job, { head: 'on: push\npermissions: write-all' })).rejects.toThrow('write-all');
});

test('an event that does not start a workflow ends the run', async () => {
  const job = '  only: {runs-on: ubuntu-24.04, steps: [{run: "true"}]}';
  await expect(runTiny(job, { head: 'on: release' })).rejects.toThrow('push does not start');
});

test('scripts that were never run are named, and those that were skipped are among them', async () => {
  const executed = new ExecutedScripts();
  const jobs = `  first:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
      - {name: One, run: "true"}
      - {name: Two, if: failure(), run: "true"}
  second: {if: false, runs-on: ubuntu-24.04, steps: [{run: "true"}]}
`;
  const run = await runTiny(jobs, { executed });
  const file = readWorkflow(run.path, `on: push\njobs:\n${jobs}`);
  expect(executed.missing([file])).toEqual([`${run.path}, first: Two`, `${run.path}, second: step 1`]);
  expect(executed.missing([{ ...file, path: 'other.yml' }])).toHaveLength(3);
});
