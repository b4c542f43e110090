import { type Context, list, parameter, type RepositoryContext, type RepositoryHandler } from '../context.ts';
import { created, invalid, noContent, notFound, ok, refusal } from '../reply.ts';
import { type BranchProtection, newId, type Ruleset, timestamp } from '../world.ts';

function checkPlan({ world, repository }: RepositoryContext): void {
  if (world.allows('protection', repository)) return;
  throw refusal(
    403,
    world.organization(repository.owner)
      ? 'Upgrade to GitHub Team or make this repository public to enable this feature.'
      : 'Upgrade to GitHub Pro or make this repository public to enable this feature.',
  );
}

function rulesetOf(context: RepositoryContext): Ruleset {
  const id = Number(parameter(context, 'ruleset_id'));
  const ruleset = context.repository.rulesets.find((candidate) => candidate.id === id);
  if (!ruleset) throw notFound();
  return ruleset;
}

function rulesetSummary({ world, repository }: RepositoryContext, ruleset: Ruleset) {
  const url = `${world.api}/repos/${repository.fullName}/rulesets/${ruleset.id}`;
  return {
    id: ruleset.id,
    name: ruleset.name,
    target: ruleset.target,
    source_type: 'Repository',
    source: repository.fullName,
    enforcement: ruleset.enforcement,
    node_id: String(ruleset.id),
    _links: {
      self: { href: url },
      html: { href: `${world.origin}/${repository.fullName}/rules/${ruleset.id}` },
    },
    created_at: ruleset.createdAt,
    updated_at: ruleset.updatedAt,
  };
}

function rulesetBody(context: RepositoryContext, ruleset: Ruleset) {
  return {
    ...rulesetSummary(context, ruleset),
    bypass_actors: ruleset.bypass_actors,
    current_user_can_bypass: 'never',
    conditions: ruleset.conditions,
    rules: ruleset.rules,
  };
}

function checkRulesetName({ repository }: RepositoryContext, name: string, except?: Ruleset): void {
  if (repository.rulesets.some((ruleset) => ruleset !== except && ruleset.name === name)) {
    throw invalid([{ resource: 'Ruleset', field: 'name', code: 'custom', message: 'Name must be unique' }]);
  }
}

function protectionOf(context: RepositoryContext): [string, BranchProtection] {
  const branch = branchOf(context);
  const protection = context.repository.protection.get(branch);
  if (!protection) throw refusal(404, 'Branch not protected');
  return [branch, protection];
}

function branchOf(context: RepositoryContext): string {
  const branch = parameter(context, 'branch');
  if (!context.repository.bare.resolve(`refs/heads/${branch}`)) throw refusal(404, 'Branch not found');
  return branch;
}

const requiredChecks = (protection: BranchProtection): string[] => [
  ...new Set([
    ...(protection.required_status_checks?.contexts ?? []),
    ...(protection.required_status_checks?.checks ?? []).map(({ context }) => context),
  ]),
];

function protectionBody(
  { world, repository }: Context & RepositoryContext,
  branch: string,
  protection: BranchProtection,
) {
  const url = `${world.api}/repos/${repository.fullName}/branches/${branch}/protection`;
  const enabled = (value: boolean | null | undefined) => ({ enabled: value ?? false });
  const contexts = requiredChecks(protection);
  const reviews = protection.required_pull_request_reviews;
  return {
    url,
    ...(protection.required_status_checks && {
      required_status_checks: {
        url: `${url}/required_status_checks`,
        strict: protection.required_status_checks.strict,
        contexts,
        contexts_url: `${url}/required_status_checks/contexts`,
        checks: contexts.map((context) => ({
          context,
          app_id:
            protection.required_status_checks?.checks?.find((check) => check.context === context)?.app_id ??
            null,
        })),
      },
    }),
    ...(reviews && {
      required_pull_request_reviews: {
        url: `${url}/required_pull_request_reviews`,
        dismiss_stale_reviews: reviews.dismiss_stale_reviews ?? false,
        require_code_owner_reviews: reviews.require_code_owner_reviews ?? false,
        required_approving_review_count: reviews.required_approving_review_count ?? 1,
        require_last_push_approval: reviews.require_last_push_approval ?? false,
      },
    }),
    enforce_admins: { url: `${url}/enforce_admins`, enabled: protection.enforce_admins ?? false },
    required_linear_history: enabled(protection.required_linear_history),
    allow_force_pushes: enabled(protection.allow_force_pushes),
    allow_deletions: enabled(protection.allow_deletions),
    block_creations: enabled(protection.block_creations),
    required_conversation_resolution: enabled(protection.required_conversation_resolution),
    lock_branch: enabled(protection.lock_branch),
    allow_fork_syncing: enabled(protection.allow_fork_syncing),
  };
}

export const protectionHandlers: Record<string, RepositoryHandler> = {
  'repos/get-repo-rulesets': (context) => {
    checkPlan(context);
    return list(context, context.repository.rulesets, (ruleset) => rulesetSummary(context, ruleset));
  },

  'repos/get-repo-ruleset': (context) => {
    checkPlan(context);
    return ok(rulesetBody(context, rulesetOf(context)));
  },

  'repos/create-repo-ruleset': (context) => {
    checkPlan(context);
    const given = context.body as Partial<Ruleset> & Pick<Ruleset, 'name' | 'enforcement'>;
    checkRulesetName(context, given.name);
    const now = timestamp();
    const ruleset: Ruleset = {
      target: 'branch',
      bypass_actors: [],
      conditions: {},
      rules: [],
      ...given,
      id: newId(),
      createdAt: now,
      updatedAt: now,
    };
    context.repository.rulesets.push(ruleset);
    return created(rulesetBody(context, ruleset));
  },

  'repos/update-repo-ruleset': (context) => {
    checkPlan(context);
    const ruleset = rulesetOf(context);
    const given = context.body as Partial<Ruleset>;
    if (given.name !== undefined) checkRulesetName(context, given.name, ruleset);
    Object.assign(ruleset, given, { id: ruleset.id, updatedAt: timestamp() });
    return ok(rulesetBody(context, ruleset));
  },

  'repos/delete-repo-ruleset': (context) => {
    checkPlan(context);
    const ruleset = rulesetOf(context);
    context.repository.rulesets = context.repository.rulesets.filter((candidate) => candidate !== ruleset);
    return noContent;
  },

  'repos/get-branch-protection': (context) => {
    checkPlan(context);
    return ok(protectionBody(context, ...protectionOf(context)));
  },

  'repos/update-branch-protection': (context) => {
    checkPlan(context);
    const branch = branchOf(context);
    const protection = context.body as BranchProtection;
    if (protection.restrictions && !context.world.organization(context.repository.owner)) {
      throw invalid([
        {
          resource: 'ProtectedBranch',
          field: 'restrictions',
          code: 'custom',
          message: 'Only organization repositories can have users and team restrictions',
        },
      ]);
    }
    context.repository.protection.set(branch, protection);
    return ok(protectionBody(context, branch, protection));
  },

  'repos/delete-branch-protection': (context) => {
    checkPlan(context);
    context.repository.protection.delete(protectionOf(context)[0]);
    return noContent;
  },
};
