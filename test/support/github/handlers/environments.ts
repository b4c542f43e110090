import { simpleUser } from '../bodies.ts';
import { countedList, parameter, type RepositoryContext, type RepositoryHandler } from '../context.ts';
import { noContent, notFound, ok, refusal } from '../reply.ts';
import { type BranchPolicy, Environment, newId, timestamp, type World } from '../world.ts';

/** The environment that the path names. */
export function environmentOf(context: RepositoryContext): Environment {
  const name = parameter(context, 'environment_name').toLowerCase();
  const environment = context.repository.environments.get(name);
  if (!environment) throw notFound();
  return environment;
}

function body({ world, repository }: RepositoryContext, environment: Environment) {
  const name = encodeURIComponent(environment.name);
  return {
    id: environment.id,
    node_id: environment.nodeId,
    name: environment.name,
    url: `${world.api}/repos/${repository.fullName}/environments/${name}`,
    html_url: `${world.origin}/${repository.fullName}/deployments/activity_log?environments_filter=${name}`,
    created_at: environment.createdAt,
    updated_at: environment.updatedAt,
    can_admins_bypass: true,
    protection_rules: protectionRules(world, environment),
    deployment_branch_policy: environment.deploymentBranchPolicy,
  };
}

function protectionRules(world: World, environment: Environment) {
  const rule = (type: string, more = {}) => ({
    id: environment.id,
    node_id: environment.nodeId,
    type,
    ...more,
  });
  return [
    ...(environment.waitTimer ? [rule('wait_timer', { wait_timer: environment.waitTimer })] : []),
    ...(environment.reviewers.length > 0
      ? [
          rule('required_reviewers', {
            prevent_self_review: environment.preventSelfReview,
            reviewers: environment.reviewers.map(({ type, id }) => ({
              type,
              reviewer: simpleUser(
                world,
                [...world.accounts.values()].find((account) => account.id === id)?.login ?? '',
              ),
            })),
          }),
        ]
      : []),
    ...(environment.deploymentBranchPolicy ? [rule('branch_policy')] : []),
  ];
}

const policyBody = ({ id, name, type }: BranchPolicy) => ({ id, node_id: String(id), name, type });

export const environmentHandlers: Record<string, RepositoryHandler> = {
  'repos/get-all-environments': (context) =>
    countedList(context, 'environments', [...context.repository.environments.values()], (environment) =>
      body(context, environment),
    ),

  'repos/get-environment': (context) => ok(body(context, environmentOf(context))),

  'repos/create-or-update-environment': (context) => {
    const { world, repository } = context;
    const name = parameter(context, 'environment_name');
    if (!world.allows('environments', repository)) throw notFound();
    const given = context.body as {
      wait_timer?: number;
      prevent_self_review?: boolean;
      reviewers?: Environment['reviewers'] | null;
      deployment_branch_policy?: Environment['deploymentBranchPolicy'];
    };
    const rules = ['wait_timer', 'prevent_self_review', 'reviewers'].filter((key) => key in given);
    // Even their defaults are refused.
    if (rules.length > 0 && !world.allows('reviewers', repository)) {
      throw refusal(
        422,
        'Failed to create the environment protection rule. Please ensure the billing plan supports the required reviewers protection rule.',
      );
    }
    const policy = given.deployment_branch_policy;
    if (policy && policy.protected_branches === policy.custom_branch_policies) {
      throw refusal(
        422,
        'The `protected_branches` and `custom_branch_policies` attributes cannot have the same value',
      );
    }
    const environment = repository.environments.get(name.toLowerCase()) ?? new Environment(name);
    environment.waitTimer = given.wait_timer;
    environment.preventSelfReview = given.prevent_self_review ?? false;
    environment.reviewers = given.reviewers ?? [];
    environment.deploymentBranchPolicy = policy ?? null;
    if (!policy?.custom_branch_policies) environment.branchPolicies = [];
    environment.updatedAt = timestamp();
    repository.environments.set(name.toLowerCase(), environment);
    return ok(body(context, environment));
  },

  'repos/delete-an-environment': (context) => {
    context.repository.environments.delete(environmentOf(context).name.toLowerCase());
    return noContent;
  },

  'repos/list-deployment-branch-policies': (context) =>
    countedList(context, 'branch_policies', environmentOf(context).branchPolicies, policyBody),

  'repos/create-deployment-branch-policy': (context) => {
    const environment = environmentOf(context);
    // Without the setting that makes policies count there is nothing to add them to.
    if (!environment.deploymentBranchPolicy?.custom_branch_policies) throw notFound();
    const { name, type = 'branch' } = context.body as { name: string; type?: BranchPolicy['type'] };
    const existing = environment.branchPolicies.find(
      (policy) => policy.name === name && policy.type === type,
    );
    // GitHub says 303 for one that is there already, with it as the place to look.
    if (existing) {
      const { world, repository } = context;
      const url = `${world.api}/repos/${repository.fullName}/environments/${environment.name}/deployment-branch-policies`;
      return { status: 303, headers: { location: `${url}/${existing.id}` } };
    }
    const policy = { id: newId(), name, type };
    environment.branchPolicies.push(policy);
    return ok(policyBody(policy));
  },

  'repos/delete-deployment-branch-policy': (context) => {
    const environment = environmentOf(context);
    const id = Number(parameter(context, 'branch_policy_id'));
    if (!environment.branchPolicies.some((policy) => policy.id === id)) throw notFound();
    environment.branchPolicies = environment.branchPolicies.filter((policy) => policy.id !== id);
    return noContent;
  },
};
