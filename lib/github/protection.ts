import { isDeepStrictEqual } from 'node:util';
import type { GitHub } from './client.ts';
import { isGitHubFailure } from './errors.ts';
import { fullName, type RepositoryName } from './repository.ts';
import { unwatched, type Watcher } from './watcher.ts';

/** GitHub's number for the role of a repository's administrators. */
const administrators = 5;

/** The id of GitHub Actions, the app whose checks count: nobody else can report them as passed. */
const githubActions = 15368;

interface BypassActor {
  actor_id: number;
  actor_type: 'RepositoryRole';
  bypass_mode: 'always';
}

type Rule =
  | { type: 'deletion' }
  | { type: 'non_fast_forward' }
  | {
      type: 'required_status_checks';
      parameters: {
        strict_required_status_checks_policy: boolean;
        do_not_enforce_on_create: boolean;
        required_status_checks: { context: string; integration_id?: number }[];
      };
    };

interface Ruleset {
  name: string;
  bypass_actors: BypassActor[];
  rules: Rule[];
}

/**
 * The rules for the default branch, in two sets because they bind different people.
 *
 * Nobody deletes the branch or rewrites its history: that is hardly ever meant, and an administrator who means it
 * can switch the set off for a moment. Checks must pass before others get something in; administrators can push
 * without, because whoever works alone pushes to main, and a check can only run on what was pushed.
 */
function rulesets(checks: readonly string[], isPublicGitHub: boolean): Ruleset[] {
  const history: Ruleset = {
    name: 'Keep history',
    bypass_actors: [],
    rules: [{ type: 'deletion' }, { type: 'non_fast_forward' }],
  };
  if (checks.length === 0) return [history];
  const passing: Ruleset = {
    name: 'Require checks',
    bypass_actors: [{ actor_id: administrators, actor_type: 'RepositoryRole', bypass_mode: 'always' }],
    rules: [
      {
        type: 'required_status_checks',
        parameters: {
          strict_required_status_checks_policy: false,
          do_not_enforce_on_create: true,
          required_status_checks: checks.map((context) => ({
            context,
            // On GitHub Enterprise Server the app has another number.
            ...(isPublicGitHub && { integration_id: githubActions }),
          })),
        },
      },
    ],
  };
  return [history, passing];
}

export interface AppliedRuleset {
  id: number;
  name: string;
  result: 'created' | 'updated' | 'unchanged';
}

/** What became of the protection; `skipped` says why there is none. */
export type Protection = { rulesets: AppliedRuleset[] } | { skipped: string };

/**
 * Protects the default branch: no deletion, no rewritten history, and the given checks must pass (administrators
 * may push all the same), and further branches in the same way. Sets of the same names are brought to this state. Where the plan has no rulesets for
 * private repositories, it says so and changes nothing. Throws a GitHubError for any other failure.
 */
export async function protectDefaultBranch(
  github: GitHub,
  repository: RepositoryName,
  checks: readonly string[],
  watcher: Watcher = unwatched,
  further: readonly string[] = [],
): Promise<Protection> {
  const include = ['~DEFAULT_BRANCH', ...further.map((branch) => `refs/heads/${branch}`)];
  try {
    const existing = await listRulesets(github, repository);
    const applied: AppliedRuleset[] = [];
    for (const wanted of rulesets(checks, github.isPublic)) {
      const id = existing.find(({ name }) => name === wanted.name)?.id;
      await watcher.before(wanted.name, id === undefined ? 'absent' : 'replaced');
      const ruleset = await applyRuleset(github, repository, wanted, include, id);
      await watcher.after(wanted.name, ruleset.id);
      applied.push(ruleset);
    }
    return { rulesets: applied };
  } catch (error) {
    if (!isGitHubFailure(error, 'plan')) throw error;
    return {
      skipped: `The plan of ${repository.owner} has no rules for private repositories. It takes an upgrade or a public repository.`,
    };
  }
}

/** Removes a ruleset that was created. Returns false when it is gone already. Throws a GitHubError. */
export function deleteRuleset(github: GitHub, { owner, name }: RepositoryName, id: number): Promise<boolean> {
  return github.remove(`remove a rule of ${owner}/${name}`, (api) =>
    api.repos.deleteRepoRuleset({ owner, repo: name, ruleset_id: id }),
  );
}

async function listRulesets(
  github: GitHub,
  repository: RepositoryName,
): Promise<{ id: number; name: string }[]> {
  const { owner, name } = repository;
  return github.afterCreation(() =>
    github.list(`read the rules of ${fullName(repository)}`, (api, page) =>
      api.repos.getRepoRulesets({ owner, repo: name, includes_parents: false, ...page }),
    ),
  );
}

async function applyRuleset(
  github: GitHub,
  repository: RepositoryName,
  wanted: Ruleset,
  include: readonly string[],
  id: number | undefined,
): Promise<AppliedRuleset> {
  const repo = { owner: repository.owner, repo: repository.name };
  const { name } = wanted;
  const body = {
    name,
    target: 'branch' as const,
    enforcement: 'active' as const,
    conditions: { ref_name: { include: [...include], exclude: [] } },
    bypass_actors: wanted.bypass_actors,
    rules: wanted.rules,
  };
  if (id === undefined) {
    const action = `protect the default branch of ${fullName(repository)}`;
    const created = await github.createOnce(
      async () =>
        (await github.call(action, (api) => api.repos.createRepoRuleset({ ...repo, ...body }))).data,
      async () => (await listRulesets(github, repository)).find((ruleset) => ruleset.name === name),
    );
    return { id: created.id, name, result: 'created' };
  }
  const { data: current } = await github.call(`read a rule of ${fullName(repository)}`, (api) =>
    api.repos.getRepoRuleset({ ...repo, ruleset_id: id }),
  );
  const same =
    current.enforcement === body.enforcement &&
    isDeepStrictEqual(current.conditions?.ref_name, body.conditions.ref_name) &&
    isDeepStrictEqual(comparable(current.bypass_actors ?? []), comparable(body.bypass_actors)) &&
    isDeepStrictEqual(comparableRules(current.rules ?? []), comparableRules(body.rules));
  if (same) return { id, name, result: 'unchanged' };
  await github.call(`change a rule of ${fullName(repository)}`, (api) =>
    api.repos.updateRepoRuleset({ ...repo, ruleset_id: id, ...body }),
  );
  return { id, name, result: 'updated' };
}

function comparable(values: readonly object[]): string[] {
  return values.map((value) => JSON.stringify(Object.entries(value).sort())).sort();
}

/** GitHub adds parameters with their defaults: only those that goboot sets count. */
function comparableRules(rules: readonly { type: string; parameters?: unknown }[]): string[] {
  return rules
    .map(({ type, parameters }) => {
      const { required_status_checks: checks, strict_required_status_checks_policy: strict } = (parameters ??
        {}) as Partial<Extract<Rule, { type: 'required_status_checks' }>['parameters']>;
      return JSON.stringify([type, strict ?? null, checks?.map(({ context }) => context).sort() ?? null]);
    })
    .sort();
}
