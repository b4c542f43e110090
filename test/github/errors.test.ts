import { inspect } from 'node:util';
import { RequestError } from '@octokit/request-error';
import { describe, expect, test } from 'vitest';
import { type GitHubError, gitHubError, publicApiUrl } from '../../lib/github/errors.ts';

const classic = 'ghp_16C7e42F292c6912E7710c838347Ae178B4a';
const fineGrained = 'github_pat_11ABCDEFG0abcdefghijkl_0123456789';

interface Answer {
  status: number;
  message?: string;
  errors?: unknown;
  headers?: Record<string, string>;
  data?: unknown;
}

function explain(answer: Answer, token = classic, apiUrl = publicApiUrl): GitHubError {
  const { status, message, errors, headers = {}, data } = answer;
  const url = `${apiUrl}/user/repos`;
  const error = new RequestError(message ?? '', status, {
    request: { method: 'POST', url, headers: { authorization: `token ${token}` }, body: { value: token } },
    response: { status, url, headers, data: data ?? { message, errors } },
  });
  return gitHubError(error, { action: 'create the repository ada/shop', token, apiUrl, timeout: 30_000 });
}

function told(error: GitHubError): string {
  return `${error.message}\n${error.remedy ?? ''}`;
}

describe('A refusal by GitHub names what to do', () => {
  test('for a token that it does not know, by the kind of token', () => {
    const error = explain({ status: 401, message: 'Bad credentials' });
    expect(error.failure).toBe('unauthorized');
    expect(told(error)).toBe(
      'GitHub does not accept the personal access token (classic): it is wrong, has expired or was revoked (401)\n' +
        'Make a new token at https://github.com/settings/tokens/new?scopes=repo,workflow&description=goboot, and give it as GH_TOKEN.',
    );
    expect(explain({ status: 401, message: 'Bad credentials' }, fineGrained).remedy).toMatch(
      /personal-access-tokens\/new with Administration: write, .*Secrets: write/,
    );
  });

  test('for a classic token without the scope', () => {
    const headers = { 'x-accepted-oauth-scopes': 'public_repo, repo', 'x-oauth-scopes': 'gist, read:org' };
    const error = explain({ status: 403, message: 'Forbidden', headers });
    expect(error.failure).toBe('missing permission');
    expect(error.message).toBe(
      'GitHub refused to create the repository ada/shop: the token has the scopes gist, read:org, and this needs repo',
    );
    expect(error.remedy).toMatch(/^Add the scope repo to the token\./);
    const none = explain({
      status: 403,
      message: 'Forbidden',
      headers: { ...headers, 'x-oauth-scopes': '' },
    });
    expect(none.message).toMatch(/the token has no scopes, and this needs repo$/);
  });

  test('for a classic token without the scope, also where GitHub hides that behind “not found”', () => {
    const headers = { 'x-accepted-oauth-scopes': 'public_repo, repo', 'x-oauth-scopes': 'workflow' };
    const error = explain({ status: 404, message: 'Not Found', headers });
    expect(error).toMatchObject({ failure: 'missing permission', status: 404 });
    expect(error.message).toMatch(/this needs repo$/);
  });

  test('for a scope that another one includes, by not asking for it', () => {
    const headers = { 'x-accepted-oauth-scopes': 'public_repo', 'x-oauth-scopes': 'repo' };
    const error = explain({ status: 403, message: 'Must have admin rights to Repository.', headers });
    expect(error.failure).toBe('forbidden');
    expect(error.message).toMatch(/: Must have admin rights to Repository$/);
  });

  test.each([
    ['secrets=write', 'Secrets: write'],
    ['contents=write,workflows=write', 'Contents: write and Workflows: write'],
    ['environments=read; actions=read', 'Environments: read, or Actions: read'],
    ['actions_variables=write', 'Variables: write'],
    ['organization_self_hosted_runners=read', 'Organization self hosted runners: read'],
  ])('for a fine-grained token that lacks %s', (header, words) => {
    const error = explain(
      {
        status: 403,
        message: 'Resource not accessible by personal access token',
        headers: { 'x-accepted-github-permissions': header },
      },
      fineGrained,
    );
    expect(error.failure).toBe('missing permission');
    expect(error.message).toMatch(new RegExp(`token lacks the permission ${words}$`));
    expect(error.remedy).toMatch(new RegExp(`^Give it the permission ${words}\\.`));
  });

  test('for single sign-on, with the page that authorises the token', () => {
    const url = 'https://github.com/orgs/acme/sso?authorization_request=AZ';
    const error = explain({
      status: 403,
      message: 'Resource protected by organization SAML enforcement.',
      headers: { 'x-github-sso': `required; url=${url}` },
    });
    expect(error.failure).toBe('single sign-on');
    expect(error.remedy).toContain(`Open ${url} within the hour`);
    const bare = explain({ status: 403, message: 'Resource protected by organization SAML enforcement.' });
    expect(bare.remedy).toContain('Configure SSO');
  });

  test('for an organisation that admits no classic tokens', () => {
    const error = explain({
      status: 403,
      message:
        '`acme` forbids access via a personal access token (classic). Please use a GitHub App, OAuth App, or a personal access token with fine-grained permissions.',
    });
    expect(error.failure).toBe('token policy');
    expect(error.message).toMatch(/the organisation acme does not admit classic tokens$/);
    expect(error.remedy).toMatch(/fine-grained token .* with the resource owner acme and /);
  });

  test('for an organisation that does not admit a fine-grained token, in GitHub’s words', () => {
    const message =
      "The 'acme' organization forbids access via a fine-grained personal access tokens if the token's lifetime is greater than 366 days.";
    const error = explain({ status: 403, message }, fineGrained);
    expect(error.failure).toBe('token policy');
    expect(error.message).toMatch(/the organisation acme does not admit this token .*366 days/);
  });

  test.each([
    [403, 'Upgrade to GitHub Pro or make this repository public to enable this feature.', 'GitHub Pro'],
    [403, 'Upgrade to GitHub Team or make this repository public to enable this feature.', 'GitHub Team'],
    [
      422,
      'Failed to create the environment protection rule. Please ensure the billing plan supports the required reviewers protection rule.',
      'an upgrade of the plan',
    ],
  ])('for what the plan does not include (%i, %s)', (status, message, words) => {
    const error = explain({ status, message });
    expect(error.failure).toBe('plan');
    expect(error.remedy).toContain(words);
  });

  test('for “not found”, which may mean “may not see”', () => {
    expect(explain({ status: 404, message: 'Not Found' }).message).toMatch(
      /or the token may not see it \(404\)$/,
    );
    expect(explain({ status: 404, message: 'Not Found' }, fineGrained).remedy).toMatch(/approved it/);
  });

  test('for a name that is taken', () => {
    const error = explain({
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
    expect(error.failure).toBe('exists');
    expect(error.message).toMatch(/: name already exists on this account$/);
  });

  test.each([
    [[{ resource: 'Repository', field: 'name', code: 'missing_field' }], 'name is missing'],
    [[{ resource: 'Label', code: 'invalid' }, 'and more'], 'Label is not valid; and more'],
    ['just a text', 'just a text'],
    [undefined, 'Validation Failed'],
  ])('for what is not valid: %j', (errors, words) => {
    const error = explain({ status: 422, message: 'Validation Failed', errors });
    expect(error.failure).toBe('invalid');
    expect(error.message).toMatch(new RegExp(`: ${words}$`));
  });

  test('for a conflict, and for GitHub’s own trouble', () => {
    expect(explain({ status: 409, message: 'Git Repository is empty.' }).failure).toBe('conflict');
    const trouble = explain({ status: 502, data: '<html>Bad Gateway</html>' });
    expect(trouble).toMatchObject({ failure: 'server', lostAnswer: true });
    expect(told(trouble)).not.toContain('<html>');
    expect(trouble.remedy).toContain('githubstatus.com');
  });

  test('for a server that is not GitHub’s API', () => {
    const error = explain({ status: 404, data: '<html>nginx</html>' }, classic, 'https://ghe.example.com');
    expect(error.message).toBe('ghe.example.com answers, but not as GitHub’s API does (404)');
    expect(error.remedy).toContain('https://HOST/api/v3');
  });
});

describe('A rate limit is told with the local time at which it ends', () => {
  const inTenMinutes = Math.floor(Date.now() / 1000) + 600;
  const local = (seconds: number) =>
    new Date(seconds * 1000).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });

  test.each<[string, Answer]>([
    [
      'the primary one',
      {
        status: 403,
        message: 'API rate limit exceeded for user ID 1.',
        headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(inTenMinutes) },
      },
    ],
    [
      'a secondary one',
      {
        status: 403,
        message: 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
        headers: { 'retry-after': '600' },
      },
    ],
    ['one of a gateway', { status: 429, data: 'slow down', headers: { 'retry-after': '600' } }],
  ])('%s', (_, answer) => {
    const error = explain(answer);
    expect(error.failure).toBe('rate limit');
    expect(Math.abs((error.endsAt?.getTime() ?? 0) / 1000 - inTenMinutes)).toBeLessThan(30);
    const ends = Math.round((error.endsAt?.getTime() ?? 0) / 1000);
    expect(error.remedy).toContain(local(ends));
  });
});

describe('A failure of the network names the host and the cause', () => {
  const failed = (code: string, name = 'Error') => {
    const inner = Object.assign(new Error(`it was ${code}`), { code, name });
    const error = new RequestError('fetch failed', 500, {
      request: { method: 'GET', url: publicApiUrl, headers: { authorization: `token ${classic}` } },
    });
    error.cause = Object.assign(new TypeError('fetch failed'), { cause: inner });
    return gitHubError(error, { action: 'look', token: classic, apiUrl: publicApiUrl, timeout: 30_000 });
  };

  test.each([
    ['ENOTFOUND', /name api\.github\.com could not be looked up/, false],
    ['ECONNREFUSED', /api\.github\.com cannot be reached/, false],
    ['ECONNRESET', /connection to api\.github\.com broke/, true],
    ['UND_ERR_SOCKET', /connection to api\.github\.com broke/, true],
    ['SELF_SIGNED_CERT_IN_CHAIN', /certificate of api\.github\.com is not trusted/, false],
  ])('%s', (code, words, lostAnswer) => {
    const error = failed(code);
    expect(error.message).toMatch(words);
    expect(error).toMatchObject({ failure: 'network', lostAnswer });
    expect(error.remedy).toBeTruthy();
  });

  test('a certificate of an authority of one’s own leads to NODE_EXTRA_CA_CERTS', () => {
    expect(failed('UNABLE_TO_VERIFY_LEAF_SIGNATURE').remedy).toContain('NODE_EXTRA_CA_CERTS');
  });
});

test('the token occurs nowhere in an error, whatever the server says', () => {
  for (const token of [classic, fineGrained]) {
    const basic = Buffer.from(`x-access-token:${token}`).toString('base64');
    for (const status of [400, 401, 403, 404, 409, 422, 429, 500]) {
      const error = explain({ status, message: `no ${token} and ${basic}`, errors: [`${token}`] }, token);
      const everything = `${inspect(error, { depth: 20, showHidden: true })}${error.stack}${JSON.stringify(error)}`;
      expect(everything).not.toContain(token);
      expect(everything).not.toContain(basic);
    }
  }
});
