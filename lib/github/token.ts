/** The kinds of token that GitHub gives out, by prefix. */
export type TokenKind = 'classic' | 'fine-grained' | 'oauth' | 'app user' | 'app installation' | 'unknown';

const prefixes: readonly (readonly [string, TokenKind])[] = [
  ['ghp_', 'classic'],
  ['github_pat_', 'fine-grained'],
  ['gho_', 'oauth'],
  ['ghu_', 'app user'],
  ['ghs_', 'app installation'],
];

/** Where a token may be given: the first of these that is set. They are gh's, too. */
const tokenVariables = ['GH_TOKEN', 'GITHUB_TOKEN'] as const;

/** The token that the environment holds. */
export function tokenFromEnvironment(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  return tokenVariables.map((name) => environment[name]?.trim()).find(Boolean);
}

/** The kind of a token. Tokens from before 2021 and those of other servers have no prefix. */
export function tokenKind(token: string): TokenKind {
  return prefixes.find(([prefix]) => token.startsWith(prefix))?.[1] ?? 'unknown';
}

/** What people call a token of this kind. */
export function describeTokenKind(kind: TokenKind): string {
  return {
    classic: 'personal access token (classic)',
    'fine-grained': 'fine-grained personal access token',
    oauth: 'OAuth token, such as the one of gh',
    'app user': 'user token of a GitHub App',
    'app installation': 'installation token of a GitHub App',
    unknown: 'token',
  }[kind];
}

/** Whether GitHub says in a header which scopes tokens of this kind have. */
export function hasScopes(kind: TokenKind): boolean {
  return kind === 'classic' || kind === 'oauth' || kind === 'unknown';
}

export type AccessLevel = 'read' | 'write';

/** One thing that goboot needs to be allowed, in the words of both kinds of token. */
export interface TokenNeed {
  /** Permission of a fine-grained token, as GitHub's pages call it. */
  permission: string;
  level: AccessLevel;
  /** Its names in the header X-Accepted-GitHub-Permissions. */
  headerNames: readonly string[];
  /** Scope of a classic token that includes it. */
  scope: 'repo' | 'workflow' | 'delete_repo' | 'read:org';
  /** Completes "goboot needs it to …". */
  purpose: string;
  /** Needed by some runs only: said in documentation, not asked for at the start. */
  optional?: true;
}

/** Everything that goboot needs of a token: error messages, documentation and checks derive from it. */
export const tokenNeeds: readonly TokenNeed[] = [
  {
    permission: 'Administration',
    level: 'write',
    headerNames: ['administration'],
    scope: 'repo',
    purpose: 'create the repository, its environments and the rules for main',
  },
  {
    permission: 'Contents',
    level: 'write',
    headerNames: ['contents'],
    scope: 'repo',
    purpose: 'push main',
  },
  {
    permission: 'Workflows',
    level: 'write',
    headerNames: ['workflows'],
    scope: 'workflow',
    purpose: 'push the files in .github/workflows',
  },
  {
    permission: 'Secrets',
    level: 'write',
    headerNames: ['secrets'],
    scope: 'repo',
    purpose: 'set secrets of the repository',
  },
  {
    permission: 'Variables',
    level: 'write',
    headerNames: ['actions_variables', 'variables'],
    scope: 'repo',
    purpose: 'set variables of the repository',
  },
  {
    permission: 'Environments',
    level: 'write',
    headerNames: ['environments'],
    scope: 'repo',
    purpose: 'set secrets and variables of an environment',
  },
  {
    permission: 'Actions',
    level: 'read',
    headerNames: ['actions'],
    scope: 'repo',
    purpose: 'see which environments exist',
  },
  {
    permission: 'Metadata',
    level: 'read',
    headerNames: ['metadata'],
    scope: 'repo',
    purpose: 'see the repository',
  },
  {
    permission: 'Issues',
    level: 'read',
    headerNames: ['issues'],
    scope: 'repo',
    purpose: 'see before an undo that nobody has written anything in the repository',
    optional: true,
  },
  {
    permission: 'Administration',
    level: 'write',
    headerNames: [],
    scope: 'delete_repo',
    purpose: 'remove a repository again that the same run created',
    optional: true,
  },
  {
    permission: 'Members',
    level: 'read',
    headerNames: ['members'],
    scope: 'read:org',
    purpose: 'see beforehand whether you may create repositories in an organisation',
    optional: true,
  },
];

/** The table as Markdown, for the documents. */
export function tokenNeedsTable(): string {
  const rows = tokenNeeds.map(
    ({ permission, level, scope, purpose, optional }) =>
      `| \`${scope}\` | ${permission}: ${level} | ${purpose}${optional ? ' (only then)' : ''} |`,
  );
  return [
    '| scope of a classic token | permission of a fine-grained token | to |',
    '|---|---|---|',
    ...rows,
  ].join('\n');
}

/** The scopes that a classic token must have. */
export const requiredScopes: readonly string[] = [
  ...new Set(tokenNeeds.filter(({ optional }) => !optional).map(({ scope }) => scope)),
];

// A scope includes others: https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps
const included: Record<string, readonly string[]> = {
  repo: ['public_repo', 'repo:status', 'repo_deployment', 'repo:invite', 'security_events'],
  'admin:org': ['write:org', 'read:org'],
  'write:org': ['read:org'],
  user: ['read:user', 'user:email', 'user:follow'],
};

/** Whether a token with these scopes has the given one, directly or within another. */
export function scopesInclude(scopes: readonly string[], wanted: string): boolean {
  return scopes.some((scope) => scope === wanted || included[scope]?.includes(wanted));
}

/** What goboot must be allowed but a token with these scopes is not. */
export function missingScopes(scopes: readonly string[]): string[] {
  return requiredScopes.filter((scope) => !scopesInclude(scopes, scope));
}

/** `secrets=write` of GitHub's header → `Secrets: write`. */
export function describePermission(headerName: string, level: string): string {
  const known = tokenNeeds.find(({ headerNames }) => headerNames.includes(headerName));
  const words = headerName.replaceAll('_', ' ');
  return `${known?.permission ?? words.charAt(0).toUpperCase() + words.slice(1)}: ${level}`;
}

/** The permissions that a fine-grained token must have, as its page asks for them. */
export function requiredPermissions(): string[] {
  return tokenNeeds
    .filter(({ optional }) => !optional)
    .map(({ permission, level }) => `${permission}: ${level}`);
}

const githubPages = 'https://github.com';

/** The page on which a user makes a classic token with all scopes chosen already. */
export function classicTokenPage(webUrl: string = githubPages): string {
  return `${webUrl}/settings/tokens/new?scopes=${requiredScopes.join(',')}&description=goboot`;
}

/**
 * The page on which a user makes a fine-grained token. GitHub has taken the parameters that would choose the
 * permissions out of its documentation, because they do not work reliably, so none is used.
 */
export function fineGrainedTokenPage(webUrl: string = githubPages): string {
  return `${webUrl}/settings/personal-access-tokens/new`;
}
