import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sshConfiguration } from '../../lib/ssh/configuration.ts';
import { sampleEnvironment } from '../support/sample.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** What OpenSSH itself makes of a configuration. */
function asOpenSshReadsIt(configuration: string, alias: string): Map<string, string> {
  const path = join(temporaryDirectory(), 'config');
  writeFileSync(path, configuration);
  const output = execFileSync('ssh', ['-F', path, '-G', alias], { encoding: 'utf8' });
  return new Map(
    output
      .trim()
      .split('\n')
      .map((line) => line.split(/ (.*)/s, 2) as [string, string]),
  );
}

/** A file that stands for a private key; what is in it plays no part. */
function keyFile(name: string): string {
  const path = join(temporaryDirectory(), name);
  writeFileSync(path, '');
  return path;
}

test('OpenSSH finds the host under the name of its site, with its own user, port and key', () => {
  const key = keyFile("my ada's key");
  const environment = sampleEnvironment({
    host: { address: '2001:db8::1', user: 'debian', port: 2222, keyFile: key },
  });
  const read = asOpenSshReadsIt(sshConfiguration(environment), 'shop-production');
  expect(Object.fromEntries(read)).toMatchObject({
    hostname: '2001:db8::1',
    user: 'debian',
    port: '2222',
    identityfile: key,
    identitiesonly: 'yes',
    stricthostkeychecking: 'true',
    userknownhostsfile: 'known_hosts',
    forwardagent: 'no',
  });
});

test('a jump host has its own user, port and key', () => {
  const key = keyFile('hop');
  const environment = sampleEnvironment({
    jump: { address: 'jump.example.com', user: 'hop', port: 2200, keyFile: key },
  });
  const configuration = sshConfiguration(environment);
  expect(asOpenSshReadsIt(configuration, 'shop-production').get('proxyjump')).toBe('shop-production-jump');
  expect(Object.fromEntries(asOpenSshReadsIt(configuration, 'shop-production-jump'))).toMatchObject({
    hostname: 'jump.example.com',
    user: 'hop',
    port: '2200',
    identityfile: key,
  });
});

test('without a key file the agent’s keys are used', () => {
  expect(
    asOpenSshReadsIt(sshConfiguration(sampleEnvironment()), 'shop-production').get('identitiesonly'),
  ).toBe('no');
});

test('on a computer that has not got the key file, the agent’s keys are used', () => {
  const target = { user: 'ada', port: 22, keyFile: '/home/ada/no such key' };
  const environment = sampleEnvironment({
    host: { ...target, address: '192.0.2.10' },
    jump: { ...target, address: 'jump.example.com' },
  });
  for (const alias of ['shop-production', 'shop-production-jump']) {
    const read = asOpenSshReadsIt(sshConfiguration(environment), alias);
    expect(read.get('identitiesonly'), alias).toBe('no');
    expect(read.get('identityfile'), alias).not.toContain('no such key');
  }
});

test.each(['quoted " name', 'back\\slash', 'dollar $HOME', 'tick `id`', 'per %% cent'])(
  'a key file called %j runs nothing and changes nothing else',
  (name) => {
    const environment = sampleEnvironment({
      host: { address: '192.0.2.10', user: 'ada', port: 22, keyFile: `/keys/${name}` },
    });
    const configuration = sshConfiguration(environment);
    expect(configuration).not.toContain('exec');
    expect(configuration).toContain('IdentitiesOnly yes');
  },
);
