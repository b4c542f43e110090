import { basename } from 'node:path';
import { type Event, starts } from './events.ts';
import { evaluate, evaluateText, type JsonObject, text } from './expressions.ts';
import { fields, readWorkflow, UnsupportedError } from './files.ts';
import { dispatchInputs } from './inputs.ts';
import { type JobRun, type RunnerOptions, runJobs } from './jobs.ts';
import type { Annotation, Leak } from './log.ts';
import { type ActionsRepository, fileAt, workflowsAt } from './repository.ts';
import { standIns } from './stand-ins.ts';
import type { Conclusion } from './steps.ts';

/** What became of a workflow that an event has started. */
export interface WorkflowRun {
  /** Like `.github/workflows/test.yml`. */
  path: string;
  name: string;
  title: string;
  event: Event;
  conclusion: Conclusion;
  jobs: JobRun[];
  /** The output of all jobs, without secrets. */
  log: string;
  /** Markdown of all jobs, without secrets. */
  summary: string;
  annotations: Annotation[];
  /** The secrets that were printed; what readers see of them are stars. */
  leaks: Leak[];
}

let runs = 0;

function gitHubContext(
  { fullName, serverUrl, apiUrl, defaultBranch, private: isPrivate }: ActionsRepository,
  event: Event,
  { path, name, id }: { path: string; name: string; id: number },
): JsonObject {
  const [, kind = '', short = ''] = /^refs\/(heads|tags|pull)\/(.*)$/.exec(event.ref) ?? [];
  return {
    event_name: event.name,
    event: event.payload,
    ref: event.ref,
    ref_name: short,
    ref_type: kind === 'tags' ? 'tag' : 'branch',
    ref_protected: short === defaultBranch,
    sha: event.sha,
    head_ref: event.headRef ?? '',
    base_ref: event.baseRef ?? '',
    actor: event.actor,
    actor_id: '1',
    triggering_actor: event.actor,
    repository: fullName,
    repository_owner: fullName.split('/')[0] as string,
    repository_id: '1',
    repository_visibility: isPrivate ? 'private' : 'public',
    server_url: serverUrl,
    api_url: apiUrl,
    graphql_url: `${apiUrl}/graphql`,
    workflow: name,
    workflow_ref: `${fullName}/${path}@${event.ref}`,
    workflow_sha: event.sha,
    run_id: String(id),
    run_number: '1',
    run_attempt: '1',
    retention_days: '90',
    secret_source: 'Actions',
  };
}

/**
 * Runs a workflow of the event's commit, as GitHub would, with real programs on this computer. Throws an
 * `UnsupportedError` if the event does not start it, and for everything that the executor does not know.
 */
export async function runWorkflow(
  repository: ActionsRepository,
  path: string,
  event: Event,
  options: RunnerOptions,
): Promise<WorkflowRun> {
  const file = readWorkflow(path, fileAt(repository, event.sha, path));
  if (!starts(file, event)) throw new UnsupportedError(`this ${event.name} does not start ${path}`);
  const {
    name: nameToken,
    'run-name': runName,
    concurrency,
  } = fields(file.root, path, [
    ...['name', 'run-name', 'on', 'permissions', 'env', 'defaults', 'concurrency', 'jobs'],
  ]);
  const name = nameToken ? text(evaluate(nameToken, { contexts: {} })) : path;
  const github = gitHubContext(repository, event, { path, name, id: ++runs });
  const inputs = dispatchInputs(file, event);
  const scope = { contexts: { github, inputs, vars: repository.held().variables } };
  // Runs do not wait for each other here; that the group can be told is checked.
  if (concurrency) evaluate(concurrency, scope);
  const end = repository.begin?.(path, event.sha);
  const { jobs, conclusion } = await runJobs(file, {
    repository,
    event,
    options: { ...options, standIns: { ...standIns, ...options.standIns }, minute: options.minute ?? 60_000 },
    github,
    inputs,
    secrets: undefined,
  }).catch((error: unknown) => {
    end?.('cancelled');
    throw error;
  });
  end?.(conclusion);
  const logs = jobs.map(({ log }) => log);
  return {
    path,
    name,
    title: evaluateText(runName, scope) ?? name,
    event,
    conclusion,
    jobs,
    log: logs.map((log) => log.text).join(''),
    summary: jobs.map(({ summary }) => summary).join(''),
    annotations: logs.flatMap((log) => log.annotations),
    leaks: logs.flatMap((log) => log.leaks),
  };
}

/** Runs every workflow that an event starts, all at once, and returns them by their file names. */
export async function runEvent(
  repository: ActionsRepository,
  event: Event,
  options: RunnerOptions,
): Promise<Record<string, WorkflowRun>> {
  const started = workflowsAt(repository, event.sha).filter((path) =>
    starts(readWorkflow(path, fileAt(repository, event.sha, path)), event),
  );
  const runs = await Promise.all(
    started.map(
      async (path) => [basename(path), await runWorkflow(repository, path, event, options)] as const,
    ),
  );
  return Object.fromEntries(runs);
}
