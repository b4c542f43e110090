import { join } from 'node:path';
import sodium from 'libsodium-wrappers';
import type { Account, Organization, Token } from './accounts.ts';
import { newNodeId } from './accounts.ts';
import { BareRepository } from './bare-repository.ts';

/** A moment as GitHub writes it. */
export const timestamp = (date = new Date()) => date.toISOString().replace(/\.\d+Z$/, 'Z');

let lastId = 1000;
/** Ids are unique over all kinds of things and all servers of this process. */
export const newId = () => ++lastId;

export interface Dated {
  createdAt: string;
  updatedAt: string;
}

/** The secrets and variables of a repository or of an environment, with a key pair of their own. */
export class ActionsStore {
  readonly keyId = String(newId());
  readonly #pair = sodium.crypto_box_keypair();
  readonly secrets = new Map<string, Dated & { value: string }>();
  readonly variables = new Map<string, Dated & { value: string }>();

  get publicKey(): string {
    return Buffer.from(this.#pair.publicKey).toString('base64');
  }

  /** What was sealed for this store's key, or undefined when it was not. */
  open(sealed: string): Buffer | undefined {
    try {
      const { publicKey, privateKey } = this.#pair;
      return Buffer.from(sodium.crypto_box_seal_open(Buffer.from(sealed, 'base64'), publicKey, privateKey));
    } catch {
      return undefined;
    }
  }
}

export interface BranchPolicy {
  id: number;
  name: string;
  type: 'branch' | 'tag';
}

export class Environment extends ActionsStore {
  readonly id = newId();
  readonly nodeId = newNodeId();
  readonly name: string;
  readonly createdAt = timestamp();
  updatedAt = this.createdAt;
  waitTimer: number | undefined;
  preventSelfReview = false;
  reviewers: { type: 'User' | 'Team'; id: number }[] = [];
  deploymentBranchPolicy: { protected_branches: boolean; custom_branch_policies: boolean } | null = null;
  branchPolicies: BranchPolicy[] = [];

  constructor(name: string) {
    super();
    this.name = name;
  }
}

export interface Ruleset extends Dated {
  id: number;
  name: string;
  target: string;
  enforcement: 'disabled' | 'active' | 'evaluate';
  bypass_actors: { actor_id?: number | null; actor_type: string; bypass_mode?: string }[];
  conditions: { ref_name?: { include?: string[]; exclude?: string[] } };
  rules: { type: string; parameters?: Record<string, unknown> }[];
}

/** What `PUT …/protection` takes. */
export interface BranchProtection {
  required_status_checks: {
    strict: boolean;
    contexts?: string[];
    checks?: { context: string; app_id?: number }[];
  } | null;
  enforce_admins: boolean | null;
  required_pull_request_reviews: Record<string, unknown> | null;
  restrictions: Record<string, unknown> | null;
  required_linear_history?: boolean;
  allow_force_pushes?: boolean | null;
  allow_deletions?: boolean;
  block_creations?: boolean;
  required_conversation_resolution?: boolean;
  lock_branch?: boolean;
  allow_fork_syncing?: boolean;
}

export interface DeployKey {
  id: number;
  key: string;
  title: string;
  read_only: boolean;
  created_at: string;
  added_by: string;
}

export interface Release extends Dated {
  id: number;
  tag: string;
  target: string;
  name: string | null;
  body: string | null;
  draft: boolean;
  prerelease: boolean;
  author: string;
}

export interface WorkflowRun extends Dated {
  id: number;
  path: string;
  event: string;
  branch: string;
  sha: string;
  actor: string;
  status: 'queued' | 'in_progress' | 'completed';
  conclusion: 'success' | 'failure' | 'cancelled' | 'skipped' | null;
}

export interface Issue extends Dated {
  id: number;
  number: number;
  title: string;
  body: string | null;
  state: 'open' | 'closed';
  labels: string[];
  user: string;
  comments: IssueComment[];
}

export interface IssueComment extends Dated {
  id: number;
  body: string;
  user: string;
}

export class Repository extends ActionsStore {
  readonly id = newId();
  readonly nodeId = newNodeId();
  readonly createdAt = timestamp();
  updatedAt = this.createdAt;
  pushedAt = this.createdAt;
  owner: string;
  name: string;
  creator: string;
  private: boolean;
  description: string | null = null;
  homepage: string | null = null;
  topics: string[] = [];
  archived = false;
  defaultBranch = 'main';
  /** Settings of the repository that nothing here depends on, by their names in the API. */
  settings: Record<string, unknown> = {};
  readonly bare: BareRepository;
  /** By the lower case of their names. */
  readonly environments = new Map<string, Environment>();
  rulesets: Ruleset[] = [];
  readonly protection = new Map<string, BranchProtection>();
  deployKeys: DeployKey[] = [];
  releases: Release[] = [];
  runs: WorkflowRun[] = [];
  issues: Issue[] = [];
  actionsPermissions: Record<string, unknown> = { enabled: true, allowed_actions: 'all' };
  workflowPermissions: Record<string, unknown> = {
    default_workflow_permissions: 'read',
    can_approve_pull_request_reviews: false,
  };
  vulnerabilityAlerts = false;
  automatedSecurityFixes = false;
  immutableReleases = false;

  constructor(options: {
    owner: string;
    name: string;
    creator: string;
    private: boolean;
    gitRoot: string;
  }) {
    super();
    this.owner = options.owner;
    this.name = options.name;
    this.creator = options.creator;
    this.private = options.private;
    this.bare = new BareRepository(join(options.gitRoot, `${this.id}.git`), this.defaultBranch);
  }

  get fullName(): string {
    return `${this.owner}/${this.name}`;
  }
}

/** Everything that a server knows. */
export class World {
  readonly accounts: ReadonlyMap<string, Account & { login: string; id: number; nodeId: string }>;
  readonly tokens = new Map<string, Token>();
  readonly repositories = new Map<string, Repository>();
  /** Where repositories of git are kept. */
  readonly gitRoot: string;
  /** Like `http://127.0.0.1:1234`. */
  origin = '';

  constructor(accounts: Readonly<Record<string, Account>>, gitRoot: string) {
    this.accounts = new Map(
      Object.entries(accounts).map(([login, account]) => [
        login.toLowerCase(),
        { ...account, login, id: newId(), nodeId: newNodeId() },
      ]),
    );
    this.gitRoot = gitRoot;
  }

  /** The base address of the API. */
  get api(): string {
    return `${this.origin}/api/v3`;
  }

  account(login: string) {
    return this.accounts.get(login.toLowerCase());
  }

  organization(login: string): (Organization & { login: string }) | undefined {
    const account = this.account(login);
    return account?.kind === 'organization' ? account : undefined;
  }

  repository(owner: string, name: string): Repository | undefined {
    return this.repositories.get(`${owner}/${name}`.toLowerCase());
  }

  addRepository(options: { owner: string; name: string; creator: string; private: boolean }): Repository {
    const repository = new Repository({ ...options, gitRoot: this.gitRoot });
    this.repositories.set(repository.fullName.toLowerCase(), repository);
    return repository;
  }

  removeRepository(repository: Repository): void {
    this.repositories.delete(repository.fullName.toLowerCase());
    repository.bare.remove();
  }

  /** What a user may do in a repository, or undefined when not even reading a public one follows from it. */
  role(login: string | undefined, repository: Repository): 'read' | 'write' | 'admin' | undefined {
    if (login !== undefined) {
      if (login === repository.owner || login === repository.creator) return 'admin';
      const membership = this.organization(repository.owner)?.members[login];
      if (membership === 'admin') return 'admin';
      if (membership === 'member') return 'read';
    }
    return repository.private ? undefined : 'read';
  }

  /**
   * Whether an account's plan has a feature for a repository: environments, rulesets and branch protection for private
   * ones come with Pro and Team. Reviewers and wait timers are for public repositories with all of these plans.
   */
  allows(feature: 'environments' | 'protection' | 'reviewers', repository: Repository): boolean {
    if (!repository.private) return true;
    return feature !== 'reviewers' && this.account(repository.owner)?.plan !== 'free';
  }
}
