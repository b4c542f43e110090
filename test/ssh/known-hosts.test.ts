import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fingerprints, knownHostsFor, knownHostsName } from '../../lib/ssh/known-hosts.ts';
import { sampleEnvironment } from '../support/sample.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

function newKey(directory: string): string {
  const file = join(directory, `key-${Math.random()}`);
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file]);
  return readFileSync(`${file}.pub`, 'utf8').trim();
}

test('a host on another port is listed with it', () => {
  expect(knownHostsName({ address: '192.0.2.10', user: 'u', port: 22 })).toBe('192.0.2.10');
  expect(knownHostsName({ address: '192.0.2.10', user: 'u', port: 2222 })).toBe('[192.0.2.10]:2222');
});

test('a host’s keys are found in a file with hashed names, and come back with plain ones', async () => {
  const directory = temporaryDirectory();
  const key = newKey(directory);
  const file = join(directory, 'known_hosts');
  writeFileSync(file, `192.0.2.10 ${key}\nother.example.com ${newKey(directory)}\n`);
  execFileSync('ssh-keygen', ['-q', '-H', '-f', file], { stdio: 'ignore' });
  expect(await knownHostsFor(sampleEnvironment(), file)).toBe(`192.0.2.10 ${key}\n`);
});

test('a file that knows only one of two hosts on the way is not enough', async () => {
  const directory = temporaryDirectory();
  const file = join(directory, 'known_hosts');
  writeFileSync(file, `192.0.2.10 ${newKey(directory)}\n`);
  const throughJump = sampleEnvironment({ jump: { address: 'jump.example.com', user: 'hop', port: 2200 } });
  expect(await knownHostsFor(throughJump, file)).toBe('');
});

test('a file that does not exist knows nobody', async () => {
  expect(await knownHostsFor(sampleEnvironment(), '/no/such/file')).toBe('');
});

test('a fingerprint is shown as ssh shows it', async () => {
  const directory = temporaryDirectory();
  const [shown] = await fingerprints(`192.0.2.10 ${newKey(directory)}\n`);
  expect(shown).toMatch(/^192\.0\.2\.10 \(ED25519\) SHA256:[A-Za-z0-9+/]{43}$/);
});
