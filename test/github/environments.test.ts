import { describe, expect, test } from 'vitest';
import { deleteEnvironment, ensureEnvironment } from '../../lib/github/environments.ts';
import { useGitHub } from '../support/github/clients.ts';
import { failureOf, newRepository, openClient } from '../support/github-client.ts';

const server = useGitHub();

async function prepared(user = 'pro-user', options: Parameters<typeof newRepository>[1] = {}) {
  const github = await openClient(server(), server().token('classic', user));
  return { github, repository: await newRepository(github, options) };
}

const refs = { branches: ['main'], tags: ['*'] };

describe('An environment', () => {
  test.each([
    ['a private repository with Pro', 'pro-user', {}],
    ['a public repository without a plan', 'free-user', { visibility: 'public' }],
    ['a private repository of an organisation with Team', 'free-user', { owner: 'team-organization' }],
  ] as const)('is made in %s, once', async (_, user, options) => {
    const { github, repository } = await prepared(user, options);
    expect(await ensureEnvironment(github, repository, 'production')).toEqual({
      name: 'production',
      result: 'created',
    });
    expect(await ensureEnvironment(github, repository, 'production')).toEqual({
      name: 'production',
      result: 'existing',
    });
    const state = server().repository(`${repository.owner}/${repository.name}`);
    expect(Object.keys(state?.environments ?? {})).toEqual(['production']);
  });

  test('can be kept for main and tags, and a second time nothing changes', async () => {
    const { github, repository } = await prepared();
    await ensureEnvironment(github, repository, 'production', refs);
    server().requests.length = 0;
    await ensureEnvironment(github, repository, 'production', refs);
    expect(server().requests.every(({ method }) => method === 'GET')).toBe(true);
    expect(server().repository(`pro-user/${repository.name}`)?.environments.production).toMatchObject({
      deploymentBranchPolicy: { protected_branches: false, custom_branch_policies: true },
      branchPolicies: [
        { name: 'main', type: 'branch' },
        { name: '*', type: 'tag' },
      ],
    });
  });

  test('keeps the settings that somebody gave it', async () => {
    const { github, repository } = await prepared();
    await ensureEnvironment(github, repository, 'production');
    await ensureEnvironment(github, repository, 'production', refs);
    expect(
      server().repository(`pro-user/${repository.name}`)?.environments.production?.branchPolicies,
    ).toEqual([]);
  });

  test.each([[undefined], ['free-organization']])(
    'cannot be had by a private repository without a plan, and the reason is told (%s)',
    async (owner) => {
      const { github, repository } = await prepared('free-user', { ...(owner && { owner }) });
      const result = await ensureEnvironment(github, repository, 'production', refs);
      expect(result).toEqual({
        name: 'production',
        unavailable: `The plan of ${repository.owner} has no environments for private repositories`,
      });
    },
  );

  test('that cannot be had for another reason is an error', async () => {
    const { github } = await prepared();
    const error = await failureOf(() =>
      ensureEnvironment(github, { owner: 'pro-user', name: 'none' }, 'production'),
    );
    expect(error.failure).toBe('not found');
  });

  test('is made once when the answer is lost', async () => {
    const { github, repository } = await prepared();
    server().fail({ method: 'PUT', path: /\/environments\//, with: 'reset', afterEffect: true });
    server().fail({ method: 'POST', path: /branch-policies$/, with: 'reset', afterEffect: true });
    await ensureEnvironment(github, repository, 'production', refs);
    const state = server().repository(`pro-user/${repository.name}`);
    expect(state?.environments.production?.branchPolicies).toHaveLength(2);
  });

  test('is removed, once', async () => {
    const { github, repository } = await prepared();
    await ensureEnvironment(github, repository, 'production');
    expect(await deleteEnvironment(github, repository, 'production')).toBe(true);
    expect(await deleteEnvironment(github, repository, 'production')).toBe(false);
  });
});
