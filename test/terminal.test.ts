import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { GobootError } from '../lib/errors.ts';
import { count, formatSeconds } from '../lib/terminal/format.ts';
import { createReporter, runStep } from '../lib/terminal/reporter.ts';

let stdout = '';
let stderr = '';

beforeEach(() => {
  stdout = '';
  stderr = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += text;
    return true;
  });
  vi.spyOn(console, 'log').mockImplementation((text = '') => {
    stdout += `${text}\n`;
  });
});
afterEach(() => vi.restoreAllMocks());

const failure = new GobootError('The port "0" is wrong', { exitCode: 2, remedy: 'Use 22.' });

test('for programs every line is one JSON object, the failure too', async () => {
  const reporter = createReporter({ json: true, quiet: false });
  reporter.plan('Shop', ['a', 'b']);
  await runStep(
    reporter,
    'Commit',
    async () => {},
    () => 'nothing to commit',
  );
  reporter.failure(failure);
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events).toMatchObject([
    { event: 'plan', title: 'Shop', lines: ['a', 'b'] },
    {
      event: 'step',
      name: 'Commit',
      status: 'done',
      detail: 'nothing to commit',
      seconds: expect.any(Number),
    },
    { event: 'error', message: failure.message, exitCode: 2, remedy: 'Use 22.' },
  ]);
  expect(stderr).toBe('');
});

test('quiet says nothing but problems', async () => {
  const reporter = createReporter({ json: false, quiet: true });
  reporter.plan('Shop', ['a']);
  await runStep(reporter, 'Commit', async () => {});
  reporter.result({}, ['done']);
  expect(stdout + stderr).toBe('');
  reporter.failure(failure);
  expect(stderr).toContain('The port "0" is wrong\n  Use 22.');
});

test('without a terminal there are plain lines, one per step', async () => {
  const reporter = createReporter({ json: false, quiet: false });
  await runStep(reporter, 'Lock', async (step) => step.update('working'));
  await expect(runStep(reporter, 'Deploy', async () => Promise.reject(failure))).rejects.toBe(failure);
  expect(stdout).toMatch(/^Lock: done \(0\.0 s\)\nDeploy: failed \(0\.0 s\)\n$/);
});

describe('checks are shown', () => {
  const results = [
    { name: 'git', status: 'ok' as const, detail: '2.39.5', seconds: 0.1 },
    { name: 'clock', status: 'warning' as const, detail: 'late', remedy: 'Set it.', seconds: 0.2 },
    { name: 'web ports', status: 'failed' as const, detail: 'taken', remedy: 'Stop it.', seconds: 0.3 },
  ];
  const show = (flags: { json: boolean; quiet: boolean }) => createReporter(flags).checks(results, results);

  test('one by one, with what to do about those that are not well', () => {
    show({ json: false, quiet: false });
    expect(stdout).toBe(
      'ok      git: 2.39.5\nwarning clock: late\n        Set it.\nfailed  web ports: taken\n        Stop it.\n',
    );
  });

  test('as one object each for programs', () => {
    show({ json: true, quiet: false });
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events).toEqual(results.map((result) => ({ event: 'check', ...result })));
  });

  test('only where something is wrong when quiet', () => {
    show({ json: false, quiet: true });
    expect(stdout).toBe('');
    expect(stderr).toBe('Warning: clock: late\n  Set it.\nFailed: web ports: taken\n  Stop it.\n');
  });
});

test('times and numbers read well', () => {
  expect([0.04, 9.94, 12.3, 125].map(formatSeconds)).toEqual(['0.0 s', '9.9 s', '12 s', '2 min 5 s']);
  expect([0, 1, 2].map((number) => count(number, 'file'))).toEqual(['0 files', '1 file', '2 files']);
});
