import type { Token } from './accounts.ts';
import { operations, type Requirement } from './operations.ts';
import { notFound, refusal } from './reply.ts';
import { type Repository, timestamp, type World } from './world.ts';

/** Who asks, and by what right. */
export interface Viewer {
  login: string;
  token: Token;
}

/** The token of an Authorization header, in any of the forms that GitHub takes. */
export function tokenIn(header: string | undefined): {
  token?: string;
  form: 'none' | 'bearer' | 'token' | 'basic';
} {
  const [scheme = '', value = ''] = (header ?? '').split(/ +(.*)/s);
  switch (scheme.toLowerCase()) {
    case 'bearer':
      return { form: 'bearer', token: value };
    case 'token':
      return { form: 'token', token: value };
    case 'basic': {
      const [user = '', password = ''] = Buffer.from(value, 'base64').toString().split(/:(.*)/s);
      return { form: 'basic', token: password || user };
    }
    default:
      return { form: 'none' };
  }
}

/** The owner of a token, or undefined without one. Throws GitHub's 401 for a token that it does not know. */
export function authenticate(world: World, token: string | undefined): Viewer | undefined {
  if (token === undefined) return undefined;
  const known = world.tokens.get(token);
  if (!known || (known.expires && known.expires <= new Date())) throw refusal(401, 'Bad credentials');
  return { login: known.user, token: known };
}

/** Like `authenticate`, for those to whom it is all the same why a token is none. */
export function viewerOf(world: World, token: string | undefined): Viewer | undefined {
  const known = token === undefined ? undefined : world.tokens.get(token);
  return known && { login: known.user, token: known };
}

/** The headers that tell a caller what its token is and may. */
export function tokenHeaders(viewer: Viewer | undefined, operation: string): Record<string, string> {
  if (!viewer) return {};
  const { token } = viewer;
  const requirement = operations[operation] ?? {};
  return {
    ...(token.kind === 'classic' && {
      'x-oauth-scopes': token.scopes.join(', '),
      'x-accepted-oauth-scopes': acceptedScopes(requirement),
    }),
    ...(requirement.permission && { 'x-accepted-github-permissions': requirement.permission }),
    ...(token.expires && {
      'github-authentication-token-expiration': `${timestamp(token.expires).replace('T', ' ').replace('Z', ' UTC')}`,
    }),
  };
}

function acceptedScopes({ scope, permission }: Requirement): string {
  if (scope === 'read:org') return 'admin:org, read:org, repo, user, write:org';
  return scope ?? (permission ? 'repo' : '');
}

const implied: Readonly<Record<string, readonly string[]>> = {
  repo: ['public_repo'],
  'admin:org': ['write:org', 'read:org'],
  'write:org': ['read:org'],
  user: ['read:user'],
};

export function hasScope(token: Token, scope: string): boolean {
  if (token.kind !== 'classic') return false;
  return token.scopes.some((granted) => granted === scope || implied[granted]?.includes(scope));
}

/** Whether a fine-grained token has a permission like `contents=write`, or one of several with semicolons between. */
export function hasPermission(token: Token, permission: string): boolean {
  if (token.kind !== 'fine-grained') return false;
  return permission.split('; ').some((one) => {
    const [name = '', level] = one.split('=');
    if (one === 'metadata=read') return true;
    const granted = token.permissions[name];
    return granted === 'write' || (granted === 'read' && level === 'read');
  });
}

/** Whether a token reaches into an account at all, beyond what is public there. */
function reaches(world: World, token: Token, owner: string): boolean {
  if (token.kind === 'classic') return true;
  if ((token.owner ?? token.user).toLowerCase() !== owner.toLowerCase()) return false;
  return !world.organization(owner)?.requiresApproval || token.approved === true;
}

/** Whether a token is for a repository at all, whatever it may do there. */
export function isFor(world: World, token: Token, repository: Repository): boolean {
  if (token.kind === 'classic') return true;
  const isListed = token.repositories?.includes(repository.fullName) ?? true;
  return isListed && reaches(world, token, repository.owner);
}

/** Refuses tokens that an organisation does not want. */
export function checkOrganizationPolicy(world: World, viewer: Viewer | undefined, owner: string): void {
  const organization = world.organization(owner);
  if (!organization || viewer?.token.kind !== 'classic') return;
  if (organization.blocksClassicTokens) {
    throw refusal(
      403,
      `\`${organization.login}\` forbids access via a personal access token (classic). Please use a GitHub App, OAuth App, or a personal access token with fine-grained permissions.`,
    );
  }
  if (organization.requiresSaml && !viewer.token.authorizedFor?.includes(organization.login)) {
    throw samlRefusal(organization.login);
  }
}

export function samlRefusal(organization: string) {
  return refusal(
    403,
    'Resource protected by organization SAML enforcement. You must grant your Personal Access token access to this organization.',
    {},
    {
      'x-github-sso': `required; url=https://github.com/orgs/${organization}/sso?authorization_request=AFNI7Q`,
    },
  );
}

function mayRead(world: World, viewer: Viewer | undefined, repository: Repository): boolean {
  if (!repository.private) return true;
  if (!viewer || world.role(viewer.login, repository) === undefined) return false;
  const { token } = viewer;
  return token.kind === 'classic' ? hasScope(token, 'repo') : isFor(world, token, repository);
}

const lacksPermission = (permission: string | undefined) =>
  refusal(
    403,
    'Resource not accessible by personal access token',
    {},
    permission ? { 'x-accepted-github-permissions': permission } : {},
  );

const ranks = ['read', 'write', 'admin'];

/** Throws GitHub's refusal unless the viewer may do the operation in the repository. */
export function authorizeInRepository(
  world: World,
  viewer: Viewer | undefined,
  operation: string,
  repository: Repository,
): void {
  checkOrganizationPolicy(world, viewer, repository.owner);
  // Whoever may not see a repository must not learn that there is one.
  if (!mayRead(world, viewer, repository)) throw notFound();
  const { permission = 'metadata=read', scope, role = 'admin' } = operations[operation] ?? {};
  const isPublicRead = !repository.private && role === 'read' && permission.endsWith('=read');
  if (isPublicRead) return;
  if (!viewer) throw refusal(401, 'Requires authentication');

  const { token } = viewer;
  if (token.kind === 'fine-grained') {
    if (!isFor(world, token, repository) || !hasPermission(token, permission)) {
      throw lacksPermission(permission);
    }
  } else if (scope) {
    if (!hasScope(token, scope)) throw refusal(403, 'Must have admin rights to Repository.');
  } else if (!hasScope(token, repository.private ? 'repo' : 'public_repo')) {
    throw notFound();
  }
  if (ranks.indexOf(world.role(viewer.login, repository) ?? '') < ranks.indexOf(role)) {
    throw refusal(403, 'Must have admin rights to Repository.');
  }
}

/** Throws GitHub's refusal unless the viewer may create a repository for the owner. */
export function authorizeCreation(world: World, viewer: Viewer, owner: string, isPrivate: boolean): void {
  checkOrganizationPolicy(world, viewer, owner);
  const { token } = viewer;
  if (token.kind === 'fine-grained') {
    if (!reaches(world, token, owner) || !hasPermission(token, 'administration=write')) {
      throw lacksPermission('administration=write');
    }
  } else if (!hasScope(token, isPrivate ? 'repo' : 'public_repo')) {
    throw notFound();
  }
  const organization = world.organization(owner);
  if (!organization) return;
  const membership = organization.members[viewer.login];
  const mayCreate = membership === 'admin' || organization.membersMayCreateRepositories !== false;
  if (!membership || !mayCreate) {
    throw refusal(403, 'You need admin access to the organization before adding a repository to it.');
  }
}
