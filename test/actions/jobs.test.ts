import { expect, test } from 'vitest';
import { dispatch } from '../support/actions/events.ts';
import type { WorkflowRun } from '../support/actions/run.ts';
import { runTiny } from '../support/actions/tiny-workflow.ts';

const jobsOf = ({ jobs }: WorkflowRun) =>
  Object.fromEntries(jobs.map(({ id, conclusion }) => [id, conclusion]));

test('a job waits for those that it needs, and gets their outputs', async () => {
  const run = await runTiny(`
  last:
    needs: [first, second]
    runs-on: ubuntu-24.04
    steps:
      - env: {FRUIT: "\${{ needs.first.outputs.fruit }}", RESULT: "\${{ needs.second.result }}"}
        run: echo "$FRUIT and $RESULT"
  second:
    needs: first
    runs-on: ubuntu-24.04
    steps: [{run: "true"}]
  first:
    runs-on: ubuntu-24.04
    outputs: {fruit: "\${{ steps.pick.outputs.fruit }}"}
    steps: [{id: pick, run: 'echo fruit=pear >> "$GITHUB_OUTPUT"'}]
  `);
  expect(run.jobs.map(({ id }) => id)).toEqual(['first', 'second', 'last']);
  expect(run.log).toContain('pear and success');
});

test('a job after a failed one is skipped, and so is what needs it, unless they say otherwise', async () => {
  const run = await runTiny(`
  broken: {runs-on: ubuntu-24.04, steps: [{run: "false"}]}
  after: {needs: broken, runs-on: ubuntu-24.04, steps: [{run: "true"}]}
  later: {needs: after, runs-on: ubuntu-24.04, steps: [{run: "true"}]}
  report: {needs: later, if: failure(), runs-on: ubuntu-24.04, steps: [{run: "true"}]}
  always: {needs: later, if: always(), runs-on: ubuntu-24.04, steps: [{run: "true"}]}
  next: {needs: always, runs-on: ubuntu-24.04, steps: [{run: "true"}]}
  `);
  expect(jobsOf(run)).toEqual({
    broken: 'failure',
    after: 'skipped',
    later: 'skipped',
    report: 'success',
    always: 'success',
    // All that came before it counts, not only what it names.
    next: 'skipped',
  });
  expect(run.conclusion).toBe('failure');
});

test('a matrix makes a job of each combination, without what it excludes and with what it includes', async () => {
  const run = await runTiny(`
  test:
    runs-on: ubuntu-24.04
    strategy:
      matrix:
        python: ["3.11", "3.14"]
        database: [postgres, sqlite]
        exclude: [{python: "3.14", database: sqlite}]
        include: [{python: "3.14", newest: true}, {python: "3.15"}]
    steps: [{run: 'echo "<\${{ matrix.python }} \${{ matrix.database }} \${{ matrix.newest }}>"'}]
  `);
  expect(run.log.match(/^<.*>$/gm)).toEqual([
    '<3.11 postgres >',
    '<3.11 sqlite >',
    '<3.14 postgres true>',
    '<3.15  >',
  ]);
  expect(run.jobs[0]?.name).toBe('test (3.11, postgres)');
});

test('a combination that fails keeps the others from running, unless fail-fast is off', async () => {
  const job = (more: string) => `
  test:
    runs-on: ubuntu-24.04
    strategy: {${more} matrix: {status: [0, 1, 0]}}
    steps: [{run: "exit \${{ matrix.status }}"}]
  `;
  const conclusions = async (more: string) => (await runTiny(job(more))).jobs.map((one) => one.conclusion);
  expect(await conclusions('')).toEqual(['success', 'failure', 'cancelled']);
  expect(await conclusions('fail-fast: false,')).toEqual(['success', 'failure', 'success']);
});

test('combinations that this computer cannot run may be left out, but not all of them', async () => {
  const job = `
  test:
    runs-on: ubuntu-24.04
    strategy: {matrix: {python: ["3.11", "3.99"]}}
    steps: [{run: "true"}]
  `;
  const run = await runTiny(job, { combination: ({ python }) => python === '3.11' });
  expect(run.jobs.map(({ matrix }) => matrix)).toEqual([{ python: '3.11' }]);
  await expect(runTiny(job, { combination: () => false })).rejects.toThrow('no combination');
});

test('a run that is cancelled ends what is running; jobs that say always() are executed all the same', async () => {
  const cancelling = new AbortController();
  setTimeout(() => cancelling.abort(), 500);
  const run = await runTiny(
    `
  slow: {runs-on: ubuntu-24.04, steps: [{run: sleep 30}]}
  after: {needs: slow, if: "!cancelled()", runs-on: ubuntu-24.04, steps: [{run: "true"}]}
  always: {needs: slow, if: always(), runs-on: ubuntu-24.04, steps: [{run: echo clean up}]}
    `,
    { signal: cancelling.signal },
  );
  expect(jobsOf(run)).toEqual({ slow: 'cancelled', after: 'skipped', always: 'success' });
  expect(run.log).toMatch(/^clean up$/m);
});

const callee = (more = '') => `
on:
  workflow_call:
    inputs: {name: {type: string, required: true}, loud: {type: boolean, default: true}}
    outputs: {greeting: {value: "\${{ jobs.greet.outputs.greeting }}"}}
permissions: {}
jobs:
  greet:
    runs-on: ubuntu-24.04
    ${more}
    outputs: {greeting: "\${{ steps.greet.outputs.greeting }}"}
    steps:
      - id: greet
        env: {SECRET: "\${{ secrets.TOKEN }}"}
        run: echo "greeting=hello \${{ inputs.name }} \${{ inputs.loud }} \${#SECRET}" >> "$GITHUB_OUTPUT"
`;
const caller = (more = '') => `
  call: {uses: ./.github/workflows/callee.yml, with: {name: Ada}${more}}
  after: {needs: call, runs-on: ubuntu-24.04, steps: [{run: 'echo "\${{ needs.call.outputs.greeting }}"'}]}
`;
const secrets = { secrets: { TOKEN: 'sesame' }, variables: {} };

test('a workflow that is called gets inputs and gives outputs, and secrets only where they are passed on', async () => {
  const files = { '.github/workflows/callee.yml': callee() };
  const silent = await runTiny(caller(), { files, held: secrets });
  expect(silent.log).toContain('hello Ada true 0');
  expect(jobsOf(silent)).toEqual({ 'call / greet': 'success', after: 'success' });
  const inherited = await runTiny(caller(', secrets: inherit'), { files, held: secrets });
  expect(inherited.log).toContain('hello Ada true 6');
  const passed = await runTiny(caller(', secrets: {TOKEN: "${{ secrets.TOKEN }}"}'), {
    files: {
      '.github/workflows/callee.yml': callee().replace(
        '  workflow_call:',
        '  workflow_call:\n    secrets: {TOKEN: {required: true}}',
      ),
    },
    held: secrets,
  });
  expect(passed.log).toContain('hello Ada true 6');
});

test('a workflow that is called may do no more than its caller', async () => {
  const files = { '.github/workflows/callee.yml': callee('permissions: {contents: write}') };
  await expect(runTiny(caller(), { files })).rejects.toThrow('asks for contents: write');
  await expect(runTiny(caller(', permissions: {contents: write}'), { files })).resolves.toMatchObject({
    conclusion: 'success',
  });
});

test('a composite action of the repository runs its steps with its inputs and gives outputs', async () => {
  const action = `
name: Greet
description: Says hello
inputs: {name: {description: Whom, default: "\${{ github.actor }}"}}
outputs: {greeting: {description: What, value: "\${{ steps.greet.outputs.greeting }}"}}
runs:
  using: composite
  steps:
    - id: greet
      shell: bash
      run: echo "greeting=hello \${{ inputs.name }}" >> "$GITHUB_OUTPUT"
  `;
  const run = await runTiny(
    `
  greet:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
      - {id: one, uses: ./.github/actions/greet}
      - {id: two, uses: ./.github/actions/greet, with: {name: Grace}}
      - run: echo "\${{ steps.one.outputs.greeting }}, \${{ steps.two.outputs.greeting }}"
    `,
    { files: { '.github/actions/greet/action.yml': action } },
  );
  expect(run.log).toContain('hello ada, hello Grace');
});

test('inputs of a dispatch have defaults and types, and wrong ones do not start anything', async () => {
  const head = `
on:
  workflow_dispatch:
    inputs:
      action: {type: choice, options: [deploy, roll back]}
      release: {}
      force: {type: boolean}
`;
  const job = `
  only:
    runs-on: ubuntu-24.04
    steps: [{run: 'echo "<\${{ inputs.action }}|\${{ inputs.release }}|\${{ inputs.force && 1 || 2 }}>"'}]
  `;
  const start = (inputs: Record<string, string>) =>
    runTiny(job, { head, event: (repository) => dispatch(repository, { inputs }) });
  expect((await start({})).log).toContain('<deploy||2>');
  expect((await start({ action: 'roll back', release: 'abc', force: 'true' })).log).toContain(
    '<roll back|abc|1>',
  );
  await expect(start({ action: 'delete' })).rejects.toThrow('action');
  await expect(start({ colour: 'red' })).rejects.toThrow('no input colour');
});
