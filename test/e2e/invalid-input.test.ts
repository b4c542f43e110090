import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { giveTo } from '../support/normal-user.ts';
import { Workplace } from '../support/workplace.ts';

const valid = {
  name: 'shop',
  domain: 'shop.example.com',
  author: 'Ada Example',
  email: 'ada@example.com',
  host: 'server.example.com',
};

type Values = Partial<typeof valid> & Record<string, string>;

/** A complete command line but for the given values. */
function commandLine(values: Values): string[] {
  const { name, ...flags } = { ...valid, ...values };
  return [
    'goboot',
    name,
    '--skip-github',
    '--skip-deploy',
    '--yes',
    ...Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`),
  ];
}

interface InvalidInput {
  what: string;
  args: string[];
  /** What the message must name. */
  named: string;
  /** Files in the working directory, by name. */
  files?: Record<string, string>;
}

function invalidValue(flag: string, value: string, what = value): InvalidInput {
  return { what: `${flag}: ${what}`, args: commandLine({ [flag]: value }), named: JSON.stringify(value) };
}

function invalidAnswers(what: string, contents: string, named: string): InvalidInput {
  return {
    what: `answers file: ${what}`,
    args: ['goboot', 'shop', '--skip-github', '--skip-deploy', '--yes', '--answers', 'answers.yaml'],
    named,
    files: { 'answers.yaml': contents },
  };
}

const complete = commandLine({});
const longLabel = 'a'.repeat(64);
const publicKey =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7UJ0kzYxGPvWJ2bA8YyPOo0n1VGGJ8BcxU1rfJ3h3d ada@example.com';

const table: InvalidInput[] = [
  invalidValue('name', 'class', 'a keyword'),
  invalidValue('name', 'json', 'a module of the standard library'),
  invalidValue('name', 'django'),
  invalidValue('name', 'celery', 'a dependency'),
  invalidValue('name', 'environ', 'a module whose name differs from its package’s'),
  invalidValue('name', 'pages', 'a module of the project itself'),
  invalidValue('name', 'manage', 'the project’s manage.py'),
  invalidValue('name', 'Shop', 'a capital'),
  invalidValue('name', 'my-shop', 'a hyphen'),
  invalidValue('name', 'my shop', 'a space'),
  invalidValue('name', '1shop', 'a leading digit'),
  invalidValue('name', '007', 'digits with leading zeros'),
  invalidValue('name', '1e3', 'a number in another notation'),
  invalidValue('name', '', 'empty'),
  invalidValue('name', 'shop_of_many_small_things', 'too long'),
  invalidValue('name', 'bücher', 'not ASCII'),
  invalidValue('name', '../shop', 'a path'),
  invalidValue('name', 'my__shop', 'two underscores'),

  invalidValue('domain', '', 'empty'),
  invalidValue('domain', 'https://shop.example.com', 'a URL'),
  invalidValue('domain', 'shop.example.com:8080', 'with a port'),
  invalidValue('domain', 'shop.example.com/start', 'with a path'),
  invalidValue('domain', '*.example.com', 'a wildcard'),
  invalidValue('domain', '192.0.2.1', 'an IPv4 address'),
  invalidValue('domain', '2001:db8::1', 'an IPv6 address'),
  invalidValue('domain', 'localhost', 'a single label'),
  invalidValue('domain', 'shop example.com', 'with a space'),
  invalidValue('domain', 'shop..example.com', 'with an empty label'),
  invalidValue('domain', `${longLabel}.example.com`, 'a label that is too long'),
  invalidValue('domain', `${`${longLabel.slice(1)}.`.repeat(4)}example.com`, 'too long'),
  invalidValue('domain', '-shop.example.com', 'a leading hyphen'),
  invalidValue('domain', 'xn--a.example', 'punycode of nothing'),
  invalidValue('domain', 'bü\u00adcher\u2024.example', 'an international name that cannot be encoded'),

  { what: 'author: empty', args: commandLine({ author: '' }), named: 'The author is empty' },
  invalidValue('author', 'Ada <ada@example.com>', 'with an address'),
  invalidValue('email', 'ada', 'no at sign'),
  invalidValue('email', 'ada@', 'no domain'),
  invalidValue('email', 'ada@@example.com', 'two at signs'),
  invalidValue('email', 'ada lovelace@example.com', 'with a space'),

  invalidValue('host', '', 'empty'),
  invalidValue('host', 'root@server.example.com', 'with a user'),
  invalidValue('host', 'server.example.com:22', 'with a port'),
  invalidValue('host', '300.1.1.1', 'not quite an IPv4 address'),
  invalidValue('host', '192.0.2', 'part of an IPv4 address'),
  invalidValue('host', '2001:db8:::1', 'not quite an IPv6 address'),
  invalidValue('host', 'server_1;reboot', 'shell syntax'),
  invalidValue('user', 'ada lovelace', 'with a space'),
  invalidValue('user', '-oProxyCommand=id', 'an option'),
  invalidValue('jump-host', 'gate@example.com', 'with a user'),

  invalidValue('port', '0'),
  invalidValue('port', '65536'),
  invalidValue('port', 'abc'),
  invalidValue('port', '22x'),
  invalidValue('port', '-22'),
  invalidValue('port', '22.5'),
  invalidValue('jump-port', '0x16'),

  invalidValue('key-file', 'missing', 'missing'),
  invalidValue('key-file', '/', 'a directory'),
  { ...invalidValue('key-file', 'id.pub', 'a public key'), files: { 'id.pub': `${publicKey}\n` } },
  { ...invalidValue('key-file', 'notes.txt', 'a text'), files: { 'notes.txt': 'Buy milk.\n' } },
  { ...invalidValue('key-file', 'unreadable', 'unreadable'), files: { unreadable: 'x' } },
  invalidValue('known-hosts-file', 'missing', 'missing'),
  {
    ...invalidValue('known-hosts-file', 'known_hosts', 'garbage'),
    files: { known_hosts: 'server.example.com a key\n' },
  },
  { ...invalidValue('known-hosts-file', 'empty', 'without a key'), files: { empty: '# nothing yet\n' } },

  invalidValue('answers', 'missing.yaml', 'missing'),
  invalidValue('answers', '/', 'a directory'),
  invalidAnswers('not YAML', 'domain: [shop\n', '"answers.yaml"'),
  invalidAnswers('empty', '', '"answers.yaml"'),
  invalidAnswers('a list', '- domain: shop.example.com\n', '"answers.yaml"'),
  invalidAnswers('an unknown key', 'domian: shop.example.com\n', '"domian"'),
  invalidAnswers('a number as key', '22: port\n', '"22"'),
  invalidAnswers('a list as value', 'domain: [a.example.com, b.example.com]\n', '"domain"'),
  invalidAnswers('a key given twice', 'port: 22\nport: 23\n', '"answers.yaml"'),
  invalidAnswers('an invalid value', 'domain: http://shop.example.com\n', '"http://shop.example.com"'),

  { what: 'an unknown flag', args: [...complete, '--nonsense'], named: '--nonsense' },
  { what: 'an unknown short flag', args: [...complete, '-Z'], named: '-Z' },
  { what: 'a flag with a typing error', args: [...complete, '--key_file=x'], named: '--key_file' },
  { what: 'a missing value at the end', args: [...complete, '--key-file'], named: '--key-file' },
  {
    what: 'a missing value before a flag',
    args: [...complete, '--key-file', '--quiet'],
    named: '--key-file',
  },
  { what: 'a flag given twice', args: [...complete, '--domain=other.example.com'], named: '--domain' },
  { what: 'a switch given twice', args: [...complete, '--yes'], named: '--yes' },
  { what: 'a surplus argument', args: [...complete, 'surplus'], named: '"surplus"' },
  { what: 'a switch with a value', args: [...complete, '--check=maybe'], named: '"maybe"' },
  { what: 'nothing but --yes', args: ['goboot', '--yes'], named: 'the project name' },
  { what: 'an unknown system', args: ['goboot:rehearse', '--os', 'debian11'], named: '"debian11"' },
  {
    what: 'a release without --rollback',
    args: ['goboot:deploy', '20260101T000000Z-0123abcd'],
    named: '0123abcd',
  },
  { what: 'an unknown flag of deploy', args: ['goboot:deploy', '--nonsense'], named: '--nonsense' },
  { what: 'maintenance without a word', args: ['goboot:maintenance'], named: 'on, off, or status' },
  { what: 'maintenance with another word', args: ['goboot:maintenance', 'up'], named: '"up"' },
  {
    what: 'maintenance: an address that is none',
    args: ['goboot:maintenance', 'on', '--allow=::1,300.1.1.1'],
    named: '"300.1.1.1"',
  },
  {
    what: 'maintenance: a time that is none',
    args: ['goboot:maintenance', 'on', '--retry-after=1h'],
    named: '"1h"',
  },
  { what: 'maintenance outside of a project', args: ['goboot:maintenance', 'on'], named: 'not in a project' },
  { what: 'no project', args: ['goboot:deploy'], named: 'not in a project' },
];

test.concurrent.for(table)('$what', async ({ args, named, files = {} }, { expect: expectHere }) => {
  const place = new Workplace();
  for (const [name, contents] of Object.entries(files)) {
    const path = join(place.cwd, name);
    writeFileSync(path, contents);
    giveTo(place.user, path);
    if (name === 'unreadable') chmodSync(path, 0);
  }
  const before = place.listing();
  const { exitCode, stdout, stderr } = await place.yo(args);
  expectHere(stderr).toContain(named);
  expectHere(stderr).not.toMatch(/^\s+at |node:internal/m);
  expectHere({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  expectHere(place.listing()).toEqual(before);
});

test('the table is a long one, and every entry has a name of its own', () => {
  expect(new Set(table.map(({ what }) => what)).size).toBe(table.length);
  expect(table.length).toBeGreaterThanOrEqual(45);
});
