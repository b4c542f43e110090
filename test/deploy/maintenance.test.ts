import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { LivePage } from '../../lib/deploy/live.ts';
import {
  addressOfLogin,
  askForMaintenance,
  describeVisit,
  type MaintenanceState,
  maintenanceRequest,
  stateLines,
  withAddresses,
} from '../../lib/deploy/maintenance.ts';
import { shellWord } from '../../lib/deploy/release-command.ts';
import { GobootError } from '../../lib/errors.ts';
import { run } from '../../lib/process.ts';
import type { SshConnection } from '../../lib/ssh/connection.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const domain = 'shop.example.com';
const off: MaintenanceState = { on: false, since: '', by: '', allow: [], retry_after: 600, message: '' };
const on: MaintenanceState = { ...off, on: true, since: '2026-11-20T18:00:00Z', by: 'ada' };

function errorOf(action: () => unknown): GobootError {
  try {
    action();
  } catch (error) {
    if (error instanceof GobootError) return error;
  }
  throw new Error('It was expected to fail with a GobootError');
}

/** A connection to this computer: the shell is a real one, the release command says what the test wants. */
function connectionTo(releaseCommand: string, environment: Record<string, string> = {}): SshConnection {
  const functions = `sudo() { shift; ${releaseCommand}; }`;
  return {
    execute: (command) => run('sh', ['-c', `${functions}\n${command}`], { env: environment }),
  } as SshConnection;
}

test('what was typed becomes a request', () => {
  expect(maintenanceRequest('off', {})).toEqual({ action: 'off', allow: [] });
  expect(
    maintenanceRequest('on', {
      allow: 'me, 203.0.113.7,10.0.0.0/8,2001:db8::/32',
      retryAfter: '60',
      message: ' Back soon ',
    }),
  ).toEqual({
    action: 'on',
    allow: ['me', '203.0.113.7', '10.0.0.0/8', '2001:db8::/32'],
    retryAfter: '60',
    message: 'Back soon',
  });
});

test.for([
  [undefined, {}, 'It is not said whether'],
  ['', {}, '""'],
  ['ON', {}, '"ON"'],
  ['off', { allow: 'me' }, '--allow says nothing about "off"'],
  ['status', { message: '' }, '--message says nothing about "status"'],
  ['on', { allow: '' }, '--allow ""'],
  ['on', { allow: 'me,,::1' }, '--allow ""'],
  ['on', { allow: 'office.example.com' }, '"office.example.com"'],
  ['on', { allow: '10.0.0.0/33' }, '"10.0.0.0/33"'],
  ['on', { allow: '10.0.0.0/8/8' }, '"10.0.0.0/8/8"'],
  ['on', { allow: '10.0.0.0/' }, '"10.0.0.0/"'],
  ['on', { allow: 'fe80::1%eth0' }, '"fe80::1%eth0"'],
  ['on', { allow: 'me/8' }, '"me/8"'],
  ['on', { retryAfter: '0' }, '"0"'],
  ['on', { retryAfter: '1e3' }, '"1e3"'],
  ['on', { retryAfter: '604801' }, '"604801"'],
  ['on', { message: 'a\nb' }, 'in one line'],
] as const)('the words %j with %j are refused, naming what is wrong', ([word, given, named]) => {
  const error = errorOf(() => maintenanceRequest(word, given));
  expect(error.message).toContain(named);
  expect(error.code).toBe(2);
});

test('a message that is too long is refused', () => {
  const error = errorOf(() => maintenanceRequest('on', { message: 'ü'.repeat(501) }));
  expect(error.message).toContain('at most 500');
});

test('a word reaches a program behind a shell as it was typed', () => {
  for (const word of [
    '',
    'plain',
    'two words',
    "Ada's",
    '$HOME `id` $(id)',
    '\\ " ; & | < > * ?',
    'grüßt',
    '-x=1',
  ]) {
    const command = `printf %s ${shellWord(word)}`;
    expect(execFileSync('sh', ['-c', command], { encoding: 'utf8' })).toBe(word);
  }
});

test('the word me is the address that the login comes from', async () => {
  const connection = connectionTo('true', { SSH_CONNECTION: '203.0.113.7 50000 198.51.100.2 22' });
  const request = maintenanceRequest('on', { allow: '::1,me' });
  expect((await withAddresses(connection, request)).allow).toEqual(['::1', '203.0.113.7']);
  const nowhere = connectionTo('true', { SSH_CONNECTION: '' });
  await expect(addressOfLogin(nowhere)).rejects.toThrow('does not say where this login comes from');
});

test('the release command gets what was asked for, word by word', async () => {
  const answer = JSON.stringify({ event: 'result', message: 'closed', maintenance: on });
  const given = join(temporaryDirectory(), 'words');
  const connection = connectionTo(`printf '%s\\n' "$@" > ${given}; echo '${answer}'`);
  const request = maintenanceRequest('on', { allow: '::1,me', retryAfter: '60', message: "Ada's $HOME" });
  const { state, message } = await askForMaintenance(connection, 'shop-production', request);
  expect({ state, message }).toEqual({ state: on, message: 'closed' });
  expect(readFileSync(given, 'utf8').trim().split('\n')).toEqual([
    '/usr/local/sbin/shop-production-release',
    ...['maintenance', 'on', '--json', expect.stringMatching(/^--by=./)],
    ...['--allow=::1', '--allow=me', '--retry-after=60', "--message=Ada's $HOME"],
  ]);
});

test('what the release command refuses is said in its words, with its exit status', async () => {
  const request = maintenanceRequest('on', {});
  const ask = (command: string) => askForMaintenance(connectionTo(command), 'shop-production', request);
  const answer = JSON.stringify({ event: 'result', status: 'failed', message: 'it is what it is' });
  await expect(ask(`echo '${answer}'; return 1`)).rejects.toMatchObject({
    message: 'it is what it is',
    code: 1,
  });
  await expect(ask(`echo '${answer}'; return 2`)).rejects.toMatchObject({ code: 2 });
  await expect(ask('return 9')).rejects.toThrow('exit status 9');
  for (const old of [
    'echo "sudo: /usr/local/sbin/shop-production-release: command not found" >&2; return 1',
    `echo "argument command: invalid choice: 'maintenance' (choose from 'deploy')" >&2; return 2`,
  ]) {
    await expect(ask(old)).rejects.toMatchObject({
      message: expect.stringContaining('provisioned before'),
      remedy: expect.stringContaining('--provision'),
    });
  }
});

test('what a visitor sees is said, and is an error when it is not what was asked for', () => {
  const page = (status: number) => ({ status, headers: { 'retry-after': '60' } }) as unknown as LivePage;
  expect(describeVisit(domain, page(503), on)).toContain('may ask again after 60 seconds');
  expect(describeVisit(domain, page(200), { ...on, allow: ['::1'] })).toContain('is let in');
  expect(errorOf(() => describeVisit(domain, page(200), on)).message).toContain('answers 200 from here');
  expect(describeVisit(domain, page(302), off)).toBe('Visitors get 302 from https://shop.example.com/.');
  expect(errorOf(() => describeVisit(domain, page(503), off)).message).toContain('off, but');
});

test('the state for people leaves out what there is not', () => {
  expect(stateLines(off)).toEqual(['Maintenance is off.']);
  expect(stateLines(on)).toHaveLength(1);
  expect(stateLines({ ...on, allow: ['::1', 'x'], message: 'Soon' }).slice(1)).toEqual([
    '  let in   ::1, x',
    '  message  Soon',
  ]);
});
