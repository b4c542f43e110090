import { describe, expect, test } from 'vitest';
import { type Account, lookUpAccount, lookUpOwner } from '../../lib/github/account.ts';
import { useGitHub } from '../support/github/clients.ts';
import { failureOf, openClient } from '../support/github-client.ts';

const server = useGitHub();

async function accountOf(token: string): Promise<Account> {
  return lookUpAccount(await openClient(server(), token));
}

describe('The account of a token', () => {
  test('of the classic kind comes with plan, scopes and expiry', async () => {
    const expires = new Date(Math.floor(Date.now() / 1000) * 1000 + 86_400_000);
    const account = await accountOf(
      server().token('classic', 'pro-user', { scopes: ['repo', 'gist'], expires }),
    );
    expect(account).toMatchObject({ login: 'pro-user', tokenKind: 'classic', scopes: ['repo', 'gist'] });
    expect(account.tokenExpiresAt).toEqual(expires);
    expect(account.id).toBeGreaterThan(0);
  });

  test('of the fine-grained kind comes without scopes', async () => {
    const account = await accountOf(server().token('fine-grained'));
    expect(account).toMatchObject({ login: 'free-user', tokenKind: 'fine-grained' });
    expect(account).not.toHaveProperty('scopes');
  });

  test('that has expired cannot be looked up', async () => {
    const token = server().token('classic', 'free-user', { expires: new Date(Date.now() - 1000) });
    const error = await failureOf(() => accountOf(token));
    expect(error).toMatchObject({ failure: 'unauthorized', status: 401 });
  });
});

describe('The owner of a new repository', () => {
  const ownerFor = async (name: string, user = 'free-user', visibility: 'private' | 'public' = 'private') => {
    const github = await openClient(server(), server().token('classic', user));
    return lookUpOwner(github, name, await lookUpAccount(github), visibility);
  };

  test('is oneself, however the name is written', async () => {
    expect(await ownerFor('Free-User')).toMatchObject({ login: 'free-user', kind: 'user' });
  });

  test('is an organisation that one administers, or whose members may create repositories', async () => {
    expect(await ownerFor('team-organization')).toMatchObject({
      login: 'team-organization',
      kind: 'organization',
    });
    expect(await ownerFor('team-organization', 'pro-user')).toMatchObject({ kind: 'organization' });
    expect(await ownerFor('closed-organization', 'pro-user')).toMatchObject({ kind: 'organization' });
  });

  test.each([
    ['nobody-at-all', /There is no account nobody-at-all on GitHub/],
    ['pro-user', /pro-user is another user: the token belongs to free-user/],
    [
      'closed-organization',
      /Members of the organisation closed-organization may not create private repositories/,
    ],
  ])('is refused where it cannot work: %s', async (name, message) => {
    await expect(ownerFor(name)).rejects.toThrow(message);
  });

  test('is refused where one is no member', async () => {
    await expect(ownerFor('approving-organization', 'pro-user')).rejects.toThrow(/pro-user is not a member/);
  });

  test('may be an organisation whose members the token cannot see', async () => {
    const token = server().token('classic', 'free-user', { scopes: ['repo', 'workflow'] });
    const github = await openClient(server(), token);
    const owner = await lookUpOwner(github, 'team-organization', await lookUpAccount(github), 'private');
    expect(owner.kind).toBe('organization');
  });

  test('is refused by an organisation with single sign-on, or one that admits no classic tokens', async () => {
    expect((await failureOf(() => ownerFor('saml-organization'))).failure).toBe('single sign-on');
    expect((await failureOf(() => ownerFor('fine-grained-organization'))).failure).toBe('token policy');
  });
});
