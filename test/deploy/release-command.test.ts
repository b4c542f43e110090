import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { runReleaseCommand, slowestSteps, throwOnFailure } from '../../lib/deploy/release-command.ts';
import { GobootError } from '../../lib/errors.ts';
import { contextWith } from '../support/local-connection.ts';

const step = (name: string, status: string, more = '') =>
  `echo '{"event":"step","name":"${name}","status":"${status}","seconds":1${more}}'`;
const result = (status: string, message: string) =>
  `echo '{"event":"result","status":"${status}","message":"${message}"}'`;

test('each line is handed over, and the result is the last of them', async () => {
  const seen: string[] = [];
  const { result: last, exitCode } = await runReleaseCommand(
    contextWith(`${step('unpack', 'ok')}; echo noise; ${result('deployed', 'done')}`),
    ['deploy'],
    { onEvent: ({ event, name }) => seen.push(`${event} ${name ?? ''}`) },
  );
  expect(seen).toEqual(['step unpack', 'result ']);
  expect(last).toMatchObject({ status: 'deployed', message: 'done' });
  expect(exitCode).toBe(0);
});

test('its words reach it as they are, and its input too', async () => {
  const { events } = await runReleaseCommand(
    contextWith(`printf '{"event":"step","name":"%s"}\\n' "$4" "$(cat)"; ${result('ok', '')}`),
    ['x', 'y', 'z', "it's $HOME"],
    { input: Readable.from(['sent']) },
  );
  expect(events.map(({ name }) => name).slice(0, 2)).toEqual(["it's $HOME", 'sent']);
});

test('a failure names the step, its reason and the end of its log', async () => {
  const run = await runReleaseCommand(
    contextWith(
      `${step('start', 'failed', ',"detail":["Traceback","ImportError: no x"]')}; ${result('failed', 'no x')}; exit 1`,
    ),
    ['deploy'],
  );
  expect(() => throwOnFailure(run)).toThrow('start: no x\n    | Traceback\n    | ImportError: no x');
});

test.for([
  [2, 2, 'there is no release x', undefined],
  [75, 1, 'a deploy by ada runs', 'To wait for it: --wait 600'],
] as const)('its exit status %i becomes %i', async ([status, code, message, remedy]) => {
  const run = await runReleaseCommand(contextWith(`${result('failed', message)}; exit ${status}`), [
    'rollback',
  ]);
  try {
    throwOnFailure(run);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(GobootError);
    expect(error).toMatchObject({ message, code, remedy });
  }
});

test('a connection that breaks is told with the step after which it broke', async () => {
  const broken = new GobootError('shop.example.com does not answer');
  const context = contextWith(`${step('check', 'ok')}; exit 255`, broken);
  await expect(runReleaseCommand(context, ['deploy'])).rejects.toThrow('after the step "check"');
  const silent = contextWith('exit 255', broken);
  await expect(runReleaseCommand(silent, ['deploy'])).rejects.toBe(broken);
});

test('a host without the command is to be provisioned again', async () => {
  const context = contextWith('echo "sudo: /usr/local/sbin/x: command not found" >&2; exit 1');
  await expect(runReleaseCommand(context, ['deploy'])).rejects.toMatchObject({
    message: expect.stringContaining('command not found'),
    remedy: expect.stringContaining('--provision'),
  });
});

test('the slowest steps come first', () => {
  const events = [
    { event: 'step', name: 'a', status: 'ok', seconds: 0.1 },
    { event: 'step', name: 'b', status: 'ok', seconds: 2 },
    { event: 'step', name: 'c', status: 'skipped', seconds: 9 },
  ];
  expect(slowestSteps(events)).toBe('b 2.0 s, a 0.1 s');
});
