import { describe, expect, test } from 'vitest';
import { lookUpAccount, lookUpOwner } from '../../lib/github/account.ts';
import { pullRequestChecks } from '../../lib/github/checks.ts';
import type { GitHub } from '../../lib/github/client.ts';
import { ensureEnvironment } from '../../lib/github/environments.ts';
import type { GitHubError } from '../../lib/github/errors.ts';
import { protectDefaultBranch } from '../../lib/github/protection.ts';
import { createRepository, lookUpRepository, updateRepository } from '../../lib/github/repository.ts';
import { putSecrets } from '../../lib/github/secrets.ts';
import { tokenNeeds } from '../../lib/github/token.ts';
import { putVariables } from '../../lib/github/variables.ts';
import { useGitHub } from '../support/github/clients.ts';
import { failureOf, newName, openClient, push } from '../support/github-client.ts';
import { git, localProject } from '../support/local-project.ts';

const server = useGitHub();

/** Everything that goboot does with GitHub, in its order. */
async function everything(github: GitHub, login: string, name = newName()): Promise<string> {
  const account = await lookUpAccount(github);
  const owner = await lookUpOwner(github, login, account, 'private');
  const directory = await localProject();
  const where = { owner: owner.login, name };
  const found = await lookUpRepository(github, where, directory);
  const repository =
    found.state === 'absent'
      ? await createRepository(github, { owner, name, visibility: 'private', description: 'A shop' })
      : found.repository;
  await push(github, repository, directory);
  await updateRepository(github, repository, { topics: ['django'] });
  await protectDefaultBranch(github, repository, await pullRequestChecks(directory));
  const result = await ensureEnvironment(github, repository, 'production');
  const environment = 'unavailable' in result ? undefined : 'production';
  await putVariables(github, where, { SITE: 'shop-production' });
  await putSecrets(github, where, { VAULT_PASSWORD: 'secret' });
  if (environment) {
    await putVariables(github, { ...where, environment }, { DEPLOY_HOST: 'shop.example.com' });
    await putSecrets(github, { ...where, environment }, { DEPLOY_SSH_KEY: 'key' });
  }
  expect(server().repository(`${owner.login}/${name}`)?.commits[0]?.sha).toBe(
    git(directory, 'rev-parse', 'HEAD'),
  );
  return name;
}

const required = tokenNeeds.filter(({ optional }) => !optional);

/** The permissions that goboot asks for, and none besides. */
function grantedPermissions(except?: string): Record<string, 'read' | 'write'> {
  return Object.fromEntries(
    required
      .filter(({ permission }) => permission !== except)
      .map(({ headerNames: [name = ''], level }) => [name, level]),
  );
}

describe('What goboot says a token needs is enough', () => {
  test.each(['free-user', 'free-organization', 'team-organization'])('as scopes, for %s', async (owner) => {
    const token = server().token('classic', 'free-user', {
      scopes: [...new Set(required.map(({ scope }) => scope))],
    });
    await everything(await openClient(server(), token), owner);
  });

  test.each(['pro-user', 'team-organization', 'free-user'])('as permissions, for %s', async (owner) => {
    const user = owner === 'team-organization' ? 'free-user' : owner;
    const token = server().token('fine-grained', user, { owner, permissions: grantedPermissions() });
    await everything(await openClient(server(), token), owner);
  });
});

describe('A token that lacks something is told so by its name', () => {
  const told = (error: GitHubError) => `${error.message} ${error.remedy}`;

  test.each(['repo', 'workflow'])('the scope %s', async (scope) => {
    const scopes = ['repo', 'workflow'].filter((other) => other !== scope);
    const github = await openClient(server(), server().token('classic', 'pro-user', { scopes }));
    const error = await failureOf(() => everything(github, 'pro-user'));
    expect(told(error)).toMatch(new RegExp(`(needs|scope) ${scope}\\b`));
  });

  test.each(
    required
      .filter(({ permission }) => permission !== 'Metadata')
      .map(({ permission, level }) => [permission, level]),
  )('the permission %s: %s', async (permission, level) => {
    // Somebody else has made the repository, so that each step is reached.
    const name = newName();
    server().addRepository(`pro-user/${name}`, { private: true });
    const permissions = grantedPermissions(permission);
    const github = await openClient(server(), server().token('fine-grained', 'pro-user', { permissions }));
    const error = await failureOf(() => everything(github, 'pro-user', name));
    expect(error.failure).toBe('missing permission');
    expect(told(error)).toContain(`${permission}: `);
    expect(['read', 'write']).toContain(level);
  });
});

describe('An organisation that does not let the token in is named with the way in', () => {
  test('single sign-on', async () => {
    const github = await openClient(server(), server().token('classic'));
    const error = await failureOf(() => everything(github, 'saml-organization'));
    expect(error.failure).toBe('single sign-on');
    const token = server().token('classic', 'free-user', { authorizedFor: ['saml-organization'] });
    await everything(await openClient(server(), token), 'saml-organization');
  });

  test('classic tokens are not admitted', async () => {
    const github = await openClient(server(), server().token('classic'));
    const error = await failureOf(() => everything(github, 'fine-grained-organization'));
    expect(error.failure).toBe('token policy');
    expect(error.remedy).toMatch(/fine-grained token/);
  });

  test('the token waits for approval', async () => {
    const pending = server().token('fine-grained', 'free-user', { owner: 'approving-organization' });
    const error = await failureOf(async () =>
      everything(await openClient(server(), pending), 'approving-organization'),
    );
    expect(error.remedy).toMatch(/approve/);
    const approved = server().token('fine-grained', 'free-user', {
      owner: 'approving-organization',
      approved: true,
    });
    await everything(await openClient(server(), approved), 'approving-organization');
  });
});
