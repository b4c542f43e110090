import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { conclusions, runTinySteps, stepsOf } from '../support/actions/tiny-workflow.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

test('a step that fails fails its job, and the steps after it are skipped', async () => {
  const run = await runTinySteps(`
- run: "false"
- run: echo after
  `);
  expect(conclusions(run)).toEqual(['failure', 'skipped']);
  expect(run.conclusion).toBe('failure');
  expect(run.log).not.toContain('after');
});

test('a step after a failed one is executed if it says always(), failure() or !cancelled()', async () => {
  const run = await runTinySteps(`
- run: "false"
- if: always()
  run: echo one
- if: \${{ failure() && github.ref_name == 'main' }}
  run: echo two
- if: "!cancelled()"
  run: echo three
- if: github.ref_name == 'main'
  run: echo four
- if: success()
  run: echo five
  `);
  expect(conclusions(run)).toEqual(['failure', 'success', 'success', 'success', 'skipped', 'skipped']);
});

test('a failure that is forgiven leaves the job a success, and its outcome can still be asked for', async () => {
  const run = await runTinySteps(`
- id: shaky
  run: "false"
  continue-on-error: true
- if: steps.shaky.outcome == 'failure' && steps.shaky.conclusion == 'success'
  run: echo after
  `);
  expect(conclusions(run)).toEqual(['success', 'success']);
  expect(run.conclusion).toBe('success');
});

test('a pipe that breaks fails a step with shell: bash, and not one without, as on GitHub', async () => {
  const run = await runTinySteps(`
- run: "false | true"
- run: "false | true"
  shell: bash
  `);
  expect(conclusions(run)).toEqual(['success', 'failure']);
});

test('outputs, variables and programs of a step are there for the next ones, with values of several lines', async () => {
  const run = await runTinySteps(`
- id: first
  run: |
    {
      echo one=1
      echo "two<<END"
      echo a
      echo b
      echo END
    } >> "$GITHUB_OUTPUT"
    echo "FRUIT=pear" >> "$GITHUB_ENV"
    mkdir bin
    printf '#!/bin/sh\\necho hello from a program\\n' > bin/greet
    chmod +x bin/greet
    echo "$PWD/bin" >> "$GITHUB_PATH"
    [ -z "\${FRUIT:-}" ]
- env:
    TWO: \${{ steps.first.outputs.two }}
    SAME: \${{ env.FRUIT }}
  run: echo "$TWO/\${{ steps.first.outputs.one }}/$FRUIT/$SAME"; greet
  `);
  expect(run.conclusion, run.log).toBe('success');
  expect(run.log).toContain('a\nb/1/pear/pear\nhello from a program\n');
});

test('a line in $GITHUB_OUTPUT that is no assignment fails the step', async () => {
  const run = await runTinySteps('- run: echo nonsense >> "$GITHUB_OUTPUT"');
  expect(conclusions(run)).toEqual(['failure']);
  expect(run.log).toContain("Invalid format 'nonsense'");
});

test('variables of step, job and workflow win in this order, and every runner has its own', async () => {
  const run = await runTinySteps(
    `
- env: {A: step}
  run: echo "$A/$B/$C/$CI/$GITHUB_REF_NAME/$GITHUB_REPOSITORY/$RUNNER_OS"
    `,
    { head: 'on: push\nenv: {A: workflow, B: workflow, C: workflow}', job: 'env: {A: job, B: job}' },
  );
  expect(run.log).toContain('step/job/workflow/true/main/ada/shop/Linux');
});

test('a step sees nothing of the environment of whoever runs the tests', async () => {
  process.env.PRIVATE_TO_THE_TESTS = 'yes';
  const run = await runTinySteps('- run: echo "<${PRIVATE_TO_THE_TESTS:-}>"; [ "$HOME" != ~root ]');
  delete process.env.PRIVATE_TO_THE_TESTS;
  expect(run.conclusion).toBe('success');
  expect(run.log).toContain('<>');
});

test('defaults say shell and directory, and a step may say otherwise', async () => {
  const run = await runTinySteps(
    `
- run: mkdir -p one two
  working-directory: .
- run: basename "$PWD"; shopt -o pipefail
- run: basename "$PWD"
  working-directory: two
    `,
    { job: 'defaults: {run: {shell: bash, working-directory: one}}' },
  );
  expect(run.conclusion, run.log).toBe('success');
  expect(run.log).toMatch(/\none\npipefail\s+on\n[\s\S]*\ntwo\n/);
});

test('a step that takes longer than its time is ended, and fails', async () => {
  const run = await runTinySteps(
    `
- run: echo begun; sleep 30; echo never
  timeout-minutes: 1
- if: failure()
  run: echo after
    `,
    { minute: 300 },
  );
  expect(conclusions(run)).toEqual(['failure', 'success']);
  expect(run.log).toContain('begun');
  expect(run.log).not.toMatch(/^never$/m);
});

test('a job that takes longer than its time is cancelled; steps that say so are executed all the same', async () => {
  const run = await runTinySteps(
    `
- run: sleep 30
- run: echo never
- if: cancelled()
  run: echo clean up
    `,
    { job: 'timeout-minutes: 1', minute: 300 },
  );
  expect(conclusions(run)).toEqual(['cancelled', 'skipped', 'success']);
  expect(run.conclusion).toBe('cancelled');
});

test('what a step leaves running is there for the next one, and is ended with the job', async () => {
  const run = await runTinySteps(`
- run: |
    sleep 300 > /dev/null 2>&1 &
    echo "PID=$!" >> "$GITHUB_ENV"
- id: look
  run: kill -0 "$PID"; echo "pid=$PID" >> "$GITHUB_OUTPUT"
  `);
  expect(conclusions(run)).toEqual(['success', 'success']);
  const pid = Number(stepsOf(run)[1]?.outputs.pid);
  await expect.poll(() => isAlive(pid)).toBe(false);
});

function isAlive(pid: number): boolean {
  try {
    // One that has ended, and whose parent has not asked yet how, is a zombie.
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test('the summary is collected, and messages become annotations', async () => {
  const run = await runTinySteps(`
- run: |
    echo '**done**' >> "$GITHUB_STEP_SUMMARY"
    echo "::error::it broke%0Ahere"
    echo "::warning file=a.py,line=3::look"
  `);
  expect(run.summary).toBe('**done**\n');
  expect(run.annotations).toEqual([
    { level: 'error', message: 'it broke\nhere' },
    { level: 'warning', message: 'look' },
  ]);
});

test('a cache is there in the next job, by its key or by a beginning of it', async () => {
  const directory = temporaryDirectory();
  const lookAndKeep = async (key: string) => {
    const run = await runTinySteps(
      `
- id: cache
  uses: actions/cache@v4
  with: {path: ~/things, key: ${key}, restore-keys: things-}
- id: look
  run: |
    echo "hit=\${{ steps.cache.outputs.cache-hit }}" >> "$GITHUB_OUTPUT"
    echo "found=$(cat ~/things/file || true)" >> "$GITHUB_OUTPUT"
    mkdir -p ~/things && echo "by ${key}" > ~/things/file
      `,
      { directory },
    );
    return stepsOf(run)[1]?.outputs;
  };
  expect(await lookAndKeep('things-1')).toEqual({ hit: '', found: '' });
  expect(await lookAndKeep('things-1')).toEqual({ hit: 'true', found: 'by things-1' });
  expect(await lookAndKeep('things-2')).toEqual({ hit: 'false', found: 'by things-1' });
});

test('a cache is not kept when the job fails', async () => {
  const directory = temporaryDirectory();
  const steps = (script: string) => `
- uses: actions/cache@v4
  with: {path: kept, key: one}
- run: |
    ${script}
  `;
  await runTinySteps(steps('touch kept; exit 1'), { directory });
  expect((await runTinySteps(steps('[ ! -e kept ]'), { directory })).conclusion).toBe('success');
});
