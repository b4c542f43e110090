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

test('OpenSSH finds the host under the name of its site, with its own user, port and key', () => {
  const environment = sampleEnvironment({
    host: { address: '2001:db8::1', user: 'debian', port: 2222, keyFile: '/keys/my key' },
  });
  const read = asOpenSshReadsIt(sshConfiguration(environment), 'shop-production');
  expect(Object.fromEntries(read)).toMatchObject({
    hostname: '2001:db8::1',
    user: 'debian',
    port: '2222',
    identityfile: '/keys/my key',
    identitiesonly: 'yes',
    stricthostkeychecking: 'true',
    userknownhostsfile: 'known_hosts',
    forwardagent: 'no',
  });
});

test('a jump host has its own user, port and key', () => {
  const environment = sampleEnvironment({
    jump: { address: 'jump.example.com', user: 'hop', port: 2200, keyFile: '/keys/hop' },
  });
  const configuration = sshConfiguration(environment);
  expect(asOpenSshReadsIt(configuration, 'shop-production').get('proxyjump')).toBe('shop-production-jump');
  expect(Object.fromEntries(asOpenSshReadsIt(configuration, 'shop-production-jump'))).toMatchObject({
    hostname: 'jump.example.com',
    user: 'hop',
    port: '2200',
    identityfile: '/keys/hop',
  });
});

test('without a key file the agent’s keys are used', () => {
  expect(
    asOpenSshReadsIt(sshConfiguration(sampleEnvironment()), 'shop-production').get('identitiesonly'),
  ).toBe('no');
});
