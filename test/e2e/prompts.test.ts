import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { giveTo, makeDirectoryFor } from '../support/normal-user.ts';
import { git, projectFile } from '../support/scaffold.ts';
import type { Terminal } from '../support/terminal.ts';
import { Workplace } from '../support/workplace.ts';

async function answer(terminal: Terminal, question: string, text: string): Promise<void> {
  await terminal.waitFor(question);
  if (text) await terminal.type(text);
  await terminal.press('Enter');
}

test.each([{ newerNode: false }, { newerNode: true }])(
  'a conversation, newer Node: $newerNode',
  async (options) => {
    const place = new Workplace();
    const terminal = await place.terminal(['goboot', '--skip-github', '--skip-deploy'], options);

    // A wrong answer is explained at once, and can be corrected where it stands.
    await answer(terminal, 'Project name', 'my-shop');
    await terminal.waitFor('"my-shop" is not usable');
    await terminal.press('C-u');
    await answer(terminal, 'Project name', 'shop');

    await answer(terminal, 'Domain of the site', 'https://shop.example.com');
    await terminal.waitFor('is a URL');
    await terminal.press('C-u');
    await answer(terminal, 'Domain of the site', 'shop.example.com');

    await answer(terminal, 'Author', 'Ada Example');
    await answer(terminal, 'E-mail address', 'ada@example.com');
    await terminal.waitFor('SSH host (name or address) (shop.example.com)');
    await answer(terminal, 'SSH host', '192.0.2.7');
    await answer(terminal, 'SSH user', 'debian');
    await terminal.waitFor('SSH port (22)');
    await answer(terminal, 'SSH port', '');
    await answer(terminal, 'Private SSH key', '');
    await answer(terminal, 'SSH jump host', '');
    await terminal.waitFor(/new files/);
    await answer(terminal, 'Go ahead?', '');

    const { status, screen } = await terminal.waitForExit();
    expect(screen).toMatch(/✔ Commit \d/);
    expect(screen).toContain('yo goboot:rehearse');
    expect(screen).not.toMatch(/^\s+at /m);
    expect(status).toBe(0);
    expect(JSON.parse(projectFile(place, '.yo-rc.json'))['generator-goboot']).toMatchObject({
      project: { projectName: 'shop', author: 'Ada Example', email: 'ada@example.com' },
      environments: {
        production: { domain: 'shop.example.com', host: '192.0.2.7', user: 'debian', port: 22 },
      },
    });
    expect(await git(place, 'status', '--porcelain')).toBe('');
  },
);

test('only what is missing is asked', async () => {
  const place = new Workplace();
  const terminal = await place.terminal([
    'goboot',
    'shop',
    '--skip-github',
    '--skip-deploy',
    '--domain=shop.example.com',
    '--author=Ada Example',
    '--host=192.0.2.7',
    '--user=debian',
    '--port=22',
    '--jump-host=gate.example.com',
  ]);
  await answer(terminal, 'E-mail address', 'ada@example.com');
  await answer(terminal, 'Private SSH key', '');
  await answer(terminal, 'User on the jump host', 'guest');
  await answer(terminal, 'SSH port of the jump host', '');
  await answer(terminal, 'Private SSH key for the jump host', '');
  const screen = await terminal.waitFor('Go ahead?');
  for (const answered of ['Project name', 'Domain of the site', 'Author', 'SSH host', 'SSH user']) {
    expect(screen).not.toContain(answered);
  }
  await terminal.type('n');
  await terminal.press('Enter');
  expect(await terminal.waitForExit()).toMatchObject({
    status: 1,
    screen: expect.stringContaining('Cancelled; nothing was created'),
  });
  expect(readdirSync(place.cwd)).toEqual([]);
});

test.each(['Project name', 'Author', 'Go ahead?'])(
  'Ctrl-C at “%s” leaves nothing behind',
  async (question) => {
    const place = new Workplace();
    const before = place.listing();
    const answered = question === 'Project name' ? [] : ['shop', '--domain=shop.example.com'];
    const complete = ['--author=Ada Example', '--email=ada@example.com', '--host=192.0.2.7', '--user=debian'];
    const rest = ['--port=22', '--key-file=', '--jump-host='];
    const terminal = await place.terminal([
      'goboot',
      '--skip-github',
      '--skip-deploy',
      ...answered,
      ...(question === 'Go ahead?' ? [...complete, ...rest] : []),
    ]);
    await terminal.waitFor(question);
    await terminal.press('C-c');
    const { status, screen } = await terminal.waitForExit();
    expect(status).toBe(1);
    expect(screen).toContain('Cancelled; nothing was created');
    expect(screen).not.toMatch(/^\s+at |force closed/m);
    expect(place.listing()).toEqual(before);
  },
);

test('a changed file is shown and its owner decides', async () => {
  const place = new Workplace();
  const first = await place.yo([
    'goboot',
    'shop',
    '--yes',
    '--skip-github',
    '--skip-deploy',
    '--domain=shop.example.com',
    '--author=Ada Example',
    '--email=ada@example.com',
  ]);
  expect(first.exitCode).toBe(0);
  await place.run(['sh', '-c', 'echo "Mine now." > README.md'], { cwd: 'shop' });
  const terminal = await place.terminal(['goboot', '--skip-github', '--skip-deploy'], { cwd: 'shop' });
  await terminal.waitFor('1 changed file: README.md');
  await answer(terminal, 'Go ahead?', '');
  await terminal.waitFor('Overwrite README.md');
  await terminal.type('n');
  await terminal.press('Enter');
  expect((await terminal.waitForExit()).status).toBe(0);
  expect(projectFile(place, 'README.md')).toBe('Mine now.\n');
});

test('a host of the user’s ssh configuration can be chosen, and brings its user and port', async (context) => {
  // Of whoever is not root it would be their own.
  if (process.getuid?.() !== 0) return context.skip('needs a user of its own, which root can make');
  const place = new Workplace();
  // ssh knows the home directory from the system, and not from the environment.
  const home = (await place.run(['sh', '-c', 'eval echo "~$(id -un)"'])).stdout.trim();
  const configuration = join(makeDirectoryFor(place.user, join(home, '.ssh')), 'config');
  onTestFinished(() => rmSync(configuration));
  writeFileSync(
    configuration,
    'Host web1\n  HostName 192.0.2.7\n  User debian\n  Port 2222\n  ProxyJump gate@192.0.2.1\n',
  );
  // ssh refuses one of somebody else.
  giveTo(place.user, configuration);
  const terminal = await place.terminal([
    ...['goboot', 'shop', '--domain=shop.example.com', '--author=Ada Example', '--email=ada@example.com'],
    ...['--skip-github', '--skip-deploy'],
  ]);
  await terminal.waitFor(/SSH host[\s\S]*shop\.example\.com[\s\S]*web1[\s\S]*another one/);
  await terminal.press('Down');
  await terminal.press('Enter');
  await terminal.waitFor('SSH user (with sudo, without a password) (debian)');
  await terminal.press('Enter');
  await terminal.waitFor('SSH port (2222)');
  await terminal.press('Enter');
  await answer(terminal, 'Private SSH key', '');
  await terminal.waitFor('SSH jump host (empty: none) (192.0.2.1)');
  await terminal.press('Enter');
  await terminal.waitFor('User on the jump host (gate)');
  await terminal.press('Enter');
  await answer(terminal, 'SSH port of the jump host', '');
  await answer(terminal, 'Private SSH key for the jump host', '');
  await answer(terminal, 'Go ahead?', '');
  const { status } = await terminal.waitForExit();
  expect(status).toBe(0);
  expect(
    JSON.parse(projectFile(place, '.yo-rc.json'))['generator-goboot'].environments.production,
  ).toMatchObject({
    ...{ host: '192.0.2.7', user: 'debian', port: 2222, jumpHost: '192.0.2.1', jumpUser: 'gate' },
  });
});
