import { mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { configuredHost, configuredHostNames } from '../../lib/ssh/user-configuration.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** Writes a configuration, and files beside it. `DIR` in a text is their directory. */
function configuration(text: string, others: Record<string, string> = {}): string {
  const directory = temporaryDirectory();
  for (const [name, contents] of Object.entries({ config: text, ...others })) {
    mkdirSync(join(directory, name, '..'), { recursive: true });
    writeFileSync(join(directory, name), contents.replaceAll('DIR', directory));
  }
  return join(directory, 'config');
}

const me = userInfo().username;

test('the names of machines are offered, also from included files; patterns are not', async () => {
  const file = configuration(
    'Include DIR/conf.d/*.conf\nHost shop shop.example.com\n  Port 2222\nhost = "other"\nHost *.internal !not any?\nMatch host x\n  Port 1\n',
    { 'conf.d/a.conf': 'Host first\n  HostName 192.0.2.1\n', 'conf.d/b.txt': 'Host hidden\n' },
  );
  expect(await configuredHostNames(file)).toEqual(['shop', 'shop.example.com', 'other', 'first']);
});

test('there are no names where there is no configuration, or one that ssh refuses', async () => {
  expect(await configuredHostNames(join(temporaryDirectory(), 'none'))).toEqual([]);
  expect(await configuredHostNames(configuration('Host a\n  Nonsense yes\n'))).toEqual([]);
});

test('address, user, port and key of a name are what OpenSSH makes of all its blocks', async () => {
  const file = configuration(
    'Host shop\n  HostName 192.0.2.7\n  IdentityFile DIR/key\nMatch host 192.0.2.7\n  User debian\nHost *\n  Port 2222\n  User other\n',
    { key: '' },
  );
  expect(await configuredHost('shop', file)).toEqual({
    ...{ address: '192.0.2.7', user: 'debian', port: 2222, keyFile: join(file, '../key') },
    jumps: [],
    proxyCommand: false,
  });
});

test('of a name that is not in the configuration nothing is said', async () => {
  expect(await configuredHost('203.0.113.9', configuration('Host a\n  Port 1\n'))).toEqual({
    address: '203.0.113.9',
    jumps: [],
    proxyCommand: false,
  });
});

test('of several key files the first that exists is taken, and tokens are read', async () => {
  const file = configuration(
    'Host shop\n  User ada\n  IdentityFile DIR/missing\n  IdentityFile DIR/agent.pub\n  IdentityFile DIR/%r-%n\n',
    {
      'ada-shop': '',
      'agent.pub': '',
    },
  );
  expect((await configuredHost('shop', file)).keyFile).toBe(join(file, '../ada-shop'));
});

test('jump hosts in a row are found, each with its own settings', async () => {
  const file = configuration(
    `Host shop
  HostName 10.0.0.5
  ProxyJump outer,hop@inner.example.com:2201,[2001:db8::1]:2202
Host outer
  HostName 192.0.2.1
  User gate
  ProxyJump first
Host first
  HostName 192.0.2.9
  IdentityFile DIR/first-key
`,
    { 'first-key': '' },
  );
  expect((await configuredHost('shop', file)).jumps).toEqual([
    { address: '192.0.2.9', user: me, port: 22, keyFile: join(file, '../first-key') },
    { address: '192.0.2.1', user: 'gate', port: 22 },
    { address: 'inner.example.com', user: 'hop', port: 2201 },
    { address: '2001:db8::1', user: me, port: 2202 },
  ]);
});

test('what cannot work elsewhere, or anywhere, is told', async () => {
  const file = configuration(
    'Host command\n  ProxyCommand nc %h %p\nHost a\n  ProxyJump b\nHost b\n  ProxyJump a\nHost direct\n  ProxyJump none\n',
  );
  expect((await configuredHost('command', file)).proxyCommand).toBe(true);
  await expect(configuredHost('a', file)).rejects.toThrow('lead in a circle');
  expect((await configuredHost('direct', file)).jumps).toEqual([]);
  await expect(configuredHost('x', configuration('Host a\n  Nonsense yes\n'))).rejects.toThrow(
    /ssh cannot read your configuration: .*line 2: Bad configuration option: nonsense/,
  );
});
