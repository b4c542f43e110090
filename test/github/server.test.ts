import { existsSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Octokit } from '@octokit/rest';
import sodium from 'libsodium-wrappers';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { allPermissions } from '../support/github/accounts.ts';
import { octokit, useGitHub } from '../support/github/clients.ts';
import { startGitHub } from '../support/github/server.ts';

const github = useGitHub();
beforeAll(() => sodium.ready);

let name: string;
let count = 0;
beforeEach(() => {
  name = `shop-${++count}`;
});

const as = (user = 'free-user') => octokit(github(), github().token('classic', user));

/** What a request was refused with. */
async function refusal(promise: Promise<unknown>) {
  const error = await promise.then(
    () => {
      throw new Error('It was not refused');
    },
    (reason) => reason,
  );
  if (!error.response) throw error;
  return {
    status: error.status as number,
    message: error.response.data.message as string,
    headers: error.response.headers as Record<string, string>,
    errors: error.response.data.errors as unknown[],
  };
}

/** Makes a repository and returns where it is. */
function add(owner: string, isPrivate = true, files = { 'README.md': 'hello' }) {
  github().addRepository(`${owner}/${name}`, { private: isPrivate, files });
  return { owner, repo: name };
}

const seal = (value: string, key: string) =>
  Buffer.from(sodium.crypto_box_seal(value, Buffer.from(key, 'base64'))).toString('base64');

async function putSecret(
  client: Octokit,
  target: { owner: string; repo: string },
  secret: string,
  value = 'v',
) {
  const { data } = await client.actions.getRepoPublicKey(target);
  return client.actions.createOrUpdateRepoSecret({
    ...target,
    secret_name: secret,
    key_id: data.key_id,
    encrypted_value: seal(value, data.key),
  });
}

describe('the server itself', () => {
  test('runs beside others, and leaves nothing behind', async () => {
    const other = await startGitHub();
    expect(other.url).not.toBe(github().url);
    other.addRepository('free-user/shop');
    const path = String(other.repository('free-user/shop')?.path);
    expect(existsSync(path)).toBe(true);
    await other.close();
    expect(existsSync(path)).toBe(false);
    await expect(fetch(other.url)).rejects.toThrow();
  });

  test('starts in a moment', async () => {
    const begun = performance.now();
    const other = await startGitHub();
    expect(performance.now() - begun).toBeLessThan(3000);
    await other.close();
  });

  test('refuses a request that is not as GitHub describes it, and cannot be closed quietly after it', async () => {
    const other = await startGitHub();
    const client = octokit(other, other.token('classic'));
    const { status, errors } = await refusal(
      client.repos.createForAuthenticatedUser({ name: 'shop', private: 'yes' as unknown as boolean }),
    );
    expect(status).toBe(422);
    expect(errors).toEqual(['body.private: Request body property private must be boolean']);
    await expect(other.close()).rejects.toThrow('request of POST /user/repos: body.private');
  });

  test('reports an operation that it does not know', async () => {
    const { status } = await refusal(as().request('GET /repos/{owner}/{repo}/stargazers', add('free-user')));
    expect(status).toBe(404);
    expect(github().violations.splice(0).join()).toContain('/stargazers: not an operation');
  });

  test('records requests with their tokens, for tests that look for leaks', async () => {
    const token = github().token('classic');
    await octokit(github(), token).users.getAuthenticated();
    expect(github().requests).toMatchObject([
      {
        method: 'GET',
        path: '/user',
        operation: 'users/get-authenticated',
        authorization: 'token',
        token,
        status: 200,
      },
    ]);
  });

  test('answers with and without the base that a GitHub Enterprise Server has', async () => {
    for (const base of [github().url, github().origin]) {
      expect((await fetch(`${base}/users/pro-user`)).status).toBe(200);
    }
  });

  test('refuses clients that do not say who they are', async () => {
    const response = await new Promise<{ status?: number; body: string }>((resolve, reject) => {
      httpRequest(`${github().url}/meta`, async (answer) => {
        resolve({ ...(answer.statusCode && { status: answer.statusCode }), body: await text(answer) });
      })
        .on('error', reject)
        .end();
    });
    expect(response.status).toBe(403);
    expect(response.body).toContain('User-Agent');
  });

  test('refuses a version of the API that there is not', async () => {
    const { status } = await refusal(
      as().users.getAuthenticated({ headers: { 'x-github-api-version': '2020-01-01' } }),
    );
    expect(status).toBe(400);
  });

  test('splits lists into pages', async () => {
    const client = as('pro-user');
    const target = add('pro-user');
    for (const variable of ['A', 'B', 'C']) {
      await client.actions.createRepoVariable({ ...target, name: variable, value: '1' });
    }
    const all = await client.paginate(client.actions.listRepoVariables, { ...target, per_page: 2 });
    expect(all.map((variable) => variable.name)).toEqual(['A', 'B', 'C']);
  });
});

describe('tokens', () => {
  test('that are unknown or have expired are bad credentials', async () => {
    const expired = github().token('fine-grained', 'free-user', { expires: new Date('2020-01-01') });
    for (const token of ['ghp_unknown', expired]) {
      expect(await refusal(octokit(github(), token).users.getAuthenticated())).toMatchObject({
        status: 401,
        message: 'Bad credentials',
      });
    }
  });

  test('are needed for what is somebody’s own', async () => {
    expect(await refusal(octokit(github()).users.getAuthenticated())).toMatchObject({
      status: 401,
      message: 'Requires authentication',
    });
  });

  test('tell their scopes if they are classic, and when they expire', async () => {
    const expires = new Date('2030-01-02T03:04:05Z');
    const scopes = ['repo', 'workflow'];
    const classic = github().token('classic', 'free-user', { scopes, expires });
    const { headers } = await octokit(github(), classic).users.getAuthenticated();
    expect(headers).toMatchObject({
      'x-oauth-scopes': 'repo, workflow',
      'x-accepted-oauth-scopes': '',
      'github-authentication-token-expiration': '2030-01-02 03:04:05 UTC',
    });
    expect(classic).toMatch(/^ghp_\w{36}$/);

    const fineGrained = github().token('fine-grained');
    const reply = await octokit(github(), fineGrained).users.getAuthenticated();
    expect(reply.headers).not.toHaveProperty('x-oauth-scopes');
    expect(fineGrained).toMatch(/^github_pat_\w{82}$/);
  });

  test('tell the plan of the account only with the scope for it', async () => {
    const { data: hidden } = await as('pro-user').users.getAuthenticated();
    expect(hidden).not.toHaveProperty('plan');
    const token = github().token('classic', 'pro-user', { scopes: ['repo', 'read:user'] });
    const { data } = await octokit(github(), token).users.getAuthenticated();
    expect(data).toMatchObject({ plan: { name: 'pro' } });
  });

  test('that may not see a repository are told that there is none', async () => {
    const target = add('free-user');
    const publicOnly = github().token('classic', 'free-user', { scopes: ['public_repo'] });
    const elsewhere = github().token('fine-grained', 'free-user', { repositories: ['free-user/other'] });
    const foreign = github().token('classic', 'pro-user');
    for (const token of [publicOnly, elsewhere, foreign, undefined]) {
      expect((await refusal(octokit(github(), token).repos.get(target))).status).toBe(404);
    }
  });

  test.each([
    [
      'administration',
      (client: Octokit, target: { owner: string; repo: string }) => client.repos.update(target),
    ],
    ['secrets', (client: Octokit, target: { owner: string; repo: string }) => putSecret(client, target, 'A')],
    [
      'actions_variables',
      (client: Octokit, target: { owner: string; repo: string }) =>
        client.actions.createRepoVariable({ ...target, name: 'A', value: '1' }),
    ],
    [
      'contents',
      (client: Octokit, target: { owner: string; repo: string }) =>
        client.repos.createRelease({ ...target, tag_name: 'v1' }),
    ],
  ])('that are fine-grained and lack %s are told so', async (permission, act) => {
    const target = add('pro-user');
    const { [permission]: _, ...permissions } = allPermissions;
    const lacking = github().token('fine-grained', 'pro-user', { permissions });
    const { status, message, headers } = await refusal(act(octokit(github(), lacking), target));
    expect(status).toBe(403);
    expect(message).toBe('Resource not accessible by personal access token');
    expect(headers['x-accepted-github-permissions']).toMatch(new RegExp(`^${permission}=`));
    await act(octokit(github(), github().token('fine-grained', 'pro-user')), target);
  });

  test('that are classic need a scope of their own to delete a repository', async () => {
    const target = add('free-user');
    const token = github().token('classic', 'free-user', { scopes: ['repo'] });
    const { status, message, headers } = await refusal(octokit(github(), token).repos.delete(target));
    expect([status, message]).toEqual([403, 'Must have admin rights to Repository.']);
    expect(headers['x-accepted-oauth-scopes']).toBe('delete_repo');
    await as().repos.delete(target);
    expect(github().repository(`free-user/${name}`)).toBeUndefined();
  });

  test('that are classic need read:org to see a membership', async () => {
    const org = 'team-organization';
    const token = github().token('classic', 'free-user', { scopes: ['public_repo'] });
    const membership = octokit(github(), token).orgs.getMembershipForAuthenticatedUser({ org });
    expect((await refusal(membership)).status).toBe(403);
    expect((await as().orgs.getMembershipForAuthenticatedUser({ org })).data).toMatchObject({
      role: 'admin',
      state: 'active',
    });
  });
});

describe('organisations', () => {
  const create = (client: Octokit, org: string) => client.repos.createInOrg({ org, name, private: true });

  test('let their members create repositories, unless they do not', async () => {
    expect((await create(as('pro-user'), 'team-organization')).data.full_name).toBe(
      `team-organization/${name}`,
    );
    expect(await refusal(create(as('free-user'), 'closed-organization'))).toMatchObject({
      status: 403,
      message: 'You need admin access to the organization before adding a repository to it.',
    });
    expect((await refusal(create(as('pro-user'), 'saml-organization'))).status).toBe(403);
  });

  test('may want classic tokens to be authorised for their single sign-on', async () => {
    const { status, message, headers } = await refusal(create(as(), 'saml-organization'));
    expect([status, message]).toEqual([403, expect.stringContaining('organization SAML enforcement')]);
    expect(headers['x-github-sso']).toMatch(/^required; url=https:/);
    const token = github().token('classic', 'free-user', { authorizedFor: ['saml-organization'] });
    await create(octokit(github(), token), 'saml-organization');
  });

  test('may block classic tokens', async () => {
    const { status, message } = await refusal(create(as(), 'fine-grained-organization'));
    expect([status, message]).toEqual([
      403,
      expect.stringContaining('forbids access via a personal access token (classic)'),
    ]);
    const token = github().token('fine-grained', 'free-user', { owner: 'fine-grained-organization' });
    await create(octokit(github(), token), 'fine-grained-organization');
  });

  test('may have to approve fine-grained tokens first', async () => {
    const owner = 'approving-organization';
    const waiting = octokit(github(), github().token('fine-grained', 'free-user', { owner }));
    expect((await refusal(create(waiting, owner))).message).toBe(
      'Resource not accessible by personal access token',
    );
    const approved = octokit(
      github(),
      github().token('fine-grained', 'free-user', { owner, approved: true }),
    );
    await create(approved, owner);
    expect((await refusal(waiting.repos.get({ owner, repo: name }))).status).toBe(404);
  });

  test('are out of reach for fine-grained tokens of somebody else', async () => {
    const own = octokit(github(), github().token('fine-grained', 'free-user'));
    expect((await refusal(create(own, 'team-organization'))).status).toBe(403);
  });
});

describe('repositories', () => {
  test('are created with what is needed to go on', async () => {
    const { data, status } = await as().repos.createForAuthenticatedUser({
      name,
      private: true,
      description: 'A shop',
    });
    expect(status).toBe(201);
    expect(data).toMatchObject({
      full_name: `free-user/${name}`,
      private: true,
      description: 'A shop',
      size: 0,
      default_branch: 'main',
      permissions: { admin: true, push: true },
      clone_url: `${github().origin}/free-user/${name}.git`,
      html_url: `${github().origin}/free-user/${name}`,
    });
  });

  test('have names of their own', async () => {
    await as().repos.createForAuthenticatedUser({ name });
    expect(await refusal(as().repos.createForAuthenticatedUser({ name: name.toUpperCase() }))).toMatchObject({
      status: 422,
      message: 'Repository creation failed.',
      errors: [
        {
          resource: 'Repository',
          code: 'custom',
          field: 'name',
          message: 'name already exists on this account',
        },
      ],
    });
  });

  test('take a description and topics', async () => {
    const target = add('free-user');
    await as().repos.update({ ...target, description: 'Another' });
    await as().repos.replaceAllTopics({ ...target, names: ['Django', 'shop'] });
    expect(github().repository(`free-user/${name}`)).toMatchObject({
      description: 'Another',
      topics: ['django', 'shop'],
    });
    const { status } = await refusal(as().repos.replaceAllTopics({ ...target, names: ['not a topic'] }));
    expect(status).toBe(422);
  });

  test('that are empty have no git data', async () => {
    await as().repos.createForAuthenticatedUser({ name });
    const target = { owner: 'free-user', repo: name };
    for (const question of [
      as().git.getRef({ ...target, ref: 'heads/main' }),
      as().repos.listCommits(target),
    ]) {
      expect(await refusal(question)).toMatchObject({ status: 409, message: 'Git Repository is empty.' });
    }
    expect((await as().repos.listBranches(target)).data).toEqual([]);
    expect((await refusal(as().repos.getContent({ ...target, path: 'a' }))).status).toBe(404);
  });

  test('can have security alerts, fixes and immutable releases', async () => {
    const target = add('free-user');
    const client = as();
    expect((await refusal(client.repos.checkVulnerabilityAlerts(target))).status).toBe(404);
    expect((await refusal(client.repos.enableAutomatedSecurityFixes(target))).status).toBe(422);
    await client.repos.enableVulnerabilityAlerts(target);
    await client.repos.enableAutomatedSecurityFixes(target);
    expect((await client.repos.checkVulnerabilityAlerts(target)).status).toBe(204);
    expect((await client.repos.checkAutomatedSecurityFixes(target)).data.enabled).toBe(true);
    await client.request('PUT /repos/{owner}/{repo}/immutable-releases', target);
    const immutable = await client.request('GET /repos/{owner}/{repo}/immutable-releases', target);
    expect(immutable.data.enabled).toBe(true);
  });

  test('take a deploy key, once on the whole of GitHub', async () => {
    const key = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${name.replace('-', '')} comment`;
    const target = add('free-user');
    await as().repos.createDeployKey({ ...target, key, title: 'host', read_only: true });
    expect((await as().repos.listDeployKeys(target)).data).toMatchObject([
      { title: 'host', read_only: true },
    ]);
    const again = await refusal(as().repos.createDeployKey({ ...target, key }));
    expect(again).toMatchObject({ status: 422, errors: [{ message: 'key is already in use' }] });
    expect((await refusal(as().repos.createDeployKey({ ...target, key: 'nonsense' }))).status).toBe(422);
  });
});

describe('secrets', () => {
  test('are opened with the key of their repository, and never shown', async () => {
    const target = add('free-user');
    const client = as();
    expect((await putSecret(client, target, 'ssh_key', 'one\ntwo\n')).status).toBe(201);
    expect((await putSecret(client, target, 'SSH_KEY', 'three')).status).toBe(204);
    expect(github().repository(`free-user/${name}`)?.secrets).toEqual({ SSH_KEY: 'three' });
    const { data } = await client.actions.getRepoSecret({ ...target, secret_name: 'ssh_key' });
    expect(Object.keys(data)).toEqual(['name', 'created_at', 'updated_at']);
    await client.actions.deleteRepoSecret({ ...target, secret_name: 'SSH_KEY' });
    expect((await client.actions.listRepoSecrets(target)).data).toEqual({ total_count: 0, secrets: [] });
  });

  test('have names that GitHub accepts', async () => {
    const target = add('free-user');
    for (const secret of ['GITHUB_TOKEN', 'github_x', '1ST', 'WITH-HYPHEN', 'WITH SPACE']) {
      expect((await refusal(putSecret(as(), target, secret))).status).toBe(422);
    }
  });

  test('are 48 KB at most', async () => {
    const target = add('free-user');
    await putSecret(as(), target, 'LARGE', 'x'.repeat(48 * 1024));
    expect((await refusal(putSecret(as(), target, 'LARGER', 'x'.repeat(48 * 1024 + 1)))).status).toBe(422);
  });

  test('sealed for another repository or environment are refused', async () => {
    const target = add('pro-user');
    const client = as('pro-user');
    await client.repos.createOrUpdateEnvironment({ ...target, environment_name: 'production' });
    const { data: key } = await client.actions.getEnvironmentPublicKey({
      ...target,
      environment_name: 'production',
    });
    const put = { ...target, secret_name: 'A', encrypted_value: seal('v', key.key) };
    expect(
      (await refusal(client.actions.createOrUpdateRepoSecret({ ...put, key_id: key.key_id }))).status,
    ).toBe(422);
    const { data: own } = await client.actions.getRepoPublicKey(target);
    expect(
      (await refusal(client.actions.createOrUpdateRepoSecret({ ...put, key_id: own.key_id }))).status,
    ).toBe(422);
    const environment = { ...put, environment_name: 'production', key_id: key.key_id };
    await client.actions.createOrUpdateEnvironmentSecret(environment);
    expect(github().repository(`pro-user/${name}`)).toMatchObject({
      secrets: {},
      environments: { production: { secrets: { A: 'v' } } },
    });
  });

  test('in plain text are a violation', async () => {
    const target = add('free-user');
    const { data } = await as().actions.getRepoPublicKey(target);
    const plain = { ...target, secret_name: 'A', key_id: data.key_id, encrypted_value: 'not sealed!' };
    expect((await refusal(as().actions.createOrUpdateRepoSecret(plain))).status).toBe(422);
    expect(github().violations.splice(0)).toHaveLength(1);
  });
});

describe('variables', () => {
  test('are created once, and updated', async () => {
    const target = add('free-user');
    const client = as();
    await client.actions.createRepoVariable({ ...target, name: 'host', value: 'a' });
    const twice = await refusal(client.actions.createRepoVariable({ ...target, name: 'HOST', value: 'b' }));
    expect(twice.status).toBe(409);
    await client.actions.updateRepoVariable({ ...target, name: 'HOST', value: 'c' });
    expect((await client.actions.getRepoVariable({ ...target, name: 'host' })).data).toMatchObject({
      name: 'HOST',
      value: 'c',
    });
    await client.actions.deleteRepoVariable({ ...target, name: 'HOST' });
    expect((await refusal(client.actions.getRepoVariable({ ...target, name: 'HOST' }))).status).toBe(404);
    const reserved = client.actions.createRepoVariable({ ...target, name: 'GITHUB_X', value: '' });
    expect((await refusal(reserved)).status).toBe(422);
  });
});

describe('environments', () => {
  const environment_name = 'production';

  test('are not there for private repositories of free accounts', async () => {
    for (const owner of ['free-user', 'free-organization']) {
      const target = add(owner);
      const put = as().repos.createOrUpdateEnvironment({ ...target, environment_name });
      expect((await refusal(put)).status).toBe(404);
    }
    name = `${name}-public`;
    const target = add('free-user', false);
    await as().repos.createOrUpdateEnvironment({ ...target, environment_name, wait_timer: 5 });
    expect(
      (await as().repos.getEnvironment({ ...target, environment_name })).data.protection_rules,
    ).toMatchObject([{ type: 'wait_timer', wait_timer: 5 }]);
  });

  test('of private repositories take no reviewers and wait timers, not even none', async () => {
    for (const [owner, user] of [
      ['pro-user', 'pro-user'],
      ['team-organization', 'free-user'],
    ] as const) {
      const client = as(user);
      const target = add(owner);
      for (const rule of [{ wait_timer: 0 }, { reviewers: null }, { prevent_self_review: false }]) {
        const put = client.repos.createOrUpdateEnvironment({ ...target, environment_name, ...rule });
        expect(await refusal(put)).toMatchObject({
          status: 422,
          message: expect.stringContaining('Failed to create the environment protection rule'),
        });
      }
      await client.repos.createOrUpdateEnvironment({ ...target, environment_name });
    }
  });

  test('take branches and tags that may deploy', async () => {
    const target = { ...add('pro-user'), environment_name };
    const client = as('pro-user');
    const policy = (protectedBranches: boolean, custom: boolean) =>
      client.repos.createOrUpdateEnvironment({
        ...target,
        deployment_branch_policy: { protected_branches: protectedBranches, custom_branch_policies: custom },
      });
    expect((await refusal(policy(true, true))).status).toBe(422);
    await policy(true, false);
    const add404 = client.repos.createDeploymentBranchPolicy({ ...target, name: 'v*', type: 'tag' });
    expect((await refusal(add404)).status).toBe(404);
    await policy(false, true);
    await client.repos.createDeploymentBranchPolicy({ ...target, name: 'v*', type: 'tag' });
    expect((await client.repos.listDeploymentBranchPolicies(target)).data.branch_policies).toMatchObject([
      { name: 'v*', type: 'tag' },
    ]);
    await client.repos.deleteAnEnvironment(target);
    expect((await client.repos.getAllEnvironments(target)).data.total_count).toBe(0);
  });
});

describe('rules for branches', () => {
  const ruleset = {
    name: 'main',
    enforcement: 'active' as const,
    rules: [{ type: 'deletion' as const }],
  };
  const branch = 'main';
  const protection = {
    required_status_checks: null,
    enforce_admins: null,
    required_pull_request_reviews: null,
    restrictions: null,
  };

  test('want a paid plan or a public repository', async () => {
    const target = add('free-user');
    const message = 'Upgrade to GitHub Pro or make this repository public to enable this feature.';
    for (const question of [
      as().repos.createRepoRuleset({ ...target, ...ruleset }),
      as().repos.updateBranchProtection({ ...target, ...protection, branch }),
    ]) {
      expect(await refusal(question)).toMatchObject({ status: 403, message });
    }
    name = `${name}-public`;
    const open = add('free-user', false);
    await as().repos.createRepoRuleset({ ...open, ...ruleset });
    await as().repos.updateBranchProtection({ ...open, ...protection, branch });
    expect(github().repository(`free-user/${name}`)).toMatchObject({
      rulesets: [{ name: 'main' }],
      branchProtection: { main: protection },
    });
  });

  test('have names of their own, and can be changed and removed', async () => {
    const client = as('pro-user');
    const target = add('pro-user');
    const { data } = await client.repos.createRepoRuleset({ ...target, ...ruleset });
    expect((await refusal(client.repos.createRepoRuleset({ ...target, ...ruleset }))).status).toBe(422);
    await client.repos.updateRepoRuleset({ ...target, ruleset_id: data.id, enforcement: 'disabled' });
    expect((await client.repos.getRepoRulesets(target)).data).toMatchObject([{ enforcement: 'disabled' }]);
    await client.repos.deleteRepoRuleset({ ...target, ruleset_id: data.id });
    expect((await client.repos.getRepoRulesets(target)).data).toEqual([]);
  });

  test('need the branch that they protect', async () => {
    const client = as('pro-user');
    const target = add('pro-user');
    const missing = client.repos.updateBranchProtection({ ...target, ...protection, branch: 'other' });
    expect(await refusal(missing)).toMatchObject({ status: 404, message: 'Branch not found' });
    await client.repos.updateBranchProtection({ ...target, ...protection, branch });
    await client.repos.deleteBranchProtection({ ...target, branch });
    const gone = client.repos.getBranchProtection({ ...target, branch });
    expect(await refusal(gone)).toMatchObject({ status: 404, message: 'Branch not protected' });
  });
});

describe('releases and workflows', () => {
  const files = {
    '.github/workflows/deploy.yml': 'on:\n  workflow_dispatch:\n',
    '.github/workflows/lint.yml': 'on: push\n',
  };

  test('a release makes its tag, once', async () => {
    const target = add('free-user');
    expect((await refusal(as().repos.getLatestRelease(target))).status).toBe(404);
    await as().repos.createRelease({ ...target, tag_name: 'v1' });
    expect((await as().repos.getLatestRelease(target)).data.tag_name).toBe('v1');
    expect((await as().git.getRef({ ...target, ref: 'tags/v1' })).data.ref).toBe('refs/tags/v1');
    expect(await refusal(as().repos.createRelease({ ...target, tag_name: 'v1' }))).toMatchObject({
      status: 422,
      errors: [{ resource: 'Release', code: 'already_exists', field: 'tag_name' }],
    });
  });

  test('a workflow is started if it can be', async () => {
    github().addRepository(`free-user/${name}`, { files });
    const target = { owner: 'free-user', repo: name };
    const dispatch = (workflow_id: string, ref = 'main') =>
      as().actions.createWorkflowDispatch({ ...target, workflow_id, ref });
    expect((await dispatch('deploy.yml')).status).toBe(204);
    expect((await refusal(dispatch('missing.yml'))).status).toBe(404);
    expect((await refusal(dispatch('lint.yml'))).status).toBe(422);
    expect((await refusal(dispatch('deploy.yml', 'missing'))).status).toBe(422);
    const { data } = await as().actions.listWorkflowRunsForRepo(target);
    expect(data.workflow_runs).toMatchObject([{ event: 'workflow_dispatch', status: 'queued' }]);
  });

  test('an issue is opened and closed', async () => {
    const target = add('free-user');
    const { data } = await as().issues.create({ ...target, title: 'Broken', labels: ['bug'] });
    await as().issues.update({ ...target, issue_number: data.number, state: 'closed' });
    expect((await as().issues.listForRepo(target)).data).toEqual([]);
    expect((await as().issues.listForRepo({ ...target, state: 'closed' })).data).toHaveLength(1);
  });
});
