import { describe, expect, test } from 'vitest';
import { openGitHub } from '../../lib/github/client.ts';
import { lookAtGitHub } from '../../lib/github/facts.ts';
import { type NamedResult, runChecks } from '../../lib/preflight/check.ts';
import { gitHubChecks, judgeToken } from '../../lib/preflight/github.ts';
import type { GitHubSettings } from '../../lib/project.ts';
import { gitWith, useGitHub } from '../support/github/clients.ts';
import { commitFile, git, localProject } from '../support/local-project.ts';
import { sampleEnvironment, sampleProject } from '../support/sample.ts';

const server = useGitHub();

let number = 0;
/** A name that no other test uses. */
const newName = () => `shop_${++number}`;

interface Asked {
  token?: string;
  name?: string;
  directory?: string;
  gitHub?: Partial<GitHubSettings>;
  timeout?: number;
}

/** What both checks say, by name. */
async function check(asked: Asked): Promise<{ token: NamedResult; repository: NamedResult }> {
  const { token = server().token('classic', 'pro-user'), name = newName(), directory, gitHub } = asked;
  const sample = sampleProject(name);
  const project = { ...sample, github: { ...sample.github, ...gitHub } };
  const opened = openGitHub({ url: server().url, token, pace: 1, timeout: asked.timeout ?? 5000 });
  const results = await runChecks(gitHubChecks, {
    projectRoot: directory ?? '/nowhere',
    projectName: name,
    environment: sampleEnvironment(),
    gitHub: lookAtGitHub(opened, project, directory),
  });
  // Looking must be all that they do.
  expect(server().requests.filter(({ method }) => method !== 'GET')).toEqual([]);
  return { token: results[0] as NamedResult, repository: results[1] as NamedResult };
}

const days = (number: number) => new Date(Date.now() + number * 24 * 60 * 60 * 1000 + 60_000);

describe('The check of the token', () => {
  test('says whose it is and of which kind', async () => {
    expect((await check({})).token).toMatchObject({
      status: 'ok',
      detail: 'personal access token (classic) of pro-user',
    });
    const fineGrained = await check({ token: server().token('fine-grained', 'pro-user') });
    expect(fineGrained.token).toMatchObject({
      status: 'ok',
      detail: expect.stringMatching(/fine-grained.* of pro-user/),
    });
  });

  test.each([
    { name: 'unknown', token: () => `ghp_${'x'.repeat(36)}` },
    { name: 'expired', token: () => server().token('classic', 'pro-user', { expires: new Date(0) }) },
    {
      name: 'fine-grained and expired',
      token: () => server().token('fine-grained', 'pro-user', { expires: new Date(0) }),
    },
  ])('fails for one that is $name, and the other check does not repeat it', async ({ token }) => {
    const results = await check({ token: token() });
    expect(results.token).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('does not accept the'),
      remedy: expect.stringContaining('GH_TOKEN'),
    });
    expect(results.repository).toMatchObject({
      status: 'warning',
      detail: expect.stringMatching(/^not checked/),
    });
  });

  test.each([
    { scopes: ['repo'], missing: 'scope workflow' },
    { scopes: ['workflow'], missing: 'scope repo' },
    { scopes: ['public_repo'], missing: 'scopes repo and workflow' },
    { scopes: [], missing: 'scopes repo and workflow' },
  ])('fails for the scopes $scopes', async ({ scopes, missing }) => {
    const { token } = await check({ token: server().token('classic', 'pro-user', { scopes }) });
    expect(token).toMatchObject({ status: 'failed', remedy: expect.stringContaining('gh auth refresh') });
    expect(token.detail).toContain(`lacks the ${missing}`);
  });

  test('warns of one that ends within a week', async () => {
    const ending = (inDays: number) =>
      check({ token: server().token('classic', 'pro-user', { expires: days(inDays) }) });
    expect((await ending(0)).token).toMatchObject({
      status: 'warning',
      detail: expect.stringMatching(/ends today$/),
    });
    expect((await ending(1)).token).toMatchObject({
      status: 'warning',
      detail: expect.stringMatching(/ends in 1 day$/),
    });
    expect((await ending(6)).token).toMatchObject({
      status: 'warning',
      detail: expect.stringMatching(/ends in 6 days$/),
    });
    expect((await ending(30)).token).toMatchObject({
      status: 'ok',
      detail: expect.stringMatching(/ends in 30 days$/),
    });
  });

  test.each(['reset', 'silence', 500, 'primary-rate-limit'] as const)(
    'fails where GitHub answers with: %s',
    async (failure) => {
      server().fail({ path: /^\/user$/, with: failure, times: 100, retryAfter: 3600 });
      const { token, repository } = await check({ timeout: 200 });
      expect(token).toMatchObject({ status: 'failed', remedy: expect.stringMatching(/again/) });
      expect(token.detail).toMatch(/127\.0\.0\.1|GitHub/);
      expect(repository.status).toBe('warning');
    },
  );

  test('fails for an address that is not GitHub’s', async () => {
    const opened = openGitHub({
      url: `${server().origin}/pro-user`,
      token: `ghp_${'x'.repeat(36)}`,
      pace: 1,
    });
    const [token] = await runChecks(gitHubChecks, {
      projectRoot: '/nowhere',
      projectName: 'shop',
      environment: sampleEnvironment(),
      gitHub: lookAtGitHub(opened, sampleProject()),
    });
    server().violations.splice(0);
    expect(token).toMatchObject({ status: 'failed' });
  });

  test('judges a token whose account is known', () => {
    const account = { login: 'ada', id: 1, tokenKind: 'oauth', scopes: ['repo', 'workflow'] } as const;
    expect(judgeToken({ ...account, scopes: [...account.scopes] })).toMatchObject({
      status: 'ok',
      detail: expect.stringContaining('OAuth token'),
    });
  });
});

describe('The check of the repository', () => {
  test('says what will be created', async () => {
    const name = newName();
    expect((await check({ name })).repository).toMatchObject({
      status: 'ok',
      detail: `pro-user/${name} will be created`,
    });
    const owner = 'team-organization';
    const token = server().token('classic', 'free-user');
    expect((await check({ name, token, gitHub: { owner } })).repository.detail).toBe(
      `${owner}/${name} will be created`,
    );
  });

  test('knows one that is empty, and one that is the project’s', async () => {
    const name = newName();
    server().addRepository(`pro-user/${name}`);
    const directory = await localProject();
    expect((await check({ name, directory })).repository).toMatchObject({
      status: 'ok',
      detail: `pro-user/${name} is there and empty`,
    });
    const token = server().token('classic', 'pro-user');
    await gitWith(token, directory, 'push', `${server().origin}/pro-user/${name}.git`, 'main');
    server().requests.splice(0);
    expect((await check({ name, directory })).repository).toMatchObject({
      status: 'ok',
      detail: `pro-user/${name} is this project’s`,
    });
  });

  test('fails for somebody else’s content, also before the project is there', async () => {
    const name = newName();
    server().addRepository(`pro-user/${name}`, { files: { 'README.md': 'Mine.\n' } });
    for (const directory of [await localProject(), '/nowhere/shop']) {
      expect((await check({ name, directory })).repository).toMatchObject({
        status: 'failed',
        detail: expect.stringMatching(/exists and holds something else: http/),
        remedy: expect.stringContaining('another name'),
      });
    }
  });

  test.each(['ahead', 'diverged'])('fails where GitHub’s main is %s', async (relation) => {
    const name = newName();
    server().addRepository(`pro-user/${name}`);
    const directory = await localProject();
    const push = () =>
      gitWith(
        server().token('classic', 'pro-user'),
        directory,
        'push',
        `${server().origin}/pro-user/${name}.git`,
        'main',
      );
    await commitFile(directory, 'theirs.txt', 'A colleague’s.\n');
    await push();
    git(directory, 'reset', '--quiet', '--hard', 'HEAD~1');
    if (relation === 'diverged') await commitFile(directory, 'mine.txt', 'Mine.\n');
    // What git no longer has, as on another computer.
    git(directory, 'reflog', 'expire', '--expire=now', '--all');
    git(directory, 'gc', '--quiet', '--prune=now');
    server().requests.splice(0);
    expect((await check({ name, directory })).repository).toMatchObject({
      status: 'failed',
      detail: `main of pro-user/${name} has commits that are not here`,
      remedy: expect.stringContaining('git pull --rebase'),
    });
  });

  test('fails for somebody who does not administer it', async () => {
    const name = newName();
    server().addRepository(`team-organization/${name}`, { creator: 'free-user' });
    expect((await check({ name, gitHub: { owner: 'team-organization' } })).repository).toMatchObject({
      status: 'failed',
      detail: `pro-user does not administer team-organization/${name}`,
      remedy: expect.stringContaining('administrators'),
    });
  });

  test.each([
    { owner: 'nobody-of-that-name', user: 'pro-user', detail: /There is no account/, remedy: /--owner/ },
    { owner: 'free-user', user: 'pro-user', detail: /is another user/, remedy: /--owner/ },
    { owner: 'saml-organization', user: 'pro-user', detail: /single sign-on|not a member/, remedy: /\S/ },
    {
      owner: 'closed-organization',
      user: 'free-user',
      detail: /may not create private/,
      remedy: /Ask an owner/,
    },
  ])('fails for the owner $owner', async ({ owner, user, detail, remedy }) => {
    const token = server().token('classic', user);
    expect((await check({ token, gitHub: { owner } })).repository).toMatchObject({
      status: 'failed',
      detail: expect.stringMatching(detail),
      remedy: expect.stringMatching(remedy),
    });
  });
});
