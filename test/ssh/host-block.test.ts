import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  changeUserConfiguration,
  hasHostBlock,
  withHostBlock,
  withoutHostBlock,
} from '../../lib/ssh/host-block.ts';
import { sampleEnvironment } from '../support/sample.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const environment = sampleEnvironment({ host: { address: '192.0.2.5', user: 'debian', port: 2222 } });
const { site } = environment;
const knownHosts = '/home/ada/my shop/.ansible/known_hosts';
const add = (text: string) => withHostBlock(text, environment, knownHosts);

function asOpenSshReadsIt(configuration: string, alias: string): Record<string, string> {
  const path = join(temporaryDirectory(), 'config');
  writeFileSync(path, configuration);
  const lines = execFileSync('ssh', ['-F', path, '-G', alias], { encoding: 'utf8' }).trim().split('\n');
  return Object.fromEntries(lines.map((line) => line.split(/ (.*)/s, 2)));
}

const configurations = {
  empty: '',
  'without a block': 'Compression yes\n',
  'without a final newline': 'Host a\n  Port 1',
  'with defaults for all':
    '# mine\nInclude conf.d/*\n\n# the old server\nHost old\n\tPort 7\n\nHost *\n  User nobody\n  Port 1\n',
  'with Windows line ends': 'Compression yes\r\n\r\nHost *\r\n  User nobody\r\n',
  'with strange formatting': 'host=x\n   PORT   =  "9"   # why\n\n\n\nMatch all\n',
};

test.each(Object.entries(configurations))(
  'ssh finds the site in a configuration %s, and nothing else changes',
  (_, text) => {
    const changed = add(text);
    expect(asOpenSshReadsIt(changed, site)).toMatchObject({
      hostname: '192.0.2.5',
      user: 'debian',
      port: '2222',
      userknownhostsfile: `${knownHosts} ${homedir()}/.ssh/known_hosts`,
      stricthostkeychecking: 'true',
      forwardagent: 'no',
    });
    for (const other of ['old', 'x', 'somebody.example.com']) {
      expect(asOpenSshReadsIt(changed, other)).toEqual(asOpenSshReadsIt(text, other));
    }
    for (const line of text.split('\n')) expect(changed).toContain(line);
    expect(hasHostBlock(changed, site)).toBe(true);
    expect(add(changed)).toBe(changed);
  },
);

test.each(Object.entries(configurations).filter(([name]) => name !== 'without a final newline'))(
  'removed again, a configuration %s is as it was, to the byte',
  (_, text) => {
    expect(withoutHostBlock(add(text), site)).toBe(text);
    expect(withoutHostBlock(text, site)).toBe(text);
  },
);

test('a jump host gets a name of its own', () => {
  const jumping = { ...environment, jump: { address: '192.0.2.1', user: 'gate', port: 22 } };
  const text = withHostBlock('', jumping, knownHosts);
  expect(asOpenSshReadsIt(text, site)).toMatchObject({ proxyjump: `${site}-jump` });
  expect(asOpenSshReadsIt(text, `${site}-jump`)).toMatchObject({ hostname: '192.0.2.1', user: 'gate' });
});

test('the blocks of two sites do not disturb each other', () => {
  const staging = {
    ...environment,
    site: 'shop-staging',
    host: { ...environment.host, address: '192.0.2.6' },
  };
  const both = withHostBlock(add(configurations['with defaults for all']), staging, knownHosts);
  expect(asOpenSshReadsIt(both, site).hostname).toBe('192.0.2.5');
  expect(asOpenSshReadsIt(both, 'shop-staging').hostname).toBe('192.0.2.6');
  expect(asOpenSshReadsIt(withoutHostBlock(both, site), 'shop-staging').hostname).toBe('192.0.2.6');
});

test('a block of that name that goboot did not write is left alone', () => {
  expect(() => add(`Host other ${site}\n  Port 1\n`)).toThrow(
    `has a block "Host ${site}" that goboot did not write`,
  );
});

test('a block without its end is not guessed at', () => {
  const broken = add('').replace(/# END.*\n/, '');
  expect(() => withoutHostBlock(broken, site)).toThrow('is missing in your ssh configuration');
});

test('the file is replaced in one step, for its owner alone; what was linked stays linked', async () => {
  const directory = temporaryDirectory();
  const [real, link] = [join(directory, 'dotfiles'), join(directory, 'config')];
  writeFileSync(real, 'Host a\n');
  chmodSync(real, 0o644);
  symlinkSync(real, link);
  expect(await changeUserConfiguration(link, add)).toBe(true);
  expect(await changeUserConfiguration(link, add)).toBe(false);
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
  expect(statSync(real).mode & 0o777).toBe(0o600);
  expect(readFileSync(link, 'utf8')).toBe(add('Host a\n'));
  expect(readdirSync(directory).sort()).toEqual(['config', 'dotfiles']);
});

test('a missing file is made with its directory', async () => {
  const file = join(temporaryDirectory(), '.ssh', 'config');
  await changeUserConfiguration(file, add);
  expect(statSync(join(file, '..')).mode & 0o777).toBe(0o700);
  expect(hasHostBlock(readFileSync(file, 'utf8'), site)).toBe(true);
});

test('a file that cannot be written is as it was, and nothing is left beside it', async () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'file'));
  const parent = join(directory, 'not-a-directory');
  writeFileSync(parent, '');
  await expect(changeUserConfiguration(join(parent, 'config'), add)).rejects.toThrow(
    'cannot be read: ENOTDIR',
  );
  expect(existsSync(parent)).toBe(true);
});
