// Programs that know GitHub and do not know goboot: what they do with the server is what they do with GitHub.
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { useGitHub } from '../support/github/clients.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const github = useGitHub();

/** GitHub's own client. It takes `github.localhost` for a host of plain HTTP, and our server for its proxy. */
async function gh(token: string, args: string[], input?: string): Promise<string> {
  const { stdout } = await execa('gh', args, {
    extendEnv: false,
    env: {
      PATH: process.env.PATH,
      HOME: temporaryDirectory(),
      HTTP_PROXY: github().origin,
      GH_HOST: 'github.localhost',
      GH_TOKEN: token,
      GH_ENTERPRISE_TOKEN: token,
      GH_NO_UPDATE_NOTIFIER: '1',
      NO_COLOR: '1',
    },
    ...(input === undefined ? { stdin: 'ignore' as const } : { input }),
  });
  return stdout;
}

const inRepository = (...args: string[]) => [...args, '--repo', 'github.localhost/pro-user/by-gh'];

test('gh creates a repository, and sets and lists secrets that the server can open', async () => {
  const token = github().token('classic', 'pro-user');
  expect(await gh(token, ['api', 'user', '--jq', '.login'])).toBe('pro-user');
  await gh(token, ['api', 'user/repos', '-f', 'name=by-gh', '-F', 'private=true']);
  expect(github().repository('pro-user/by-gh')).toMatchObject({ private: true, commits: [] });

  await gh(token, inRepository('secret', 'set', 'SSH_PRIVATE_KEY'), 'first line\nsecond line');
  await gh(token, inRepository('secret', 'set', 'VAULT_PASSWORD', '--body', 'öpen sesame'));
  expect(github().repository('pro-user/by-gh')?.secrets).toEqual({
    SSH_PRIVATE_KEY: 'first line\nsecond line',
    VAULT_PASSWORD: 'öpen sesame',
  });
  const listed = await gh(token, inRepository('secret', 'list'));
  expect(listed.split('\n').map((line) => line.split('\t')[0])).toEqual([
    'SSH_PRIVATE_KEY',
    'VAULT_PASSWORD',
  ]);
  await gh(token, inRepository('secret', 'delete', 'VAULT_PASSWORD'));
  expect(Object.keys(github().repository('pro-user/by-gh')?.secrets ?? {})).toEqual(['SSH_PRIVATE_KEY']);
});

test('gh sets secrets and variables of an environment, and finds the release', async () => {
  github().addRepository('pro-user/by-gh', { files: { 'README.md': 'hello' } });
  const token = github().token('classic', 'pro-user');
  const path = 'repos/pro-user/by-gh';
  await gh(token, ['api', '--method', 'PUT', `${path}/environments/production`]);
  await gh(token, inRepository('secret', 'set', 'DEPLOY_HOST', '--env', 'production', '--body', 'a.example'));
  expect(await gh(token, inRepository('secret', 'list', '--env', 'production'))).toMatch(/^DEPLOY_HOST\t/);
  for (const variables of ['actions/variables', 'environments/production/variables']) {
    await gh(token, ['api', `${path}/${variables}`, '-f', 'name=port', '-f', 'value=22']);
  }
  expect(github().repository('pro-user/by-gh')).toMatchObject({
    secrets: {},
    variables: { PORT: '22' },
    environments: { production: { secrets: { DEPLOY_HOST: 'a.example' }, variables: { PORT: '22' } } },
  });

  await gh(token, ['api', `${path}/releases`, '-f', 'tag_name=v1', '-f', 'name=First']);
  expect(await gh(token, ['api', `${path}/releases/latest`, '--jq', '.name'])).toBe('First');
  expect(await gh(token, ['api', `${path}/git/ref/tags/v1`, '--jq', '.ref'])).toBe('refs/tags/v1');
});

test('gh names the scope that is missing', async () => {
  github().addRepository('pro-user/kept');
  const token = github().token('classic', 'pro-user', { scopes: ['repo'] });
  const deletion = gh(token, ['api', '--method', 'DELETE', 'repos/pro-user/kept']);
  await expect(deletion).rejects.toThrow(/Must have admin rights.*\(HTTP 403\)/s);
  await expect(deletion).rejects.toThrow('needs the "delete_repo" scope');
});

test('git clones by the address that gh is told', async () => {
  github().addRepository('pro-user/cloned', { private: false, files: { 'README.md': 'hello' } });
  const directory = temporaryDirectory();
  const token = github().token('classic', 'pro-user');
  const url = await gh(token, ['api', 'repos/pro-user/cloned', '--jq', '.clone_url']);
  await execa('git', ['clone', '--quiet', url, 'copy'], { cwd: directory });
  const { stdout } = await execa('git', ['log', '--format=%s'], { cwd: `${directory}/copy` });
  expect(stdout).toBe('Initial commit');
});
