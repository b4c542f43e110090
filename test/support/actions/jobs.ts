import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TemplateToken } from '@actions/workflow-parser/templates/tokens/template-token';
import { networkEnvironment } from '../normal-user.ts';
import type { ExecutedScripts } from './coverage.ts';
import type { Event } from './events.ts';
import {
  evaluate,
  evaluateText,
  evaluateTexts,
  holds,
  isTruthy,
  type Json,
  type JsonObject,
  type Scope,
  text,
} from './expressions.ts';
import { entries, fields, items, type ParsedFile, readWorkflow, UnsupportedError } from './files.ts';
import { matchesAny } from './globs.ts';
import { callInputs } from './inputs.ts';
import { type ServicePrograms, startJobServices } from './job-services.ts';
import { Log } from './log.ts';
import { combinations } from './matrix.ts';
import { type Permissions, permissionsOf, requireWithin } from './permissions.ts';
import { type ActionsRepository, fileAt } from './repository.ts';
import { endOrphans } from './shell.ts';
import type { StandIn } from './stand-ins.ts';
import { type Conclusion, type Machine, runSteps, type StepRun } from './steps.ts';

/** What a run needs beside the repository and the event. */
export interface RunnerOptions {
  /** Where workspaces and homes of the jobs are made; whoever gives it removes it. */
  directory: string;
  /** Where caches are kept from job to job; below `directory` unless given. */
  caches?: string;
  services?: ServicePrograms;
  /** Beside those that are known, or in their place. */
  standIns?: Readonly<Record<string, StandIn>>;
  executed?: ExecutedScripts;
  /** Directories before the system's, for programs that a runner of GitHub has. */
  path?: readonly string[];
  /** What programs get beside the variables of the workflow; `UV_CACHE_DIR` for example. */
  env?: Readonly<Record<string, string>>;
  /** The combinations of matrices to run here: not every computer has everything. All unless given. */
  combination?(matrix: JsonObject): boolean;
  /** How long a minute of `timeout-minutes` is, in milliseconds. */
  minute?: number;
  /** Cancels the run. */
  signal?: AbortSignal;
}

/** What became of one job, or of one combination of its matrix. */
export interface JobRun {
  /** With the job that called its workflow, if one did: `call / test`. */
  id: string;
  name: string;
  matrix: JsonObject;
  conclusion: Conclusion;
  steps: StepRun[];
  outputs: Record<string, string>;
  environment?: { name: string; url: string };
  permissions: Permissions;
  /** Markdown, without secrets. */
  summary: string;
  /** Without secrets. */
  log: Log;
  seconds: number;
}

/** Everything that the jobs of one workflow have in common. */
export interface RunContext {
  repository: ActionsRepository;
  event: Event;
  options: RunnerOptions & { standIns: Readonly<Record<string, StandIn>>; minute: number };
  github: JsonObject;
  inputs: JsonObject;
  /** Undefined: all that the repository and the environment of a job hold. */
  secrets: Record<string, string> | undefined;
  /** Of the job that called this workflow; a run that an event started has none. */
  caller?: { id: string; name: string; permissions: Permissions };
}

interface Ended {
  result: Conclusion;
  outputs: Record<string, string>;
}

const workflowFields = [
  'name',
  'run-name',
  'on',
  'permissions',
  'env',
  'defaults',
  'concurrency',
  'jobs',
] as const;

const jobFields = [
  ...['name', 'needs', 'if', 'runs-on', 'timeout-minutes', 'permissions', 'environment', 'env', 'defaults'],
  ...[
    'strategy',
    'services',
    'steps',
    'outputs',
    'concurrency',
    'continue-on-error',
    'uses',
    'with',
    'secrets',
  ],
] as const;

type JobTokens = Partial<Record<(typeof jobFields)[number], TemplateToken>>;

/** Runs the jobs of a workflow, each after those that it needs. Returns them and the outputs of the workflow. */
export async function runJobs(
  file: ParsedFile,
  context: RunContext,
): Promise<{ jobs: JobRun[]; conclusion: Conclusion; outputs: Record<string, string> }> {
  const workflow = fields(file.root, file.path, workflowFields);
  const waiting = new Map(entries(workflow.jobs, `the jobs of ${file.path}`));
  const ended = new Map<string, Ended>();
  const ancestors = new Map<string, Set<string>>();
  const jobs: JobRun[] = [];
  while (waiting.size > 0) {
    const next = [...waiting].find(([id, token]) => needsOf(token, id).every((needed) => ended.has(needed)));
    if (!next)
      throw new UnsupportedError(`${file.path}: jobs wait for each other, or for one that is not there`);
    const [id, token] = next;
    waiting.delete(id);
    const needs = needsOf(token, id);
    ancestors.set(id, new Set(needs.flatMap((needed) => [needed, ...(ancestors.get(needed) ?? [])])));
    const before = [...(ancestors.get(id) as Set<string>)].map((name) => (ended.get(name) as Ended).result);
    const execution = new JobExecution(file, id, token, context, {
      needs: Object.fromEntries(needs.map((name) => [name, ended.get(name) as unknown as Json])),
      before,
    });
    const { runs, ...result } = await execution.execute();
    ended.set(id, result);
    jobs.push(...runs);
  }
  const results = [...ended.values()].map(({ result }) => result);
  const has = (result: Conclusion) => results.includes(result);
  return {
    jobs,
    conclusion: has('failure')
      ? 'failure'
      : has('cancelled')
        ? 'cancelled'
        : has('success')
          ? 'success'
          : 'skipped',
    outputs: callOutputs(file, context, ended),
  };
}

function needsOf(token: TemplateToken, id: string): string[] {
  const { needs } = fields(token, `the job ${id}`, jobFields);
  if (!needs) return [];
  const value = evaluate(needs, { contexts: {} });
  return (Array.isArray(value) ? value : [value]).map(text);
}

/** What a called workflow gives back. */
function callOutputs(
  file: ParsedFile,
  { github, inputs, caller, repository }: RunContext,
  ended: Map<string, Ended>,
): Record<string, string> {
  if (!caller) return {};
  const on = entries(file.root, file.path).get('on') as TemplateToken;
  const call = entries(on, `on of ${file.path}`).get('workflow_call');
  const outputs: Record<string, string> = {};
  for (const [name, token] of call?.isScalar === false
    ? entries(entries(call, 'workflow_call').get('outputs'), 'outputs')
    : []) {
    const { value } = fields(token, `the output ${name}`, ['description', 'value']);
    outputs[name] =
      evaluateText(value, {
        contexts: {
          github,
          inputs,
          vars: repository.held().variables,
          jobs: Object.fromEntries([...ended].map(([id, one]) => [id, one as unknown as Json])),
        },
      }) ?? '';
  }
  return outputs;
}

class JobExecution {
  readonly #file: ParsedFile;
  readonly #id: string;
  readonly #title: string;
  readonly #job: JobTokens;
  readonly #workflow: Partial<Record<(typeof workflowFields)[number], TemplateToken>>;
  readonly #context: RunContext;
  readonly #needs: JsonObject;
  readonly #before: Conclusion[];

  constructor(
    file: ParsedFile,
    id: string,
    token: TemplateToken,
    context: RunContext,
    { needs, before }: { needs: JsonObject; before: Conclusion[] },
  ) {
    this.#file = file;
    this.#id = id;
    this.#title = context.caller ? `${context.caller.id} / ${id}` : id;
    this.#job = fields(token, `the job ${id} of ${file.path}`, jobFields);
    this.#workflow = fields(file.root, file.path, workflowFields);
    this.#context = context;
    this.#needs = needs;
    this.#before = before;
  }

  async execute(): Promise<Ended & { runs: JobRun[] }> {
    const { options } = this.#context;
    if (!holds(this.#job.if, this.#file, this.#scope())) {
      return { result: 'skipped', outputs: {}, runs: [this.#skipped()] };
    }
    const strategy = this.#job.strategy ? (evaluate(this.#job.strategy, this.#scope()) as JsonObject) : {};
    const known = ['matrix', 'fail-fast', 'max-parallel'];
    const unknown = Object.keys(strategy).find((name) => !known.includes(name));
    if (unknown) throw new UnsupportedError(`the executor does not know ${unknown} of a strategy`);
    const all = strategy.matrix === undefined ? [{}] : combinations(strategy.matrix);
    const chosen = all.filter((matrix) => options.combination?.(matrix) ?? true);
    if (chosen.length === 0)
      throw new UnsupportedError(`no combination of the matrix of ${this.#id} can run here`);

    const runs: JobRun[] = [];
    const outputs: Record<string, string> = {};
    const conclusions: Conclusion[] = [];
    for (const [index, matrix] of chosen.entries()) {
      const failed = conclusions.includes('failure') && strategy['fail-fast'] !== false;
      if (failed) {
        runs.push({ ...this.#skipped(), matrix, conclusion: 'cancelled' });
        continue;
      }
      const scope = this.#scope({
        matrix,
        strategy: {
          'fail-fast': strategy['fail-fast'] ?? true,
          'job-index': index,
          'job-total': chosen.length,
          'max-parallel': strategy['max-parallel'] ?? chosen.length,
        },
      });
      const done = this.#job.uses ? await this.#call(scope) : await this.#run(scope, matrix);
      runs.push(...done.runs);
      conclusions.push(done.result);
      // Of several combinations, the last one that has something to say counts.
      for (const [name, value] of Object.entries(done.outputs)) {
        if (value !== '' || !(name in outputs)) outputs[name] = value;
      }
    }
    const result = (['failure', 'cancelled', 'success'] as const).find((one) => conclusions.includes(one));
    return { result: result ?? 'skipped', outputs, runs };
  }

  #skipped(): JobRun {
    return {
      id: this.#title,
      name: this.#title,
      matrix: {},
      conclusion: 'skipped',
      steps: [],
      outputs: {},
      permissions: {},
      summary: '',
      log: new Log(),
      seconds: 0,
    };
  }

  /** What the expressions of this job can see, before it has a machine. */
  #scope(more: Record<string, Json> = {}): Scope {
    const { github, inputs, repository, options } = this.#context;
    const cancelled = () => options.signal?.aborted ?? false;
    return {
      contexts: {
        github,
        inputs,
        vars: repository.held().variables,
        needs: this.#needs,
        strategy: {},
        matrix: {},
        ...more,
      },
      functions: {
        success: () => !cancelled() && this.#before.every((result) => result === 'success'),
        failure: () => !cancelled() && this.#before.includes('failure'),
        cancelled,
        always: () => true,
      },
    };
  }

  get #permissions(): Permissions {
    const { event, caller } = this.#context;
    const granted = permissionsOf(this.#job.permissions, this.#workflow.permissions, event);
    if (caller) requireWithin(granted, caller.permissions, `${this.#file.path}, ${this.#id}`);
    return granted;
  }

  /** Calls a workflow of the same commit. */
  async #call(scope: Scope): Promise<Ended & { runs: JobRun[] }> {
    const { event, repository, github } = this.#context;
    const reference = evaluateText(this.#job.uses, scope) ?? '';
    const [, path] = /^\.\/(\.github\/workflows\/[^/]+\.ya?ml)$/.exec(reference) ?? [];
    if (!path) throw new UnsupportedError(`the executor calls no workflow of others: ${reference}`);
    const file = readWorkflow(path, fileAt(repository, event.sha, path));
    const given = this.#job.with ? (evaluate(this.#job.with, scope) as JsonObject) : {};
    const own = this.#secretsOf(undefined);
    let secrets: Record<string, string> | undefined = {};
    if (this.#job.secrets?.isScalar) {
      if (evaluateText(this.#job.secrets, scope) !== 'inherit') throw new UnsupportedError('unknown secrets');
      secrets = this.#context.secrets;
    } else if (this.#job.secrets) {
      secrets = evaluateTexts(this.#job.secrets, { ...scope, contexts: { ...scope.contexts, secrets: own } });
    }
    const contexts = { github, vars: repository.held().variables };
    const { jobs, conclusion, outputs } = await runJobs(file, {
      ...this.#context,
      inputs: callInputs(file, given, { contexts: { ...contexts, inputs: {} } }),
      secrets,
      caller: { id: this.#title, name: this.#title, permissions: this.#permissions },
    });
    return { result: conclusion, outputs, runs: jobs };
  }

  /** The secrets of a job with an environment; a fork gets none. */
  #secretsOf(environment: string | undefined): Record<string, string> {
    const { event, repository, secrets } = this.#context;
    if (event.fork) return {};
    const held = repository.held();
    const own = environment === undefined ? {} : (held.environments[environment]?.secrets ?? {});
    if (secrets === undefined) return { ...held.secrets, ...own };
    // A called workflow sees what it was given. The environment's values win over those, and add none.
    return Object.fromEntries(Object.entries(secrets).map(([name, value]) => [name, own[name] ?? value]));
  }

  /** The environment of the job; what GitHub holds for it decides who may use it. */
  #environment(scope: Scope): { name: string; refused?: string } | undefined {
    const { environment } = this.#job;
    if (!environment) return undefined;
    const { event, repository } = this.#context;
    const found = environment.isScalar
      ? { name: environment }
      : fields(environment, 'an environment', ['name', 'url', 'deployment']);
    const name = evaluateText(found.name, scope) ?? '';
    const { allowed } = repository.held().environments[name] ?? {};
    const [, kind, ref = ''] = /^refs\/(heads|tags|pull)\/(.*)$/.exec(event.ref) ?? [];
    const type = kind === 'tags' ? 'tag' : 'branch';
    const patterns = allowed?.filter((policy) => policy.type === type).map((policy) => policy.name);
    const refused = patterns && !matchesAny(patterns, kind === 'pull' ? event.ref : ref);
    return {
      name,
      ...(refused && {
        refused: `${type === 'tag' ? 'Tag' : 'Branch'} "${ref}" is not allowed to deploy to ${name} due to environment protection rules.`,
      }),
    };
  }

  async #run(early: Scope, matrix: JsonObject): Promise<Ended & { runs: JobRun[] }> {
    const { repository, event, options, github } = this.#context;
    const begun = performance.now();
    const log = new Log();
    const permissions = this.#permissions;
    const environment = this.#environment(early);
    const token = repository.token(permissions);
    const held = repository.held();
    const secrets = { ...this.#secretsOf(environment?.name), GITHUB_TOKEN: token };
    for (const [name, value] of Object.entries(secrets)) log.addSecret(name, value);
    const runsOn = text(this.#job['runs-on'] ? evaluate(this.#job['runs-on'], early) : '');
    if (!/^ubuntu-(\d\d\.\d\d|latest)$/.test(runsOn))
      throw new UnsupportedError(`the executor is no ${runsOn}`);

    const directory = join(options.directory, `${this.#id}-${randomUUID().slice(0, 8)}`);
    const [, repositoryName = ''] = repository.fullName.split('/');
    const place = {
      workspace: join(directory, 'work', repositoryName, repositoryName),
      home: join(directory, 'home'),
      temporary: join(directory, 'temp'),
      caches: options.caches ?? join(options.directory, 'caches'),
      tools: join(options.directory, 'tools'),
    };
    for (const path of Object.values(place)) mkdirSync(path, { recursive: true });
    const eventPath = join(place.temporary, 'event.json');
    writeFileSync(eventPath, JSON.stringify(event.payload));
    const own: JsonObject = {
      ...github,
      token,
      job: this.#id,
      workspace: place.workspace,
      event_path: eventPath,
    };
    const runner = { ...runnerFacts, temp: place.temporary, tool_cache: place.tools };
    const environmentVariables = environment ? (held.environments[environment.name]?.variables ?? {}) : {};
    const contexts: Record<string, Json> = {
      ...early.contexts,
      github: own,
      runner,
      secrets,
      vars: { ...held.variables, ...environmentVariables },
    };
    const env = {
      ...evaluateTexts(this.#workflow.env, { contexts }),
      ...evaluateTexts(this.#job.env, { contexts }),
    };
    if (this.#job.concurrency) evaluate(this.#job.concurrency, { contexts });
    const name = evaluateText(this.#job.name, { contexts }) ?? defaultName(this.#id, matrix);
    const run: JobRun = {
      id: this.#title,
      name: this.#context.caller ? `${this.#context.caller.name} / ${name}` : name,
      matrix,
      conclusion: 'failure',
      steps: [],
      outputs: {},
      permissions,
      summary: '',
      log,
      seconds: 0,
    };
    const ended = (conclusion: Conclusion) => {
      run.conclusion = conclusion;
      run.seconds = (performance.now() - begun) / 1000;
      const forgiving = this.#job['continue-on-error'];
      const forgiven = conclusion === 'failure' && forgiving && isTruthy(evaluate(forgiving, { contexts }));
      return { result: forgiven ? ('success' as const) : conclusion, outputs: run.outputs, runs: [run] };
    };
    if (environment?.refused) {
      log.line(`::error::${environment.refused}`, run.name);
      return ended('failure');
    }

    const services = await startJobServices(
      this.#job.services,
      { contexts: { ...contexts, env } },
      options.services,
    );
    const jobContext = { services: services.context };
    const trackingId = `github_${randomUUID()}`;
    const over = new AbortController();
    const stop = () => over.abort();
    // A job that begins although the run was cancelled is one that asked for it.
    options.signal?.addEventListener('abort', stop);
    const minutes = Number(
      this.#job['timeout-minutes'] ? evaluate(this.#job['timeout-minutes'], { contexts }) : 360,
    );
    const alarm = setTimeout(stop, minutes * options.minute);
    const machine: Machine = {
      repository,
      event,
      log,
      workspace: place.workspace,
      home: place.home,
      temporary: place.temporary,
      caches: place.caches,
      system: {
        ...systemVariables(own, runner),
        HOME: place.home,
        PATH: process.env.PATH ?? '',
        RUNNER_TRACKING_ID: trackingId,
        ...options.env,
      },
      path: [...(options.path ?? [])],
      added: {},
      translate: services.translate,
      standIns: options.standIns,
      executed: options.executed,
      minute: options.minute,
      signal: over.signal,
      summary: '',
      atTheEnd: [],
    };
    try {
      const steps = await runSteps(
        items(this.#job.steps, `the steps of ${this.#id}`),
        {
          file: this.#file,
          job: this.#id,
          title: run.name,
          contexts: { ...contexts, job: jobContext },
          env,
          defaults: this.#defaults({ ...contexts, env }),
        },
        machine,
      );
      run.steps = steps.runs;
      run.summary = machine.summary;
      const done: Scope = { contexts: { ...contexts, env, job: jobContext, steps: steps.context } };
      if (steps.status === 'success') for (const later of machine.atTheEnd) await later();
      run.outputs = this.#outputsWithoutSecrets(done, log);
      if (environment) {
        const url = environmentUrl(this.#job.environment as TemplateToken, done);
        run.environment = { name: environment.name, url };
      }
      return ended(steps.status);
    } finally {
      clearTimeout(alarm);
      options.signal?.removeEventListener('abort', stop);
      endOrphans(trackingId);
    }
  }

  #outputsWithoutSecrets(scope: Scope, log: Log): Record<string, string> {
    const outputs = Object.entries(evaluateTexts(this.#job.outputs, scope));
    return Object.fromEntries(outputs.map(([name, value]) => [name, log.holdsSecret(value) ? '' : value]));
  }

  #defaults(contexts: Record<string, Json>): { shell?: string; workingDirectory?: string } {
    const found = [this.#workflow.defaults, this.#job.defaults].map((token) => {
      const { run } = fields(token, 'defaults', ['run']);
      return fields(run, 'defaults of run', ['shell', 'working-directory']);
    });
    const last = (name: 'shell' | 'working-directory') =>
      found.map((one) => evaluateText(one[name], { contexts })).findLast((value) => value !== undefined);
    const shell = last('shell');
    const workingDirectory = last('working-directory');
    return {
      ...(shell !== undefined && { shell }),
      ...(workingDirectory !== undefined && { workingDirectory }),
    };
  }
}

function environmentUrl(token: TemplateToken, scope: Scope): string {
  return token.isScalar ? '' : (evaluateText(entries(token, 'an environment').get('url'), scope) ?? '');
}

function defaultName(id: string, matrix: JsonObject): string {
  const values = Object.values(matrix).map(text);
  return values.length > 0 ? `${id} (${values.join(', ')})` : id;
}

const runnerFacts = {
  os: 'Linux',
  arch: 'X64',
  name: 'GitHub Actions 1',
  environment: 'github-hosted',
  debug: '',
};

/** The variables that GitHub documents for every runner, and what this computer needs to reach the network. */
function systemVariables(github: JsonObject, runner: Record<string, string>): Record<string, string> {
  const fromGitHub = [
    ...[
      'actor',
      'actor_id',
      'api_url',
      'base_ref',
      'event_name',
      'event_path',
      'graphql_url',
      'head_ref',
      'job',
    ],
    ...['ref', 'ref_name', 'ref_protected', 'ref_type', 'repository', 'repository_id', 'repository_owner'],
    ...['retention_days', 'run_attempt', 'run_id', 'run_number', 'server_url', 'sha', 'triggering_actor'],
    ...['workflow', 'workflow_ref', 'workflow_sha', 'workspace'],
  ];
  return {
    ...networkEnvironment(),
    LANG: 'C.UTF-8',
    CI: 'true',
    GITHUB_ACTIONS: 'true',
    ...Object.fromEntries(
      fromGitHub.map((name) => [`GITHUB_${name.toUpperCase()}`, text(github[name] ?? '')]),
    ),
    ...Object.fromEntries(
      Object.entries(runner)
        .filter(([name]) => name !== 'debug')
        .map(([name, value]) => [`RUNNER_${name.toUpperCase()}`, value]),
    ),
  };
}
