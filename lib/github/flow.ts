import { mainBranch } from '../git.ts';
import { defaultEnvironment } from '../project.ts';

/**
 * How changes reach an environment. `trunk`: everything goes to main, releases go to production. `gitops`: each
 * environment has a branch, and what is merged there is deployed.
 */
export type Flow = 'trunk' | 'gitops';

/** What lints the project on GitHub: the hooks that run before a commit, or GitHub's super-linter. */
export type Linter = 'pre-commit' | 'super-linter';

/** The environment that gets what is on main, or on the branch of that purpose. */
const stagingEnvironment = 'staging';
const stagingBranch = 'stage';
/** Where changes of the next release come together; no environment has it. */
const developmentBranch = 'develop';

/** What deploys an environment by itself: pushes to a branch, or releases of a kind. */
export type DeployTrigger = { branch: string } | { releases: 'final' | 'preliminary' };

/** What deploys an environment in a flow, without anybody asking for it. */
export function deployTrigger(flow: Flow, environment: string): DeployTrigger {
  if (flow === 'gitops') return { branch: branchOf(environment) };
  if (environment === stagingEnvironment) return { branch: mainBranch };
  return { releases: environment === defaultEnvironment ? 'final' : 'preliminary' };
}

function branchOf(environment: string): string {
  if (environment === defaultEnvironment) return mainBranch;
  return environment === stagingEnvironment ? stagingBranch : environment;
}

/** The branches that live as long as the project, in the order in which a change passes through them. */
export function longLivedBranches(flow: Flow, environments: readonly string[]): string[] {
  if (flow === 'trunk') return [mainBranch];
  const deployed = environments.map(branchOf).filter((branch) => branch !== mainBranch);
  return [developmentBranch, ...deployed, mainBranch];
}

/** Which branches and tags may deploy to an environment. */
export function deploymentRefs(flow: Flow, environment: string): { branches: string[]; tags: string[] } {
  if (flow === 'trunk') return { branches: [mainBranch], tags: ['*'] };
  // By hand from main, and by pushes to its own branch.
  return { branches: [...new Set([mainBranch, branchOf(environment)])], tags: [] };
}

/** What deploys an environment, as a few words for the documents. */
export function describeDeployTrigger(trigger: DeployTrigger): string {
  if ('branch' in trigger) return `a push to \`${trigger.branch}\``;
  return trigger.releases === 'final' ? 'a release that is published on GitHub' : 'a pre-release';
}
