import { randomBytes, randomInt } from 'node:crypto';

export interface User {
  kind: 'user';
  plan: 'free' | 'pro';
}

export interface Organization {
  kind: 'organization';
  plan: 'free' | 'team';
  members: Readonly<Record<string, 'admin' | 'member'>>;
  /** Whether those who are not its administrators may create repositories; true unless given. */
  membersMayCreateRepositories?: boolean;
  /** Classic tokens must have been authorised for the organisation's single sign-on. */
  requiresSaml?: boolean;
  /** Fine-grained tokens reach only public things until an owner has approved them. */
  requiresApproval?: boolean;
  blocksClassicTokens?: boolean;
}

export type Account = User | Organization;

/** The accounts that a server has unless it is given others: one of each kind that matters. */
export const defaultAccounts: Readonly<Record<string, Account>> = {
  'free-user': { kind: 'user', plan: 'free' },
  'pro-user': { kind: 'user', plan: 'pro' },
  'free-organization': {
    kind: 'organization',
    plan: 'free',
    members: { 'free-user': 'admin', 'pro-user': 'member' },
  },
  'team-organization': {
    kind: 'organization',
    plan: 'team',
    members: { 'free-user': 'admin', 'pro-user': 'member' },
  },
  'closed-organization': {
    kind: 'organization',
    plan: 'team',
    members: { 'free-user': 'member', 'pro-user': 'admin' },
    membersMayCreateRepositories: false,
  },
  'saml-organization': {
    kind: 'organization',
    plan: 'team',
    members: { 'free-user': 'admin' },
    requiresSaml: true,
  },
  'approving-organization': {
    kind: 'organization',
    plan: 'team',
    members: { 'free-user': 'admin' },
    requiresApproval: true,
  },
  'fine-grained-organization': {
    kind: 'organization',
    plan: 'team',
    members: { 'free-user': 'admin' },
    blocksClassicTokens: true,
  },
};

export interface ClassicToken {
  kind: 'classic';
  user: string;
  scopes: readonly string[];
  /** A moment in the past makes a token that GitHub does not know any more. */
  expires?: Date;
  /** Organisations whose single sign-on the token is authorised for. */
  authorizedFor?: readonly string[];
}

export interface FineGrainedToken {
  kind: 'fine-grained';
  user: string;
  /** Whose resources it is for; the user's own unless given. */
  owner?: string;
  /** By the names of the header `X-Accepted-GitHub-Permissions`. Reading metadata is always among them. */
  permissions: Readonly<Record<string, 'read' | 'write'>>;
  /** Full names of the repositories that it is for; all of the owner's unless given. */
  repositories?: readonly string[];
  /** Whether the organisation approved it, where it wants that; false unless given. */
  approved?: boolean;
  expires?: Date;
}

export type Token = ClassicToken | FineGrainedToken;

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const random = (length: number) => Array.from({ length }, () => letters[randomInt(letters.length)]).join('');

/** A new token in the form of its kind. */
export function newToken(kind: Token['kind']): string {
  return kind === 'classic' ? `ghp_${random(36)}` : `github_pat_${random(22)}_${random(59)}`;
}

/** The scopes that GitHub's pages recommend for what goboot does. */
export const allScopes = ['repo', 'workflow', 'read:org', 'delete_repo'] as const;

/** Every permission that one of the server's operations needs. */
export const allPermissions: Readonly<Record<string, 'read' | 'write'>> = {
  administration: 'write',
  contents: 'write',
  workflows: 'write',
  actions: 'write',
  secrets: 'write',
  actions_variables: 'write',
  environments: 'write',
  issues: 'write',
};

export const newNodeId = () => randomBytes(12).toString('base64url');
