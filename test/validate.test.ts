import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { basename, join, relative } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { GobootError } from '../lib/errors.ts';
import {
  expandPath,
  validateAuthor,
  validateBasicAuthUser,
  validateDomain,
  validateEmail,
  validateEnvironmentName,
  validateFlow,
  validateGitHubOwner,
  validateHost,
  validateKeyFile,
  validateKnownHostsFile,
  validateLinter,
  validatePort,
  validateProjectName,
  validateStoredKeyFile,
  validateUser,
  validateVisibility,
  validateWww,
} from '../lib/validate.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

function errorOf(action: () => unknown): GobootError {
  try {
    action();
  } catch (error) {
    if (error instanceof GobootError) return error;
    throw error;
  }
  throw new Error('expected an error');
}

/** The value stands in the message, the remedy is there, and the exit status is that of bad input. */
function expectRefusal(action: () => unknown, value: string): void {
  const error = errorOf(action);
  expect(error.code).toBe(2);
  expect(error.message).toContain(JSON.stringify(value));
}

describe('the name of an environment', () => {
  test.each(['production', 'staging', 'staging-eu-2', 'test', 'a'])('%j is usable', (name) => {
    expect(validateEnvironmentName(name, 'shop')).toBe(name);
  });

  test.each([
    ['', 'empty'],
    ['Staging', 'a capital letter'],
    ['my_staging', 'an underscore'],
    ['2nd', 'a digit first'],
    ['staging-', 'a hyphen at its end'],
    ['a--b', 'two hyphens'],
    ['web', 'a group of the inventory'],
    ['all', 'a word of Ansible'],
    ['github', 'kept by GitHub'],
    ['github-pages', 'kept by GitHub'],
    ['staging-jump', 'the alias of a jump host'],
    ['../staging', 'a path'],
    ['x'.repeat(28), 'too long for a user name'],
  ])('%j is refused: %s', (name) => {
    expectRefusal(() => validateEnvironmentName(name, 'shop'), name);
  });

  test('leaves room for the project’s name in that of a user on the server', () => {
    expect(validateEnvironmentName('elevenchars', 'x'.repeat(20))).toBe('elevenchars');
    expect(() => validateEnvironmentName('twelve-chars', 'x'.repeat(20))).toThrowError(/12 characters/);
  });
});

test('www is redirected or is none of the names', () => {
  expect(validateWww('redirect')).toBe('redirect');
  expect(validateWww('none')).toBe('none');
  expectRefusal(() => validateWww('serve'), 'serve');
});

test('changes reach the environments by the trunk or by a branch for each', () => {
  expect(validateFlow('trunk')).toBe('trunk');
  expect(validateFlow('gitops')).toBe('gitops');
  expectRefusal(() => validateFlow('git-flow'), 'git-flow');
});

test('the project is linted by its hooks or by super-linter', () => {
  expect(validateLinter('pre-commit')).toBe('pre-commit');
  expect(validateLinter('super-linter')).toBe('super-linter');
  expectRefusal(() => validateLinter('flake8'), 'flake8');
});

test.each(['', 'friends', 'a.b-c_D9'])('visitors may be asked for the name %j', (name) => {
  expect(validateBasicAuthUser(name)).toBe(name);
});

test.each(['a:b', 'two words', 'x'.repeat(65), "o'neil"])('visitors may not be asked for %j', (name) => {
  expectRefusal(() => validateBasicAuthUser(name), name);
});

describe('a project name', () => {
  test.each(['shop', 'my_shop', 'a', 'shop2', 'abcdefghij_klmnopqrs'])('%j is usable', (name) => {
    expect(validateProjectName(name)).toBe(name);
  });

  test.each([
    ['', 'empty'],
    ['Shop', 'a capital letter'],
    ['my-shop', 'a hyphen'],
    ['1shop', 'a digit first'],
    ['007', 'a number'],
    ['_shop', 'an underscore first'],
    ['shop_', 'an underscore last'],
    ['my__shop', 'two underscores'],
    ['läden', 'a letter outside of ASCII'],
    ['my shop', 'a space'],
    ['abcdefghij_klmnopqrst', '21 characters'],
  ])('%j is refused: %s', (name) => {
    expectRefusal(() => validateProjectName(name), name);
  });

  test.each([
    ['class', 'Python'],
    ['json', 'standard library'],
    ['django', 'django'],
    ['celery', 'celery'],
    ['pages', 'project'],
  ])('%j is refused and its owner named', (name, owner) => {
    expectRefusal(() => validateProjectName(name), name);
    expect(errorOf(() => validateProjectName(name)).message).toContain(owner);
  });
});

describe('a domain', () => {
  test.each([
    ['shop.example.com', 'shop.example.com'],
    [' Shop.Example.COM. ', 'shop.example.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['a-b.c-d.example', 'a-b.c-d.example'],
  ])('%j is kept as %j', (typed, kept) => {
    expect(validateDomain(typed)).toBe(kept);
  });

  test.each([
    '',
    'localhost',
    'https://shop.example.com',
    'shop.example.com:8080',
    'shop.example.com/path',
    '*.example.com',
    '192.0.2.10',
    '[2001:db8::1]',
    'shop example.com',
    'shop..example.com',
    'sh_op.example.com',
    '-shop.example.com',
    `${'a'.repeat(64)}.example.com`,
    `${'a.'.repeat(130)}example.com`,
    'me@example.com',
  ])('%j is refused', (domain) => {
    expectRefusal(() => validateDomain(domain), domain);
  });
});

describe('a host', () => {
  test.each([
    ['server.example.com', 'server.example.com'],
    ['server', 'server'],
    ['192.0.2.10', '192.0.2.10'],
    ['2001:DB8::1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
  ])('%j is kept as %j', (typed, kept) => {
    expect(validateHost(typed)).toBe(kept);
  });

  test.each([
    '',
    'root@server',
    'server:22',
    '300.1.2.3',
    '1.2.3',
    '2001:db8::zz',
    'a b',
    'x/y',
    '-oProxyCommand=x',
  ])('%j is refused', (host) => {
    expectRefusal(() => validateHost(host), host);
  });
});

describe('a port', () => {
  test('is a number from 1 to 65535', () => {
    expect(validatePort('1')).toBe(1);
    expect(validatePort('65535')).toBe(65535);
  });

  test.each(['', '0', '65536', '-1', '22x', '1e3', '0x16', '2.2', 'ssh'])('%j is refused', (port) => {
    expectRefusal(() => validatePort(port), port);
  });
});

describe('an e-mail address', () => {
  test('is kept', () => expect(validateEmail(' ada@example.com ')).toBe('ada@example.com'));

  test.each(['', 'ada', 'ada@', '@example.com', 'a b@example.com', 'ada@example', 'Ada <ada@example.com>'])(
    '%j is refused',
    (email) => {
      expectRefusal(() => validateEmail(email), email);
    },
  );
});

describe('a user', () => {
  test.each(['debian', 'ada.lovelace', '_x', 'A1-b'])('%j is kept', (user) =>
    expect(validateUser(user)).toBe(user),
  );
  test.each(['', '-x', 'a b', '1a', 'a'.repeat(33), '$(id)'])('%j is refused', (user) => {
    expectRefusal(() => validateUser(user), user);
  });
});

describe('an author', () => {
  test('may have any script and apostrophes', () => {
    expect(validateAuthor("Zoë O'Brien 李")).toBe("Zoë O'Brien 李");
  });

  test('is refused when empty', () => {
    expect(errorOf(() => validateAuthor('  ')).code).toBe(2);
  });

  test.each(['a\nb', 'Ada <ada@example.com>', 'x'.repeat(101)])('%j is refused', (author) => {
    expectRefusal(() => validateAuthor(author), author);
  });
});

describe('a key file', () => {
  const privateKey = '-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n';

  test('is kept as it was written', () => {
    const path = join(temporaryDirectory(), 'id_ed25519');
    writeFileSync(path, privateKey);
    expect(validateKeyFile(path)).toBe(path);
  });

  test('below the home directory is written as other computers understand it', () => {
    // Where the environment names another home than the user database, ssh would look for `~/` elsewhere.
    const home = homedir();
    const directory = mkdtempSync(join(home, '.goboot-test-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'key');
    writeFileSync(path, '-----BEGIN OPENSSH PRIVATE KEY-----\n');
    const portable = userInfo().homedir === home ? `~/${basename(directory)}/key` : path;
    expect(validateKeyFile(path)).toBe(portable);
    expect(validateKeyFile(relative(process.cwd(), path))).toBe(portable);
    expect(validateKeyFile(`~/${basename(directory)}/key`)).toBe(portable);
  });

  test('is absolute elsewhere, also where it was typed from the current directory', () => {
    const path = join(temporaryDirectory(), 'key');
    writeFileSync(path, '-----BEGIN OPENSSH PRIVATE KEY-----\n');
    expect(validateKeyFile(relative(process.cwd(), path))).toBe(path);
  });

  test('of an earlier run may be on another computer', () => {
    expect(validateStoredKeyFile('/home/ada/.ssh/id')).toBe('/home/ada/.ssh/id');
    expectRefusal(() => validateStoredKeyFile('/home/a\nHost *'), '/home/a\nHost *');
  });

  test('may be left out, for the keys of the agent', () => {
    expect(validateKeyFile('')).toBe('');
  });

  test('is refused when it does not exist, is a directory, a public key, PuTTY’s or something else', () => {
    const directory = temporaryDirectory();
    const files = {
      'id.pub': 'ssh-ed25519 AAAA me',
      'id.ppk': 'PuTTY-User-Key-File-3: ssh-ed25519',
      'notes.txt': 'hello',
    };
    for (const [name, contents] of Object.entries(files)) writeFileSync(join(directory, name), contents);
    mkdirSync(join(directory, 'folder'));
    for (const name of ['missing', 'folder', ...Object.keys(files)]) {
      const path = join(directory, name);
      expectRefusal(() => validateKeyFile(path), path);
    }
  });
});

describe('a known_hosts file', () => {
  test.each([
    ['a plain line', 'server ssh-ed25519 AAAAC3Nza\n'],
    ['a hashed line and a comment', '# mine\n|1|abc=|def= ssh-rsa AAAAB3Nza comment\n'],
    ['a marker', '@cert-authority *.example.com ssh-ed25519 AAAAC3Nza\n'],
  ])('with %s is accepted', (_, contents) => {
    const path = join(temporaryDirectory(), 'known_hosts');
    writeFileSync(path, contents);
    expect(validateKnownHostsFile(path)).toBe(path);
  });

  test('is refused when a line is none, or when it has none', () => {
    const path = join(temporaryDirectory(), 'known_hosts');
    for (const contents of ['not a key line\n', '# nothing\n', '']) {
      writeFileSync(path, contents);
      expectRefusal(() => validateKnownHostsFile(path), path);
    }
  });
});

test('a path may start with the home directory', () => {
  expect(expandPath('~/x')).toBe(join(process.env.HOME ?? '', 'x'));
});

describe('the owner of a repository', () => {
  test.each(['octocat', 'The-Octo-Org', 'a', 'ada_corp', ''])('%j is usable', (owner) => {
    expect(validateGitHubOwner(owner)).toBe(owner);
  });

  test.each(['-octocat', 'octocat-', 'octo--cat', 'https://github.com/octocat', 'octo cat', 'a'.repeat(40)])(
    '%j is refused',
    (owner) => expectRefusal(() => validateGitHubOwner(owner), owner),
  );
});

describe('the visibility of a repository', () => {
  test('is private or public, in any case', () => {
    expect(validateVisibility(' Public ')).toBe('public');
    expect(validateVisibility('private')).toBe('private');
  });

  test.each(['secret', 'internal', ''])('%j is refused', (visibility) =>
    expectRefusal(() => validateVisibility(visibility), visibility),
  );
});
