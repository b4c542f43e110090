import { minimalRepository, simpleUser } from '../bodies.ts';
import {
  countedList,
  parameter,
  type RepositoryContext,
  type RepositoryHandler,
  signedIn,
} from '../context.ts';
import { noContent, notFound, ok, refusal } from '../reply.ts';
import { newId, timestamp, type WorkflowRun } from '../world.ts';

const directory = '.github/workflows';

/** The paths of the workflows on the default branch. */
function workflows({ repository }: RepositoryContext): string[] {
  if (repository.bare.isEmpty) return [];
  const entries = repository.bare.contents(repository.defaultBranch, directory);
  return Array.isArray(entries)
    ? entries.map(({ path }) => path).filter((path) => /\.ya?ml$/.test(path))
    : [];
}

/** A number that stays the same for a path. */
const workflowId = (path: string) =>
  [...path].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 1e9, 7);

/** The workflow that the path of the request names by its file or its id. */
function workflowOf(context: RepositoryContext): string {
  const given = parameter(context, 'workflow_id');
  const path = workflows(context).find(
    (candidate) => candidate === `${directory}/${given}` || String(workflowId(candidate)) === given,
  );
  if (!path) throw notFound();
  return path;
}

function runBody({ world, repository }: RepositoryContext, run: WorkflowRun) {
  const url = `${world.api}/repos/${repository.fullName}/actions/runs/${run.id}`;
  const [commit] = repository.bare.commits(run.sha, 1);
  const actor = simpleUser(world, run.actor);
  return {
    id: run.id,
    name: run.path,
    node_id: String(run.id),
    head_branch: run.branch,
    head_sha: run.sha,
    path: run.path,
    display_title: run.path,
    run_number: 1,
    event: run.event,
    status: run.status,
    conclusion: run.conclusion,
    workflow_id: workflowId(run.path),
    check_suite_url: `${world.api}/repos/${repository.fullName}/check-suites/${run.id}`,
    url,
    html_url: `${world.origin}/${repository.fullName}/actions/runs/${run.id}`,
    pull_requests: [],
    created_at: run.createdAt,
    updated_at: run.updatedAt,
    actor,
    triggering_actor: actor,
    jobs_url: `${url}/jobs`,
    logs_url: `${url}/logs`,
    artifacts_url: `${url}/artifacts`,
    cancel_url: `${url}/cancel`,
    rerun_url: `${url}/rerun`,
    workflow_url: `${world.api}/repos/${repository.fullName}/actions/workflows/${workflowId(run.path)}`,
    head_commit: commit && {
      id: commit.sha,
      tree_id: commit.tree,
      message: commit.message,
      timestamp: commit.committer.date,
      author: { name: commit.author.name, email: commit.author.email },
      committer: { name: commit.committer.name, email: commit.committer.email },
    },
    repository: minimalRepository(world, repository),
    head_repository: minimalRepository(world, repository),
  };
}

export const actionsHandlers: Record<string, RepositoryHandler> = {
  'actions/list-repo-workflows': (context) => {
    const { world, repository } = context;
    return countedList(context, 'workflows', workflows(context), (path) => ({
      id: workflowId(path),
      node_id: String(workflowId(path)),
      name: path,
      path,
      state: 'active',
      created_at: repository.createdAt,
      updated_at: repository.pushedAt,
      url: `${world.api}/repos/${repository.fullName}/actions/workflows/${workflowId(path)}`,
      html_url: `${world.origin}/${repository.fullName}/blob/${repository.defaultBranch}/${path}`,
      badge_url: `${world.origin}/${repository.fullName}/workflows/${path}/badge.svg`,
    }));
  },

  'actions/list-workflow-runs-for-repo': (context) =>
    countedList(context, 'workflow_runs', [...context.repository.runs].reverse(), (run) =>
      runBody(context, run),
    ),

  'actions/list-workflow-runs': (context) => {
    const path = workflowOf(context);
    const sha = context.query.get('head_sha');
    const runs = context.repository.runs
      .filter((run) => run.path === path && (sha === null || run.sha === sha))
      .reverse();
    return countedList(context, 'workflow_runs', runs, (run) => runBody(context, run));
  },

  'actions/create-workflow-dispatch': (context) => {
    const { world, repository } = context;
    const path = workflowOf(context);
    const { ref, return_run_details: details } = context.body as {
      ref: string;
      return_run_details?: boolean;
    };
    const sha = repository.bare.resolve(`${ref}^{commit}`);
    if (!sha) throw refusal(422, `No ref found for: ${ref}`);
    if (!String(repository.bare.contents(sha, path)).includes('workflow_dispatch')) {
      throw refusal(422, "Workflow does not have 'workflow_dispatch' trigger");
    }
    const now = timestamp();
    const branch = ref.replace('refs/heads/', '');
    const actor = signedIn(context).login;
    const run = {
      id: newId(),
      path,
      event: 'workflow_dispatch',
      branch,
      sha,
      actor,
      ...{ status: 'queued' as const, conclusion: null },
      createdAt: now,
      updatedAt: now,
    };
    repository.runs.push(run);
    if (!details) return noContent;
    return ok({
      workflow_run_id: run.id,
      run_url: `${world.api}/repos/${repository.fullName}/actions/runs/${run.id}`,
      html_url: `${world.origin}/${repository.fullName}/actions/runs/${run.id}`,
    });
  },

  'actions/get-github-actions-permissions-repository': ({ repository }) => ok(repository.actionsPermissions),
  'actions/set-github-actions-permissions-repository': ({ repository, body }) => {
    repository.actionsPermissions = { ...repository.actionsPermissions, ...(body as object) };
    return noContent;
  },
  'actions/get-github-actions-default-workflow-permissions-repository': ({ repository }) =>
    ok(repository.workflowPermissions),
  'actions/set-github-actions-default-workflow-permissions-repository': ({ repository, body }) => {
    repository.workflowPermissions = { ...repository.workflowPermissions, ...(body as object) };
    return noContent;
  },
};
