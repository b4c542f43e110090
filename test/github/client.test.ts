import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { lookUpAccount } from '../../lib/github/account.ts';
import { openGitHub } from '../../lib/github/client.ts';
import { packageRoot } from '../../lib/paths.ts';
import { runOrThrow } from '../../lib/process.ts';
import { useGitHub } from '../support/github/clients.ts';
import { failureOf, openClient } from '../support/github-client.ts';
import { listen } from '../support/listen.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const server = useGitHub();

test('every request names the version of the API and goboot', async () => {
  const github = await openClient(server(), server().token('classic'));
  await lookUpAccount(github);
  const [request] = server().requests;
  expect(request?.headers['x-github-api-version']).toBe('2022-11-28');
  expect(request?.headers['user-agent']).toMatch(/^goboot\/\d/);
});

test('the client does not show its token', async () => {
  const token = server().token('classic');
  const github = await openClient(server(), token);
  expect(inspect(github, { depth: 20, showHidden: true })).not.toContain(token);
  expect(JSON.stringify(github)).not.toContain(token);
});

test.each([
  ['', /There is no token/],
  ['ghp_a b', /characters that no token has/],
  ['“ghp_abc”', /characters that no token has/],
])('the token %j is refused before any request', async (token, message) => {
  await expect(openGitHub({ url: server().url, token })).rejects.toThrow(message);
});

test('a token may have blanks around it, as when it was copied', async () => {
  const github = await openClient(server(), ` ${server().token('classic')}\n`);
  expect((await lookUpAccount(github)).login).toBe('free-user');
});

describe('A rate limit', () => {
  test.each(['primary-rate-limit', 'secondary-rate-limit', 429] as const)(
    'that ends soon is waited for, and the user is told (%s)',
    async (fault) => {
      const waits: number[] = [];
      server().fail({ path: /^\/user$/, with: fault, retryAfter: 3 });
      const github = await openClient(server(), server().token('classic'), { onWait: (s) => waits.push(s) });
      expect((await lookUpAccount(github)).login).toBe('free-user');
      expect(waits).toHaveLength(1);
      expect(waits[0]).toBeGreaterThanOrEqual(2);
      expect(waits[0]).toBeLessThanOrEqual(5);
    },
  );

  test.each(['primary-rate-limit', 'secondary-rate-limit', 429] as const)(
    'that ends later is an error that tells when (%s)',
    async (fault) => {
      const waits: number[] = [];
      server().fail({ path: /^\/user$/, with: fault, retryAfter: 1800, times: 10 });
      const github = await openClient(server(), server().token('classic'), { onWait: (s) => waits.push(s) });
      const error = await failureOf(() => lookUpAccount(github));
      expect(error.failure).toBe('rate limit');
      expect((error.endsAt?.getTime() ?? 0) - Date.now()).toBeGreaterThan(1790_000);
      expect(waits).toEqual([]);
      expect(server().requests).toHaveLength(1);
    },
  );

  test('that begins again and again is an error in the end', async () => {
    server().fail({ path: /^\/user$/, with: 'secondary-rate-limit', retryAfter: 1, times: 10 });
    const github = await openClient(server(), server().token('classic'));
    expect((await failureOf(() => lookUpAccount(github))).failure).toBe('rate limit');
    expect(server().requests).toHaveLength(3);
  });
});

describe('A failure of GitHub or of the network', () => {
  test.each([500, 502, 'reset'] as const)('is got over by asking again (%s)', async (fault) => {
    server().fail({ path: /^\/user$/, with: fault, times: 2 });
    const github = await openClient(server(), server().token('classic'));
    expect((await lookUpAccount(github)).login).toBe('free-user');
    expect(server().requests).toHaveLength(3);
  });

  test('that stays is an error, and the user knows whose trouble it is', async () => {
    server().fail({ path: /^\/user$/, with: 502, times: 10 });
    const github = await openClient(server(), server().token('classic'));
    const error = await failureOf(() => lookUpAccount(github));
    expect(error.message).toMatch(
      /^GitHub could not look up whose token it is: it has trouble of its own \(502/,
    );
    expect(server().requests).toHaveLength(3);
  });

  test('such as silence does not hang a run', async () => {
    server().fail({ path: /^\/user$/, with: 'silence', times: 10 });
    const github = await openClient(server(), server().token('classic'), { timeout: 200 });
    const error = await failureOf(() => lookUpAccount(github));
    expect(error.message).toMatch(/^127\.0\.0\.1:\d+ did not answer within 0\.2 seconds/);
    expect(server().requests).toHaveLength(2);
  });

  test('such as a cut-off answer is not taken for an empty one', async () => {
    const url = await listen((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
      response.write('{"login":', () => response.destroy());
    });
    const github = await openGitHub({ url, token: 'ghp_x', pace: 1 });
    expect((await failureOf(() => lookUpAccount(github))).failure).toBe('network');
  });

  test('such as nobody listening is told as such', async () => {
    const unused = createServer();
    await new Promise<void>((resolve) => unused.listen(0, '127.0.0.1', resolve));
    const { port } = unused.address() as AddressInfo;
    await new Promise((resolve) => unused.close(resolve));
    const github = await openGitHub({ url: `http://127.0.0.1:${port}`, token: 'ghp_x', pace: 1 });
    const error = await failureOf(() => lookUpAccount(github));
    expect(error.message).toMatch(/^127\.0\.0\.1:\d+ cannot be reached \(.*\)/);
    expect(error.lostAnswer).toBe(false);
  });

  test('such as the web page of something that is not GitHub is told as such', async () => {
    const url = await listen((_, response) => {
      response.setHeader('content-type', 'text/html');
      response.end('<html>Please log in</html>');
    });
    const github = await openGitHub({ url, token: 'ghp_x', pace: 1 });
    const error = await failureOf(() => lookUpAccount(github));
    expect(error.failure).toBe('unexpected answer');
    expect(error.remedy).toContain('/api/v3');
  });
});

test('the libraries for GitHub are loaded only when it is used', async () => {
  const loadedBy = async (script: string) => {
    const coverage = temporaryDirectory();
    await runOrThrow(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
      cwd: packageRoot,
      // Node's own record of what it has loaded.
      env: { NODE_V8_COVERAGE: coverage },
      failure: 'node failed',
    });
    return readdirSync(coverage)
      .map((name) => readFileSync(join(coverage, name), 'utf8'))
      .join();
  };
  const modules = readdirSync(join(packageRoot, 'lib', 'github'));
  const imports = modules.map((name) => `await import('./lib/github/${name}');`).join('');
  const heavy = /node_modules\/(@octokit|bottleneck|libsodium)/;
  expect(await loadedBy(imports)).not.toMatch(heavy);
  const use = "(await import('./lib/github/client.ts')).openGitHub({ token: 'x' })";
  expect(await loadedBy(`await ${use}`)).toMatch(heavy);
});
