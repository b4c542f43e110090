import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { machineTraces, tracesAfter } from '../rehearsal/support/traces.ts';
import { wordsAs } from '../support/normal-user.ts';
import { scaffold } from '../support/scaffold.ts';
import { testSystem } from '../support/test-host.ts';
import { Workplace } from '../support/workplace.ts';

const machine = `rehearsed-${testSystem}`;
const machines = [machine, `${machine}-acme`];
let place: Workplace;

beforeAll(async () => {
  place = new Workplace();
  await scaffold(place, { name: 'rehearsed' });
});

const rehearse = ['yo', 'goboot:rehearse', '--os', testSystem, '--json'];

test('a rehearsal puts the project live with a certificate of a real ACME server, and leaves nothing behind', async () => {
  const { exitCode, stdout, stderr } = await place.run(rehearse, { cwd: 'rehearsed' });
  expect(exitCode, `${stdout}\n${stderr}`).toBe(0);
  expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
    event: 'result',
    status: 'live',
    page: { status: 200 },
    certificate: { issuer: expect.stringContaining('Pebble'), trusted: true, selfSigned: false },
    services: { database: { ok: true }, cache: { ok: true }, tasks: { ok: true } },
    kept: false,
  });
  expect(await tracesAfter(machines, 10_000)).toEqual([]);
});

test('a rehearsal that is interrupted in the middle cleans up after itself', async () => {
  const [file, ...args] = wordsAs(place.user, rehearse) as [string, ...string[]];
  const subprocess = spawn(file, args, { cwd: join(place.cwd, 'rehearsed'), env: place.environment() });
  let output = '';
  const ended = new Promise<number | null>((resolve) => subprocess.once('close', resolve));
  await new Promise<void>((resolve) => {
    subprocess.stdout.on('data', (data) => {
      output += data;
      // The first tasks run: the host is up, and a playbook is at work on it.
      if (output.includes('"Provision the host"')) resolve();
    });
    void ended.then(() => resolve());
  });
  expect(machineTraces(machines)).not.toEqual([]);
  subprocess.kill('SIGINT');
  expect(await ended, output).toBe(1);
  expect(JSON.parse(output.trim().split('\n').at(-1) ?? '')).toMatchObject({ event: 'error', exitCode: 1 });
  expect(await tracesAfter(machines, 15_000)).toEqual([]);
});
