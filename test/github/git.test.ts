import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { commitFiles, gitWith, octokit, useGitHub } from '../support/github/clients.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const github = useGitHub();
const workflow = { '.github/workflows/deploy.yml': 'on: push\n' };
let directory: string;
let url: string;
let name: string;
let count = 0;

beforeEach(async () => {
  directory = temporaryDirectory();
  name = `shop-${++count}`;
  const { data } = await octokit(github(), github().token('classic')).repos.createForAuthenticatedUser({
    name,
    private: true,
  });
  url = data.clone_url;
});

const push = (token: string | undefined, ...args: string[]) =>
  gitWith(token, directory, 'push', '--porcelain', url, ...(args.length > 0 ? args : ['main']));

const repository = () => github().repository(`free-user/${name}`);

test('a push with a token arrives, and can be cloned by who may see it', async () => {
  const token = github().token('classic');
  const sha = await commitFiles(directory, { 'README.md': 'hello\n', ...workflow });
  expect(await push(token)).toMatchObject({ exitCode: 0 });
  expect(repository()?.commits.map((commit) => commit.sha)).toEqual([sha]);

  expect(await gitWith(token, directory, 'clone', '--quiet', url, 'copy')).toMatchObject({ exitCode: 0 });
  expect(readFileSync(join(directory, 'copy', 'README.md'), 'utf8')).toBe('hello\n');
  const stranger = await gitWith(github().token('classic', 'pro-user'), directory, 'clone', url, 'other');
  expect(stranger.stderr).toContain('Repository not found');
});

test('a push of some megabytes arrives in chunks', async () => {
  const noise = Array.from({ length: 300_000 }, (_, line) => `${(line * 2654435761) % 4294967296}`).join(
    '\n',
  );
  await commitFiles(directory, { 'noise.txt': noise });
  const file = repository()?.path;
  expect(await push(github().token('classic'))).toMatchObject({ exitCode: 0 });
  expect((await gitWith(undefined, String(file), 'cat-file', '-s', 'main:noise.txt')).stdout).toBe(
    String(noise.length),
  );
});

test('what was pushed is what the API tells of', async () => {
  const token = github().token('classic');
  const sha = await commitFiles(directory, { 'README.md': 'hello\n' });
  await push(token);
  const target = { owner: 'free-user', repo: name };
  const client = octokit(github(), token);
  expect((await client.git.getRef({ ...target, ref: 'heads/main' })).data.object.sha).toBe(sha);
  expect((await client.repos.get(target)).data).toMatchObject({ size: 1, default_branch: 'main' });
  const { data } = await client.repos.getContent({ ...target, path: 'README.md' });
  expect(data).toMatchObject({ type: 'file', encoding: 'base64', content: 'aGVsbG8K' });
});

describe('who may push', () => {
  beforeEach(() => commitFiles(directory, { 'README.md': 'hello\n' }));

  test('nobody without a token', async () => {
    const { exitCode, stderr } = await push(undefined);
    expect(exitCode).toBe(128);
    expect(stderr).toContain('could not read Username');
  });

  test('nobody with a token that is wrong or has expired', async () => {
    const expired = github().token('classic', 'free-user', { expires: new Date('2020-01-01') });
    for (const token of ['ghp_wrong', expired]) {
      const { exitCode, stderr } = await push(token);
      expect(exitCode).toBe(128);
      expect(stderr).toContain('remote: Invalid username or token');
      expect(stderr).toContain('Authentication failed');
    }
  });

  test('a fine-grained token with write access to contents', async () => {
    const permissions = { contents: 'read' } as const;
    const reader = await push(github().token('fine-grained', 'free-user', { permissions }));
    expect(reader.stderr).toContain('Write access to repository not granted');
    const writer = await push(
      github().token('fine-grained', 'free-user', { permissions: { contents: 'write' } }),
    );
    expect(writer.exitCode).toBe(0);
  });

  test('no classic token in an organisation that blocks them', async () => {
    github().addRepository(`fine-grained-organization/${name}`, { creator: 'free-user' });
    url = url.replace('free-user', 'fine-grained-organization');
    const { stderr } = await push(github().token('classic'));
    expect(stderr).toContain('Personal access tokens (classic) are forbidden');
  });

  test('no classic token that was not authorised for the single sign-on', async () => {
    github().addRepository(`saml-organization/${name}`, { creator: 'free-user' });
    url = url.replace('free-user', 'saml-organization');
    expect((await push(github().token('classic'))).stderr).toContain('has enabled or enforced SAML SSO');
    const authorizedFor = ['saml-organization'];
    const authorized = github().token('classic', 'free-user', { authorizedFor });
    expect((await push(authorized)).exitCode).toBe(0);
  });
});

describe('workflow files', () => {
  const refusal =
    'refusing to allow a Personal Access Token to create or update workflow `.github/workflows/deploy.yml` without `workflow` scope';

  test('are refused from a token without the scope or permission, and nothing of the push stays', async () => {
    await commitFiles(directory, { 'README.md': 'hello\n', ...workflow });
    const classic = await push(github().token('classic', 'free-user', { scopes: ['repo'] }));
    expect(classic.exitCode).toBe(1);
    expect(classic.stdout).toContain(`[remote rejected] (${refusal})`);
    const fineGrained = await push(
      github().token('fine-grained', 'free-user', { permissions: { contents: 'write' } }),
    );
    expect(fineGrained.stdout).toContain(refusal);
    expect(repository()?.commits).toEqual([]);
  });

  test('are let through where another branch has the same ones already', async () => {
    await commitFiles(directory, workflow);
    expect((await push(github().token('classic'), 'main', 'main:other')).exitCode).toBe(0);
    await gitWith(undefined, directory, 'checkout', '--quiet', '--orphan', 'new');
    await commitFiles(directory, { ...workflow, 'README.md': 'hello\n' });
    const token = github().token('classic', 'free-user', { scopes: ['repo'] });
    expect((await push(token, 'new')).exitCode).toBe(0);
  });
});

describe('protected branches', () => {
  const target = () => ({ owner: 'pro-user', repo: name });
  const rules = { name: 'main', enforcement: 'active', target: 'branch' } as const;
  const conditions = { ref_name: { include: ['~DEFAULT_BRANCH'], exclude: [] } };
  let token: string;

  beforeEach(async () => {
    github().addRepository(`pro-user/${name}`);
    url = url.replace('free-user', 'pro-user');
    token = github().token('classic', 'pro-user');
    await commitFiles(directory, { 'README.md': 'hello\n' });
    expect((await push(token)).exitCode).toBe(0);
  });

  const rewrite = async () => {
    await gitWith(undefined, directory, 'commit', '--quiet', '--amend', '--message', 'Another');
    return push(token, '--force', 'main');
  };

  test('cannot be rewritten, and can be pushed on to by administrators', async () => {
    await octokit(github(), token).repos.updateBranchProtection({
      ...target(),
      branch: 'main',
      required_status_checks: { strict: false, contexts: ['lint'] },
      enforce_admins: false,
      required_pull_request_reviews: null,
      restrictions: null,
    });
    await commitFiles(directory, { 'README.md': 'more\n' });
    expect((await push(token)).exitCode).toBe(0);
    const { stderr, stdout } = await rewrite();
    expect(stderr).toContain('remote: error: GH006: Protected branch update failed for refs/heads/main.');
    expect(stderr).toContain('Cannot force-push to this branch');
    expect(stdout).toContain('(protected branch hook declined)');
  });

  test('wait for their checks when administrators are bound too', async () => {
    await octokit(github(), token).repos.updateBranchProtection({
      ...target(),
      branch: 'main',
      required_status_checks: { strict: false, contexts: [], checks: [{ context: 'lint' }] },
      enforce_admins: true,
      required_pull_request_reviews: null,
      restrictions: null,
    });
    await commitFiles(directory, { 'README.md': 'more\n' });
    expect((await push(token)).stderr).toContain('Required status check "lint" is expected.');
  });

  test('by a ruleset neither are rewritten nor removed', async () => {
    await octokit(github(), token).repos.createRepoRuleset({
      ...target(),
      ...rules,
      conditions,
      rules: [{ type: 'non_fast_forward' }, { type: 'deletion' }],
    });
    await commitFiles(directory, { 'README.md': 'more\n' });
    expect((await push(token)).exitCode).toBe(0);
    const rewritten = await rewrite();
    expect(rewritten.stderr).toContain('GH013: Repository rule violations found for refs/heads/main.');
    expect(rewritten.stdout).toContain('(push declined due to repository rule violations)');
    expect((await push(token, '--delete', 'main')).stderr).toContain('Cannot delete this branch');
    expect((await push(token, '--force', 'main:other')).exitCode).toBe(0);
    expect((await push(token, '--delete', 'other')).exitCode).toBe(0);
  });

  test('by a ruleset wait for checks, except for those who may bypass it', async () => {
    const client = octokit(github(), token);
    const checks = {
      strict_required_status_checks_policy: false,
      required_status_checks: [{ context: 'test' }],
    };
    const { data } = await client.repos.createRepoRuleset({
      ...target(),
      ...rules,
      conditions,
      rules: [{ type: 'required_status_checks', parameters: checks }],
    });
    await commitFiles(directory, { 'README.md': 'more\n' });
    expect((await push(token)).stderr).toContain('Required status check "test" is expected.');
    await client.repos.updateRepoRuleset({
      ...target(),
      ruleset_id: data.id,
      bypass_actors: [{ actor_id: 5, actor_type: 'RepositoryRole', bypass_mode: 'always' }],
    });
    expect((await push(token)).exitCode).toBe(0);
  });
});

describe('pushes that fail', () => {
  let token: string;
  beforeEach(async () => {
    token = github().token('classic');
    await commitFiles(directory, { 'README.md': 'hello\n' });
  });

  test('because the connection is cut, with and without having arrived', async () => {
    const lost = github().failPush({ with: 'reset' });
    expect((await push(token)).exitCode).not.toBe(0);
    expect(lost.hits).toBe(1);
    expect(repository()?.commits).toEqual([]);

    github().failPush({ with: 'reset', afterEffect: true });
    expect((await push(token)).exitCode).not.toBe(0);
    expect(repository()?.commits).toHaveLength(1);
    expect(await push(token)).toMatchObject({ exitCode: 0 });
  });

  test('because the branch is refused', async () => {
    github().failPush({ with: 'rejected', reason: 'cannot lock ref' });
    expect((await push(token)).stdout).toContain('[remote rejected] (cannot lock ref)');
    expect((await push(token)).exitCode).toBe(0);
  });

  test.each([
    [401, 'Authentication failed'],
    [403, 'Permission to'],
    [404, 'Repository not found.'],
    [500, 'returned error: 500'],
  ] as const)('with %i, once', async (status, message) => {
    github().failPush({ with: status });
    expect((await push(token)).stderr).toContain(message);
    expect((await push(token)).exitCode).toBe(0);
  });

  test('because there is never an answer', async () => {
    github().failPush({ with: 'silence' });
    const outcome = await Promise.race([
      push(token).then(() => 'answered'),
      new Promise((resolve) => setTimeout(resolve, 1000, 'silent')),
    ]);
    expect(outcome).toBe('silent');
  });

  test('again and again, or only later', async () => {
    github().failPush({ with: 500, nth: 2, times: 2 });
    const outcomes = [];
    for (const branch of ['a', 'b', 'c', 'd']) outcomes.push((await push(token, `main:${branch}`)).exitCode);
    expect(outcomes).toEqual([0, 128, 128, 0]);
  });
});
