import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { sshConfiguration, withEnvironment } from '../../lib/ssh/configuration.ts';
import { sampleEnvironment, sampleStaging } from '../support/sample.ts';
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
  const read = asOpenSshReadsIt(sshConfiguration([environment]), 'shop-production');
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

test('jump hosts in a row are reached one through the other, the one next to the host last', () => {
  const outer = { address: 'outer.example.com', user: 'gate', port: 22 };
  const middle = { address: 'middle.example.com', user: 'hop', port: 2201, jump: outer };
  const environment = sampleEnvironment({
    jump: { address: 'inner.example.com', user: 'hop', port: 2202, jump: middle },
  });
  const configuration = sshConfiguration([environment]);
  const way = ['', '-jump', '-jump-2', '-jump-3'].map((suffix) => {
    const read = asOpenSshReadsIt(configuration, `shop-production${suffix}`);
    return [read.get('hostname'), read.get('port'), read.get('proxyjump')];
  });
  expect(way).toEqual([
    ['192.0.2.10', '22', 'shop-production-jump'],
    ['inner.example.com', '2202', 'shop-production-jump-2'],
    ['middle.example.com', '2201', 'shop-production-jump-3'],
    ['outer.example.com', '22', undefined],
  ]);
});

test('a jump host has its own user, port and key', () => {
  const key = keyFile('hop');
  const environment = sampleEnvironment({
    jump: { address: 'jump.example.com', user: 'hop', port: 2200, keyFile: key },
  });
  const configuration = sshConfiguration([environment]);
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
    asOpenSshReadsIt(sshConfiguration([sampleEnvironment()]), 'shop-production').get('identitiesonly'),
  ).toBe('no');
});

test('on a computer that has not got the key file, the agent’s keys are used', () => {
  const target = { user: 'ada', port: 22, keyFile: '/home/ada/no such key' };
  const environment = sampleEnvironment({
    host: { ...target, address: '192.0.2.10' },
    jump: { ...target, address: 'jump.example.com' },
  });
  for (const alias of ['shop-production', 'shop-production-jump']) {
    const read = asOpenSshReadsIt(sshConfiguration([environment]), alias);
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
    const configuration = sshConfiguration([environment]);
    expect(configuration).not.toContain('exec');
    expect(configuration).toContain('IdentitiesOnly yes');
  },
);

describe('one more environment', () => {
  const production = sampleEnvironment();
  const staging = sampleStaging({ jump: { address: 'jump.example.com', user: 'hop', port: 22 } });

  test('is added to a configuration as a rendering of both would have it', () => {
    expect(withEnvironment(sshConfiguration([production]), staging)).toBe(
      sshConfiguration([production, staging]),
    );
  });

  test('leaves comments and what was added by hand as they are, and finds its place before the common part', () => {
    const written = sshConfiguration([production])
      .replace('Host shop-production', '# the old machine\nHost shop-production old')
      .replace('Host *', '# for all of them\nHost *\n  LogLevel ERROR');
    const extended = withEnvironment(written, staging);
    const added = extended.split('\n').filter((line) => !written.split('\n').includes(line));
    expect(added.join('\n')).toContain('Host shop-staging');
    expect(written.split('\n').every((line) => extended.includes(line))).toBe(true);
    expect(extended).toContain('\n\n# for all of them\nHost *\n  LogLevel ERROR\n');
    expect(asOpenSshReadsIt(extended, 'shop-staging').get('proxyjump')).toBe('shop-staging-jump');
    expect(asOpenSshReadsIt(extended, 'shop-production').get('hostname')).toBe('192.0.2.10');
  });

  test('that is there is not added again', () => {
    const both = sshConfiguration([production, staging]);
    expect(withEnvironment(both, staging)).toBe(both);
  });

  test('comes last where there is no common part', () => {
    expect(withEnvironment('Host shop-production\n  HostName 192.0.2.10', staging)).toMatch(
      /^Host shop-production\n {2}HostName 192\.0\.2\.10\n\nHost shop-staging-jump\n/,
    );
  });
});
