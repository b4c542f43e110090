import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { GitHub } from '../../lib/github/client.ts';
import { pushError, pushMain, removeOrigin } from '../../lib/github/push.ts';
import type { Repository } from '../../lib/github/repository.ts';
import { useGitHub } from '../support/github/clients.ts';
import { failureOf, newRepository, openClient, pace, push } from '../support/github-client.ts';
import { listen } from '../support/listen.ts';
import { commitFile, git, localProject } from '../support/local-project.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const server = useGitHub();

async function prepared(): Promise<{ github: GitHub; repository: Repository; directory: string }> {
  const github = await openClient(server(), server().token('classic'));
  return { github, repository: await newRepository(github), directory: await localProject() };
}

/** Gives git and its children an environment of their own until the test ends. */
function withEnvironment(variables: Record<string, string>): void {
  const before = { ...process.env };
  Object.assign(process.env, variables);
  onTestFinished(() => {
    for (const name of Object.keys(variables)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  });
}

/** A home directory with this global configuration of git. */
function withGlobalConfiguration(text: string): string {
  const home = temporaryDirectory();
  writeFileSync(join(home, '.gitconfig'), text);
  withEnvironment({ HOME: home, GIT_CONFIG_GLOBAL: join(home, '.gitconfig') });
  return home;
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile());
}

describe('A push', () => {
  test('brings main to GitHub and makes it the origin, so that git status knows it', async () => {
    const { github, repository, directory } = await prepared();
    const progress: string[] = [];
    const result = await pushMain(directory, {
      cloneUrl: repository.cloneUrl,
      token: github.token(),
      isNew: true,
      pace,
      onProgress: (text) => progress.push(text),
    });
    const head = git(directory, 'rev-parse', 'HEAD');
    expect(result).toEqual({ pushed: true, originAdded: true, commit: head });
    expect(server().repository(`free-user/${repository.name}`)?.commits[0]?.sha).toBe(head);
    expect(git(directory, 'remote', 'get-url', 'origin')).toBe(repository.cloneUrl);
    expect(git(directory, 'status', '--short', '--branch')).toBe('## main...origin/main');
    expect(progress.some((text) => /^Writing objects: 100%/.test(text))).toBe(true);
  });

  test('of nothing new says so', async () => {
    const { github, repository, directory } = await prepared();
    await push(github, repository, directory);
    expect(await push(github, repository, directory)).toMatchObject({ pushed: false, originAdded: false });
  });

  test('does the same with a fine-grained token', async () => {
    const github = await openClient(server(), server().token('fine-grained'));
    const repository = await newRepository(github);
    expect(await push(github, repository, await localProject())).toMatchObject({ pushed: true });
  });

  test('waits for a new repository that cannot be found yet', async () => {
    const { github, repository, directory } = await prepared();
    const fault = server().failPush({ with: 404, times: 2 });
    expect(await push(github, repository, directory)).toMatchObject({ pushed: true });
    expect(fault.hits).toBe(2);
  });

  test('leaves another origin alone and says how to replace it', async () => {
    const { github, repository, directory } = await prepared();
    git(directory, 'remote', 'add', 'origin', 'https://ada:s3cret@example.com/other.git');
    const refusal = push(github, repository, directory);
    await expect(refusal).rejects.toThrow(/is another repository: https:\/\/example\.com\/other\.git$/);
    expect(server().requests.filter(({ kind }) => kind === 'git')).toEqual([]);
  });

  test('takes an origin over SSH for the same repository', async () => {
    const { github, repository, directory } = await prepared();
    const { hostname, pathname } = new URL(repository.cloneUrl);
    const origin = `git@${hostname}:${pathname.slice(1)}`;
    git(directory, 'remote', 'add', 'origin', origin);
    // This server's port is that of HTTP, which says that it is another one.
    await expect(push(github, repository, directory)).rejects.toThrow(/is another repository/);
    git(directory, 'remote', 'set-url', 'origin', repository.cloneUrl.replace(/\.git$/, ''));
    expect(await push(github, repository, directory)).toMatchObject({ pushed: true, originAdded: false });
  });

  test('can be forgotten again, but not another origin', async () => {
    const { github, repository, directory } = await prepared();
    await push(github, repository, directory);
    expect(await removeOrigin(directory, repository.cloneUrl)).toBe(true);
    expect(await removeOrigin(directory, repository.cloneUrl)).toBe(false);
    git(directory, 'remote', 'add', 'origin', 'https://example.com/other.git');
    expect(await removeOrigin(directory, repository.cloneUrl)).toBe(false);
  });

  test('of a directory without a commit is refused', async () => {
    const { github, repository } = await prepared();
    const directory = temporaryDirectory();
    git(directory, 'init', '--quiet', '--initial-branch=main');
    await expect(push(github, repository, directory)).rejects.toThrow(
      /There is no branch main with a commit/,
    );
  });
});

describe('The token of a push', () => {
  test('is in no file afterwards, neither in the repository nor at home', async () => {
    const { github, repository, directory } = await prepared();
    const home = withGlobalConfiguration('[credential]\n\thelper = store\n');
    await push(github, repository, directory);
    const texts = [...filesBelow(directory), ...filesBelow(home)].map((path) => readFileSync(path, 'latin1'));
    const token = github.token();
    for (const secret of [token, Buffer.from(`x-access-token:${token}`).toString('base64')]) {
      expect(texts.filter((text) => text.includes(secret))).toEqual([]);
    }
  });

  test('is seen by no hook, credential helper or askpass program of the user', async () => {
    const { github, repository, directory } = await prepared();
    const spied = join(temporaryDirectory(), 'spied');
    const program = join(temporaryDirectory(), 'spy');
    writeFileSync(program, `#!/bin/sh\n{ echo "$0 $*"; env; cat; } >> ${spied} < /dev/null\n`);
    chmodSync(program, 0o755);
    const hooks = join(directory, '.git', 'hooks');
    mkdirSync(hooks, { recursive: true });
    writeFileSync(join(hooks, 'pre-push'), readFileSync(program));
    chmodSync(join(hooks, 'pre-push'), 0o755);
    withGlobalConfiguration(
      `[credential]\n\thelper = ${program}\n[credential "${server().origin}"]\n\thelper = ${program}\n[core]\n\taskPass = ${program}\n`,
    );
    withEnvironment({ GIT_ASKPASS: program, SSH_ASKPASS: program });
    await push(github, repository, directory);
    expect(existsSync(spied)).toBe(false);
  });

  test('is in no trace, whatever traces the user asks for', async () => {
    const { github, repository, directory } = await prepared();
    const traces = temporaryDirectory();
    const names = ['GIT_TRACE', 'GIT_TRACE_CURL', 'GIT_TRACE_SETUP', 'GIT_TRACE2_EVENT', 'GIT_TRACE_PACKET'];
    withEnvironment({
      ...Object.fromEntries(names.map((name) => [name, join(traces, name)])),
      GIT_TRACE_REDACT: '0',
      GIT_TRACE2_ENV_VARS: 'GOBOOT_PUSH_TOKEN,GIT_CONFIG_VALUE_0',
    });
    await push(github, repository, directory);
    const trace = filesBelow(traces)
      .map((path) => readFileSync(path, 'latin1'))
      .join();
    expect(trace).not.toContain(github.token());
    expect(trace).not.toContain(Buffer.from(`x-access-token:${github.token()}`).toString('base64'));
  });

  test('goes to GitHub alone, although the user’s configuration sends its addresses elsewhere', async () => {
    const { github, repository, directory } = await prepared();
    const { origin } = server();
    withGlobalConfiguration(
      [
        `[url "http://127.0.0.1:1/"]\n\tinsteadOf = ${origin}/\n\tpushInsteadOf = ${origin}/free-user/`,
        `[http "${origin}"]\n\textraHeader = Authorization: Basic bm9ib2R5Om5vdGhpbmc=`,
        `[http]\n\textraHeader = X-Everywhere: 1`,
      ].join('\n'),
    );
    expect(await push(github, repository, directory)).toMatchObject({ pushed: true });
    const withToken = server().requests.filter(
      ({ kind, token }) => kind === 'git' && token === github.token(),
    );
    expect(withToken.length).toBeGreaterThan(0);
    expect(withToken.some(({ headers }) => 'x-everywhere' in headers)).toBe(false);
  });

  test('does not follow a redirect', async () => {
    const directory = await localProject();
    const seen: string[] = [];
    const elsewhere = await listen((request, response) => {
      seen.push(String(request.headers.authorization));
      response.writeHead(401, { 'www-authenticate': 'Basic' }).end();
    });
    const redirecting = await listen((request, response) => {
      response.writeHead(302, { location: `${elsewhere}${request.url}` }).end();
    });
    const error = await failureOf(() =>
      pushMain(directory, { cloneUrl: `${redirecting}/ada/shop.git`, token: 'ghp_secret' }),
    );
    expect(error.failure).toBe('unexpected answer');
    expect(seen).toEqual([]);
  });

  test.each(['http://example.com/ada/shop.git', 'ssh://example.com/x', 'ext::sh -c true', '--upload-pack=x'])(
    'is not sent to %s',
    async (cloneUrl) => {
      const directory = await localProject();
      const error = await failureOf(() => pushMain(directory, { cloneUrl, token: 'ghp_secret' }));
      expect(error.message).toMatch(/is not https$/);
    },
  );

  test('goes nowhere when the whole address is rewritten', async () => {
    const { github, repository, directory } = await prepared();
    withGlobalConfiguration(`[url "http://127.0.0.1:1/x.git"]\n\tinsteadOf = ${repository.cloneUrl}\n`);
    await expect(push(github, repository, directory)).rejects.toThrow(
      /git’s configuration sends .* somewhere else/,
    );
    expect(server().requests.filter(({ kind }) => kind === 'git')).toEqual([]);
  });

  test('keeps what the environment already says to git', async () => {
    const { github, repository, directory } = await prepared();
    withEnvironment({
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'http.userAgent',
      GIT_CONFIG_VALUE_0: 'of-the-user',
    });
    await push(github, repository, directory);
    const agents = server().requests.filter(({ kind }) => kind === 'git');
    expect(agents.every(({ headers }) => headers['user-agent'] === 'of-the-user')).toBe(true);
  });
});

describe('A push that fails', () => {
  test.each([
    [401, 'unauthorized'],
    [403, 'missing permission'],
    [404, 'not found'],
    [500, 'server'],
    ['rejected', 'invalid'],
    ['reset', 'network'],
    ['silence', 'network'],
  ] as const)('is explained and adds no origin (%s)', async (fault, failure) => {
    const { github, repository, directory } = await prepared();
    const active = server().failPush({ with: fault, times: 10, reason: 'the branch is closed' });
    const error = await failureOf(() =>
      pushMain(directory, {
        cloneUrl: repository.cloneUrl,
        token: github.token(),
        isNew: true,
        pace,
        silence: 1,
      }),
    );
    expect(active.hits).toBeGreaterThan(0);
    expect(error.failure).toBe(failure);
    expect(error.remedy).toBeTruthy();
    expect(`${error.message}${error.remedy}${error.stack}`).not.toContain(github.token());
    expect(git(directory, 'remote')).toBe('');
    if (fault === 'rejected') expect(error.message).toMatch(/the branch is closed/);
  });

  test('because of the time that it takes leaves no process behind', async () => {
    const { github, repository, directory } = await prepared();
    server().failPush({ with: 'silence', times: 10 });
    const started = Date.now();
    const error = await failureOf(() =>
      pushMain(directory, { cloneUrl: repository.cloneUrl, token: github.token(), timeout: 500 }),
    );
    expect(error.message).toMatch(/did not end within 0\.5 seconds$/);
    expect(Date.now() - started).toBeLessThan(4000);
    await expect.poll(() => processesWith(repository.cloneUrl), { timeout: 3000 }).toEqual([]);
  });

  test('for want of the scope workflow names it', async () => {
    const github = await openClient(server(), server().token('classic', 'free-user', { scopes: ['repo'] }));
    const repository = await newRepository(github);
    const directory = await localProject();
    const error = await failureOf(() => push(github, repository, directory));
    expect(error.failure).toBe('missing permission');
    expect(error.remedy).toMatch(/^Add the scope workflow to the token/);
  });

  test('for want of the permission Workflows names it', async () => {
    const permissions = { administration: 'write', contents: 'write' } as const;
    const github = await openClient(server(), server().token('fine-grained', 'free-user', { permissions }));
    const repository = await newRepository(github);
    const directory = await localProject();
    const error = await failureOf(() => push(github, repository, directory));
    expect(error.failure).toBe('missing permission');
    expect(error.remedy).toMatch(/Workflows: write/);
  });

  test('because GitHub has other commits says how to take them over', async () => {
    const { github, repository, directory } = await prepared();
    await commitFile(directory, 'one.txt', '1');
    await push(github, repository, directory);
    git(directory, 'reset', '--quiet', '--hard', 'HEAD~1');
    await commitFile(directory, 'two.txt', '2');
    const error = await failureOf(() => push(github, repository, directory));
    expect(error.failure).toBe('conflict');
    expect(error.remedy).toBe('Take them over first: git pull --rebase origin main');
  });

  test('with a wrong token is told as such, and git asks nobody', async () => {
    const { repository, directory } = await prepared();
    const error = await failureOf(() =>
      pushMain(directory, { cloneUrl: repository.cloneUrl, token: 'ghp_wrong' }),
    );
    expect(error).toMatchObject({ failure: 'unauthorized', status: 401 });
  });
});

function processesWith(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ');
      } catch {
        return '';
      }
    })
    .filter((line) => line.includes(text));
}

const options = { cloneUrl: 'https://github.com/ada/shop.git', token: 'ghp_x' };

// Texts of GitHub and git as users have reported them.
test.each([
  [
    '! [remote rejected] main -> main (refusing to allow a Personal Access Token to create or update workflow `.github/workflows/x.yml` without `workflow` scope)',
    'missing permission',
  ],
  [
    'refusing to allow a GitHub App to create or update workflow `.github/workflows/x.yml` without `workflows` permission',
    'missing permission',
  ],
  ["remote: The `acme' organization has enabled or enforced SAML SSO.", 'single sign-on'],
  ['remote: error: GH006: Protected branch update failed for refs/heads/main.', 'forbidden'],
  ['remote: error: GH013: Repository rule violations found for refs/heads/main.', 'forbidden'],
  [
    'remote: Write access to repository not granted.\nfatal: unable to access: The requested URL returned error: 403',
    'missing permission',
  ],
  ['remote: Permission to ada/shop.git denied to bob.', 'missing permission'],
  ['remote: Repository not found.\nfatal: repository not found', 'not found'],
  ["fatal: Authentication failed for 'https://github.com/ada/shop.git/'", 'unauthorized'],
  ["fatal: unable to access 'https://github.com/': Could not resolve host: github.com", 'network'],
  [
    "fatal: unable to access 'https://github.com/': server certificate verification failed. CAfile: none",
    'network',
  ],
  ['fatal: unable to access: OpenSSL SSL_read: SSL_ERROR_SYSCALL, errno 104', 'network'],
  ['error: RPC failed; curl 56 Recv failure: Connection reset by peer', 'network'],
  ["fatal: unable to access 'https://github.com/': The requested URL returned error: 503", 'server'],
  ['something quite unknown', 'invalid'],
])('%s', (text, failure) => {
  const error = pushError(text, options);
  expect(error.failure).toBe(failure);
  expect(error.remedy).toBeTruthy();
});
