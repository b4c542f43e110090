import { expect, test } from 'vitest';
import { octokit, useGitHub } from '../support/github/clients.ts';
import type { Failure } from '../support/github/faults.ts';

const github = useGitHub();
const path = /^\/user$/;
const ask = () => octokit(github(), github().token('classic')).users.getAuthenticated();

const answers: [Failure, number, RegExp, Record<string, RegExp>][] = [
  [401, 401, /Bad credentials/, {}],
  [403, 403, /Must have admin rights/, { 'x-oauth-scopes': /^repo, workflow/ }],
  ['saml', 403, /organization SAML enforcement/, { 'x-github-sso': /^required; url=https:/ }],
  [404, 404, /Not Found/, {}],
  [409, 409, /Conflict/, {}],
  [422, 422, /Validation Failed/, {}],
  [429, 429, /Too Many Requests/, { 'retry-after': /^7$/ }],
  ['secondary-rate-limit', 403, /secondary rate limit/, { 'retry-after': /^7$/ }],
  ['primary-rate-limit', 403, /API rate limit exceeded/, { 'x-ratelimit-remaining': /^0$/ }],
  [500, 500, /Server Error/, {}],
  [502, 502, /Server Error/, {}],
];

test.each(answers)(
  'a request can fail with %s, as GitHub says it',
  async (failure, status, message, headers) => {
    const fault = github().fail({ path, with: failure, retryAfter: 7 });
    const error = await ask().catch((reason) => reason);
    expect([error.status, error.message]).toEqual([status, expect.stringMatching(message)]);
    for (const [name, value] of Object.entries(headers)) {
      expect(error.response.headers[name]).toMatch(value);
    }
    expect(fault.hits).toBe(1);
    expect(github().requests.at(-1)).toMatchObject({ failedWith: failure, status });
    await ask();
  },
);

test('what is forbidden is told to fine-grained tokens in other words', async () => {
  github().addRepository('free-user/forbidden');
  const target = { owner: 'free-user', repo: 'forbidden' };
  github().fail({ method: 'PATCH', path: /forbidden/, with: 403 });
  const change = octokit(github(), github().token('fine-grained')).repos.update(target);
  const error = await change.catch((reason) => reason);
  expect(error.message).toContain('Resource not accessible by personal access token');
  expect(error.response.headers).toMatchObject({ 'x-accepted-github-permissions': 'administration=write' });
  expect(error.response.headers).not.toHaveProperty('x-oauth-scopes');
});

test('a connection can be cut before anything was done, or after', async () => {
  const client = octokit(github(), github().token('classic'));
  const create = () => client.repos.createForAuthenticatedUser({ name: 'lost' });
  github().fail({ method: 'POST', path: /^\/user\/repos$/, with: 'reset' });
  await expect(create()).rejects.toThrow();
  expect(github().repository('free-user/lost')).toBeUndefined();

  github().fail({ method: 'POST', path: /^\/user\/repos$/, with: 'reset', afterEffect: true });
  await expect(create()).rejects.toThrow();
  expect(github().repository('free-user/lost')).toBeDefined();
  await expect(create()).rejects.toThrow('name already exists on this account');
});

test('an answer can stay out', async () => {
  github().fail({ path, with: 'silence' });
  const signal = AbortSignal.timeout(300);
  await expect(fetch(`${github().url}/user`, { signal })).rejects.toThrow('timeout');
});

test('faults strike the requests that they are for, and as often as they are told', async () => {
  github().fail({ method: 'PATCH', path, with: 500 });
  const fault = github().fail({ method: 'GET', path, with: 502, nth: 2, times: 2 });
  const outcomes = [];
  for (let request = 1; request <= 4; request++) {
    outcomes.push(
      await ask().then(
        ({ status }) => status,
        ({ status }) => status,
      ),
    );
  }
  expect(outcomes).toEqual([200, 502, 502, 200]);
  expect(fault.hits).toBe(2);
});

test('faults end when they are told to', async () => {
  github().fail({ path, with: 500, times: Number.POSITIVE_INFINITY });
  await expect(ask()).rejects.toThrow();
  github().heal();
  await ask();
});
