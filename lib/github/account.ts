import type { RepositoryVisibility } from '../project.ts';
import type { GitHub } from './client.ts';
import { GitHubError, isGitHubFailure } from './errors.ts';
import { hasScopes, type TokenKind } from './token.ts';

/** Who a token belongs to, and what GitHub says of the token. */
export interface Account {
  login: string;
  id: number;
  /** Name of the plan in lower case, such as `free` or `pro`; not every token may see it. */
  plan?: string;
  tokenKind: TokenKind;
  /** Scopes of a classic token; other kinds have none. */
  scopes?: string[];
  tokenExpiresAt?: Date;
}

/** Looks up who the token belongs to. Throws a GitHubError. */
export async function lookUpAccount(github: GitHub): Promise<Account> {
  const { data, headers } = await github.call('look up whose token it is', (api) =>
    api.users.getAuthenticated(),
  );
  const scopes = headers['x-oauth-scopes'];
  const expires = expiry(String(headers['github-authentication-token-expiration'] ?? ''));
  const plan = 'plan' in data ? data.plan?.name : undefined;
  return {
    login: data.login,
    id: data.id,
    ...(plan && { plan: plan.toLowerCase() }),
    tokenKind: github.tokenKind,
    ...(scopes !== undefined &&
      hasScopes(github.tokenKind) && {
        scopes: String(scopes)
          .split(',')
          .map((scope) => scope.trim())
          .filter(Boolean),
      }),
    ...(expires && { tokenExpiresAt: expires }),
  };
}

/** GitHub writes `2026-12-20 12:00:00 UTC` or `2026-12-20 12:00:00 +0100`. */
function expiry(value: string): Date | undefined {
  const match = value.match(/^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}) (UTC|[+-]\d{4})$/);
  if (!match) return undefined;
  const zone = match[3] === 'UTC' ? 'Z' : match[3]?.replace(/(\d\d)$/, ':$1');
  const date = new Date(`${match[1]}T${match[2]}${zone}`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** The account that a repository belongs to. */
export interface Owner {
  login: string;
  kind: 'user' | 'organization';
  /** As in `Account`. */
  plan?: string;
}

/**
 * Looks up the owner of a repository that does not exist yet. Throws a GitHubError when there is no such account, or
 * when the token's account may certainly not create a repository there; what cannot be known beforehand shows when
 * it is created.
 */
export async function lookUpOwner(
  github: GitHub,
  name: string,
  account: Account,
  visibility: RepositoryVisibility,
): Promise<Owner> {
  if (name.toLowerCase() === account.login.toLowerCase()) {
    return { login: account.login, kind: 'user', ...(account.plan && { plan: account.plan }) };
  }
  const found = await github.find(`look up the account ${name}`, (api) =>
    api.users.getByUsername({ username: name }),
  );
  if (!found) {
    throw new GitHubError(`There is no account ${name} on GitHub`, {
      failure: 'not found',
      remedy: `Check the spelling of --owner, or leave it out to use your own account, ${account.login}.`,
    });
  }
  if (found.type !== 'Organization') {
    throw new GitHubError(`${found.login} is another user: the token belongs to ${account.login}`, {
      failure: 'forbidden',
      remedy: `Only ${found.login} can create repositories there. Leave --owner out, or use a token of ${found.login}.`,
    });
  }
  const { data: organization } = await github.call(`look up the organisation ${found.login}`, (api) =>
    api.orgs.get({ org: found.login }),
  );
  await refuseUnlessMember(github, organization, account, visibility);
  const plan = organization.plan?.name;
  return { login: organization.login, kind: 'organization', ...(plan && { plan: plan.toLowerCase() }) };
}

interface CreationRules {
  login: string;
  members_can_create_repositories?: boolean | null;
  members_can_create_private_repositories?: boolean;
  members_can_create_public_repositories?: boolean;
}

async function refuseUnlessMember(
  github: GitHub,
  rules: CreationRules,
  account: Account,
  visibility: RepositoryVisibility,
): Promise<void> {
  const { login } = rules;
  let membership: { state: string; role: string } | undefined;
  try {
    membership = await github.find(`look up your membership of ${login}`, (api) =>
      api.orgs.getMembershipForAuthenticatedUser({ org: login }),
    );
  } catch (error) {
    // The token may not look: what it may do shows when the repository is created.
    if (isGitHubFailure(error, 'missing permission', 'forbidden')) return;
    throw error;
  }
  if (!membership) {
    // A token that names no organisation gets the same answer as somebody who is no member.
    if (github.tokenKind === 'fine-grained') return;
    throw new GitHubError(`${account.login} is not a member of the organisation ${login}`, {
      failure: 'forbidden',
      remedy: `Ask an owner of ${login} for an invitation, or choose another --owner.`,
    });
  }
  if (membership.state !== 'active') {
    throw new GitHubError(`${account.login} has not accepted the invitation to the organisation ${login}`, {
      failure: 'forbidden',
      remedy: `Accept it on the page of ${login}, then run the same command again.`,
    });
  }
  if (membership.role === 'admin') return;
  const ofThisKind =
    visibility === 'private'
      ? rules.members_can_create_private_repositories
      : rules.members_can_create_public_repositories;
  if ((ofThisKind ?? rules.members_can_create_repositories) === false) {
    throw new GitHubError(`Members of the organisation ${login} may not create ${visibility} repositories`, {
      failure: 'forbidden',
      remedy: `Ask an owner of ${login} to create an empty one of that name, or to allow it.`,
    });
  }
}
