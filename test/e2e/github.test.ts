import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { sampleCommandLines } from '../support/command-lines.ts';
import { listDirectory } from '../support/directory-listing.ts';
import { defaultAccounts } from '../support/github/accounts.ts';
import { useGitHub } from '../support/github/clients.ts';
import { giveTo, type ProgramResult } from '../support/normal-user.ts';
import { comparable, fitsProject } from '../support/publication.ts';
import { git, projectFile } from '../support/scaffold.ts';
import { Workplace, type YoOptions } from '../support/workplace.ts';

const server = useGitHub({
  accounts: {
    ...defaultAccounts,
    studio: {
      kind: 'organization',
      plan: 'team',
      members: { 'free-user': 'admin', 'pro-user': 'admin' },
    },
  },
});

const answers = [
  '--domain=shop.example.com',
  '--author=Ada Example',
  '--email=ada@example.com',
  '--user=admin',
];

/** The command that publishes a new project and leaves the server alone. */
const publishing = (...more: string[]) => [
  'goboot',
  'shop',
  '--yes',
  '--skip-deploy',
  ...answers,
  `--github-url=${server().url}`,
  ...more,
];

const withToken = (token: string, options: YoOptions = {}): YoOptions => ({
  ...options,
  env: { GH_TOKEN: token, ...options.env },
});

const inProject = (token: string, options: YoOptions = {}) => withToken(token, { cwd: 'shop', ...options });

/** Everything in the place's directory but what `yo` and npm write into every home. */
const filesOf = (place: Workplace) => Object.keys(place.listing());

function wrote(): string[] {
  return server()
    .requests.filter(({ method, path }) => method !== 'GET' || path.includes('receive-pack'))
    .map(({ method, path }) => `${method} ${path}`);
}

// All tests have the same name for their project.
afterEach(async () => {
  for (const [owner, user] of Object.entries({
    'pro-user': 'pro-user',
    'free-user': 'free-user',
    studio: 'free-user',
  })) {
    await fetch(`${server().url}/repos/${owner}/shop`, {
      method: 'DELETE',
      headers: { authorization: `token ${server().token('classic', user)}`, 'user-agent': 'tests' },
    });
  }
  server().requests.splice(0);
});

function expectRefusal(result: ProgramResult, status: number, ...texts: (string | RegExp)[]): void {
  const output = `${result.stdout}\n${result.stderr}`;
  expect(result.exitCode, output).toBe(status);
  expect(output).not.toMatch(/^\s+at |undefined|\[object/m);
  for (const text of texts) expect(result.stderr).toMatch(text);
}

describe('A project is on GitHub', () => {
  test('after one command, and the messages say so', async () => {
    const place = new Workplace();
    const token = server().token('classic', 'pro-user');
    const result = await place.yo(publishing(), withToken(token));
    expect(result).toMatchObject({ exitCode: 0, stderr: '' });
    const address = `${server().origin}/pro-user/shop`;
    for (const line of [
      /^On GitHub:|^ {2}On GitHub:/m,
      /Create the private repository pro-user\/shop/,
      new RegExp(`^Repository: done, ${address}`, 'm'),
      /^Environment production: done/m,
      /^Variables and secrets: done, DEPLOY_HOST.*DEPLOY_SSH_KEY/m,
      /^Push main: done, [0-9a-f]{8}/m,
      /^Rules for main: done, 2 rulesets/m,
      new RegExp(`^The project is at ${address}$`, 'm'),
    ]) {
      expect(result.stdout).toMatch(line);
    }
    const state = server().repository('pro-user/shop');
    expect(state?.commits[0]?.sha).toBe(await git(place, 'rev-parse', 'HEAD'));
    const { secrets = {}, variables } = state?.environments.production ?? {};
    expect(secrets.ANSIBLE_VAULT_PASSWORD).toBe(projectFile(place, '.ansible/vault_password').trim());
    expect(fitsProject(join(place.cwd, 'shop'), secrets.DEPLOY_SSH_KEY ?? '')).toBe(true);
    expect(variables).toMatchObject({ DEPLOY_HOST: 'shop.example.com', DEPLOY_USER: 'deploy' });
    expect(await git(place, 'remote', 'get-url', 'origin')).toBe(`${address}.git`);
    expect(await git(place, 'status', '--porcelain', '--branch')).toBe('## main...origin/main');

    const before = comparable(state);
    const again = await place.yo(['goboot:github', '--yes'], inProject(token));
    expect(again).toMatchObject({ exitCode: 0, stderr: '' });
    expect(again.stdout).toMatch(/Push main: done, [0-9a-f]{8} was there/);
    expect(comparable(server().repository('pro-user/shop'))).toEqual(before);
  });

  test('of a free account, whose plan lacks some of it', async () => {
    const place = new Workplace();
    const result = await place.yo(publishing(), withToken(server().token('classic', 'free-user')));
    expect(result).toMatchObject({ exitCode: 0, stderr: '' });
    expect(result.stdout).toMatch(/Environment production: done, not in the plan of the account/);
    expect(result.stdout).toMatch(/Warning: .*names that begin with PRODUCTION_/);
    expect(result.stdout).toMatch(/Warning: .*main is not protected/);
  });

  test('and a second person goes on from a clone with a token of their own', async () => {
    const place = new Workplace();
    const first = await place.yo(
      publishing('--owner=studio'),
      withToken(server().token('classic', 'free-user')),
    );
    expect(first).toMatchObject({ exitCode: 0, stderr: '' });
    const before = comparable(server().repository('studio/shop'));

    const colleague = new Workplace();
    const token = server().token('classic', 'pro-user');
    const helper =
      '!f() { test "$1" = get || exit 0; echo username=x-access-token; echo "password=$GH_TOKEN"; }; f';
    const clone = ['clone', '--quiet', `${server().origin}/studio/shop.git`];
    expect(
      (await colleague.run(['git', '-c', `credential.helper=${helper}`, ...clone], withToken(token)))
        .exitCode,
    ).toBe(0);
    const password = join(colleague.cwd, 'shop', '.ansible', 'vault_password');
    expectRefusal(await colleague.yo(['goboot:github', '--yes'], inProject(token)), 3, /vault password/);
    writeFileSync(password, projectFile(place, '.ansible/vault_password'), { mode: 0o600 });
    giveTo(colleague.user, password);
    const second = await colleague.yo(['goboot:github', '--yes'], inProject(token));
    expect(second).toMatchObject({ exitCode: 0, stderr: '' });
    expect(second.stdout).toMatch(/Use the repository studio\/shop, which is this project’s/);
    expect(comparable(server().repository('studio/shop'))).toEqual(before);

    // What the other one made is not theirs to undo.
    const undo = await colleague.yo(['goboot', '--undo', '--yes'], inProject(token));
    expect(undo.exitCode).toBe(0);
    expect(comparable(server().repository('studio/shop'))).toEqual(before);
  });
});

describe('Nothing is written, here or on GitHub,', () => {
  async function expectNothing(
    args: readonly string[],
    options: YoOptions,
    status: number,
    ...texts: (string | RegExp)[]
  ): Promise<void> {
    const place = new Workplace();
    const before = filesOf(place);
    const result = await place.yo(args, options);
    expectRefusal(result, status, ...texts);
    expect(filesOf(place)).toEqual(before);
    expect(wrote()).toEqual([]);
  }

  test('without a token', async () => {
    await expectNothing(publishing(), {}, 3, /neither GH_TOKEN nor GITHUB_TOKEN is set/, /gh auth token/);
    expect(server().requests).toEqual([]);
  });

  test('with a wrong token', async () => {
    await expectNothing(publishing(), withToken(`ghp_${'x'.repeat(36)}`), 3, /does not accept/, /GH_TOKEN/);
  });

  test('with a token that lacks the scope workflow', async () => {
    const token = server().token('classic', 'pro-user', { scopes: ['repo'] });
    await expectNothing(publishing(), withToken(token), 3, /lacks the scope workflow/, /gh auth refresh/);
  });

  test('over somebody else’s repository', async () => {
    server().addRepository('pro-user/shop', { files: { 'README.md': 'Mine.\n' } });
    const before = comparable(server().repository('pro-user/shop'));
    const token = server().token('classic', 'pro-user');
    await expectNothing(publishing(), withToken(token), 3, /pro-user\/shop exists/, /another name/);
    expect(comparable(server().repository('pro-user/shop'))).toEqual(before);
  });

  test.each(['--check', '--dry-run'])('with %s', async (flag) => {
    const token = server().token('classic', 'pro-user');
    const place = new Workplace();
    const before = filesOf(place);
    const result = await place.yo(publishing(flag), withToken(token));
    expect(result).toMatchObject({ exitCode: 0, stderr: '' });
    expect(result.stdout).toContain('Create the private repository pro-user/shop');
    expect(result.stdout).toContain('Nothing was changed.');
    expect([filesOf(place), wrote()]).toEqual([before, []]);
  });
});

test('A token that is typed at a terminal is not shown', async () => {
  const place = new Workplace();
  const token = server().token('classic', 'pro-user');
  const asked = ['--owner=pro-user', '--visibility=private'];
  const flags = publishing(
    ...asked,
    '--host=192.0.2.7',
    '--port=22',
    '--key-file=',
    '--jump-host=',
    '--check',
  );
  const terminal = await place.terminal(flags.filter((word) => word !== '--yes'));
  await terminal.waitFor('GitHub token');
  await terminal.type(token);
  await terminal.press('Enter');
  const { status, screen } = await terminal.waitForExit();
  expect(screen).not.toContain(token.slice(0, 12));
  expect(screen).toContain('Nothing was changed.');
  expect(status).toBe(0);
  expect(server().requests[0]?.token).toBe(token);
});

test('A run that fails in the middle can be resumed and undone, and leaks no secret on the way', async () => {
  const place = new Workplace();
  const token = server().token('classic', 'pro-user');
  const traces = join(place.cwd, '..', 'traces');
  mkdirSync(traces);
  giveTo(place.user, traces);
  const env = {
    GIT_TRACE: join(traces, 'trace'),
    GIT_TRACE_CURL: join(traces, 'curl'),
    GIT_TRACE_PACKET: join(traces, 'packet'),
    GIT_TRACE2: join(traces, 'trace2'),
    GIT_TRACE2_EVENT: join(traces, 'events'),
    GIT_TRACE_REDACT: '0',
    GIT_CURL_VERBOSE: '1',
  };
  const stop = sampleCommandLines();
  const printed: string[] = [];
  const yo = async (args: readonly string[], options: YoOptions) => {
    const result = await place.yo(args, { ...options, env: { ...env, ...options.env } });
    printed.push(result.stdout, result.stderr);
    return result;
  };

  // The repository, its environment and variables are there when it fails.
  server().fail({ method: 'PUT', path: /secrets\/ANSIBLE_VAULT_PASSWORD$/, with: 403 });
  const failed = await yo(publishing(), withToken(token));
  expectRefusal(
    failed,
    1,
    /set the secret ANSIBLE_VAULT_PASSWORD/,
    /Exists now: repository pro-user\/shop, environment production in pro-user\/shop/,
    /To go on: yo goboot --resume --skip-deploy\./,
    /yo goboot --undo/,
  );
  expect(server().repository('pro-user/shop')?.commits).toEqual([]);
  server().heal();

  // Once more, at the push.
  server().failPush({ with: 403 });
  expectRefusal(await yo(['goboot', '--resume', '--yes', '--skip-deploy'], inProject(token)), 1, /the push/);
  server().heal();

  const resumed = await yo(['goboot', '--resume', '--yes', '--skip-deploy'], inProject(token));
  expect(resumed.exitCode, resumed.stderr).toBe(0);
  const state = server().repository('pro-user/shop');
  expect(state?.commits[0]?.sha).toBe(await git(place, 'rev-parse', 'HEAD'));
  expect(state?.rulesets).toHaveLength(2);
  const { secrets = {} } = state?.environments.production ?? {};
  expect(fitsProject(join(place.cwd, 'shop'), secrets.DEPLOY_SSH_KEY ?? '')).toBe(true);

  const published = comparable(state);
  const again = await yo(['goboot:github', '--yes'], inProject(token));
  expect(again.exitCode, again.stderr).toBe(0);
  expect(comparable(server().repository('pro-user/shop'))).toEqual(published);

  const undecided = await yo(['goboot', '--undo'], inProject(token));
  expectRefusal(undecided, 2, /--undo --yes/);
  expect(comparable(server().repository('pro-user/shop'))).toEqual(published);
  // What is looked for must be found where it may be.
  const password = projectFile(place, '.ansible/vault_password').trim();
  const objects = await git(place, 'cat-file', '--batch-all-objects', '--batch', '--buffer');

  const undone = await yo(['goboot', '--undo', '--yes'], inProject(token));
  expect(undone.exitCode, undone.stderr).toBe(0);
  expect(undone.stdout).toContain('Removed.');
  expect(server().repository('pro-user/shop')).toBeUndefined();
  expect(await git(place, 'remote')).toBe('');
  expect(existsSync(join(place.cwd, 'shop', 'manage.py'))).toBe(true);

  const commandLines = [...(await stop())].join('\n');
  expect(commandLines).toMatch(/git push --porcelain/);
  expect(readdirSync(traces)).toContain('trace');
  const keyLines = (secrets.DEPLOY_SSH_KEY ?? '').split('\n').slice(2, -2);
  expect(keyLines.length).toBeGreaterThan(1);
  const looked = {
    token,
    'basic authorization': Buffer.from(`x-access-token:${token}`).toString('base64'),
    'vault password': password,
    'deploy key': keyLines.join('\n'),
    'part of the deploy key': keyLines[0] as string,
  };
  const texts: Record<string, string> = { commandLines, objects, output: printed.join('\n') };
  const root = dirname(place.cwd);
  for (const [path, kind] of Object.entries(listDirectory(root, (path) => path === 'tmux'))) {
    if (kind.startsWith('file')) texts[path] = readFileSync(join(root, path), 'utf8');
  }
  const leaks = Object.entries(texts).flatMap(([where, text]) =>
    Object.entries(looked).flatMap(([what, value]) => (text.includes(value) ? [`${what} in ${where}`] : [])),
  );
  expect(leaks).toEqual(['vault password in work/shop/.ansible/vault_password']);
});
