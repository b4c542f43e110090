import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { TemplateToken } from '@actions/workflow-parser/templates/tokens/template-token';
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
import { entries, fields, items, type ParsedFile, readAction, UnsupportedError } from './files.ts';
import { matchesAny } from './globs.ts';
import type { Log } from './log.ts';
import type { ActionsRepository } from './repository.ts';
import { RunnerFiles } from './runner-files.ts';
import { runProcess, shellCommand } from './shell.ts';
import { ActionFailure, type StandIn } from './stand-ins.ts';

export type Conclusion = 'success' | 'failure' | 'cancelled' | 'skipped';

/** What became of a step. */
export interface StepRun {
  id: string;
  name: string;
  /** Before `continue-on-error`. */
  outcome: Conclusion;
  conclusion: Conclusion;
  outputs: Record<string, string>;
  /** Its output, without secrets. */
  log: string;
  seconds: number;
}

/** The machine of one job, while its steps are executed. */
export interface Machine {
  repository: ActionsRepository;
  event: Event;
  log: Log;
  workspace: string;
  home: string;
  temporary: string;
  caches: string;
  /** What every program of the job gets, beside the variables of the workflow. */
  system: Record<string, string>;
  /** Directories before those of the system, the newest first. */
  path: string[];
  /** What steps have put into `$GITHUB_ENV`. */
  added: Record<string, string>;
  /** Addresses of services, as they are on this computer. */
  translate(value: string): string;
  standIns: Readonly<Record<string, StandIn>>;
  executed: ExecutedScripts | undefined;
  /** How long a minute of `timeout-minutes` is, in milliseconds. */
  minute: number;
  /** Aborted when the job's time is over, or when the run is cancelled. */
  signal: AbortSignal;
  summary: string;
  atTheEnd: (() => Promise<void>)[];
}

/** Where a list of steps stands: in a job, or in a composite action. */
export interface StepsPlace {
  file: ParsedFile;
  /** Empty in an action. */
  job: string;
  /** How the place is called in messages. */
  title: string;
  /** All contexts but `env`, `steps` and, in jobs, `job`. */
  contexts: Record<string, Json>;
  /** The variables of workflow and job. */
  env: Record<string, string>;
  defaults: { shell?: string; workingDirectory?: string };
}

/** What became of a list of steps. */
export interface StepsResult {
  status: 'success' | 'failure' | 'cancelled';
  runs: StepRun[];
  /** The context `steps`. */
  context: JsonObject;
}

const stepFields = [
  ...['id', 'name', 'if', 'run', 'uses', 'with', 'env', 'shell'],
  ...['working-directory', 'timeout-minutes', 'continue-on-error'],
] as const;

function hashFiles(workspace: string, patterns: string[]): string {
  if (!existsSync(workspace)) return '';
  const found = readdirSync(workspace, { recursive: true, encoding: 'utf8' })
    .filter((path) => !path.startsWith('.git/') && statSync(join(workspace, path)).isFile())
    .filter((path) => matchesAny(patterns, path))
    .sort();
  if (found.length === 0) return '';
  const hash = createHash('sha256');
  for (const path of found) {
    hash.update(
      createHash('sha256')
        .update(readFileSync(join(workspace, path)))
        .digest(),
    );
  }
  return hash.digest('hex');
}

/** Executes steps one after the other. */
export async function runSteps(
  tokens: readonly TemplateToken[],
  place: StepsPlace,
  machine: Machine,
): Promise<StepsResult> {
  const result: StepsResult = { status: 'success', runs: [], context: {} };
  for (const [index, token] of tokens.entries()) {
    if (machine.signal.aborted) result.status = 'cancelled';
    const run = await new StepExecution(token, index, place, machine, result).execute();
    result.runs.push(run);
    if (run.conclusion === 'failure' && result.status === 'success') result.status = 'failure';
    if (run.conclusion === 'cancelled') result.status = 'cancelled';
    if (run.id) {
      const { outputs, outcome, conclusion } = run;
      result.context[run.id] = { outputs, outcome, conclusion };
    }
  }
  return result;
}

class StepExecution {
  readonly #step: Partial<Record<(typeof stepFields)[number], TemplateToken>>;
  readonly #index: number;
  readonly #place: StepsPlace;
  readonly #machine: Machine;
  readonly #before: StepsResult;
  #env: Record<string, string> = {};
  readonly #outputs: Record<string, string> = {};
  #name = '';

  constructor(token: TemplateToken, index: number, place: StepsPlace, machine: Machine, before: StepsResult) {
    this.#step = fields(token, `step ${index + 1} of ${place.title}`, stepFields);
    this.#index = index;
    this.#place = place;
    this.#machine = machine;
    this.#before = before;
  }

  async execute(): Promise<StepRun> {
    const { log } = this.#machine;
    const begun = performance.now();
    const logged = log.text.length;
    const ended = (outcome: Conclusion, conclusion = outcome): StepRun => ({
      id: evaluateText(this.#step.id, this.#scope()) ?? '',
      name: this.#name,
      outcome,
      conclusion,
      outputs: this.#outputs,
      log: log.text.slice(logged),
      seconds: (performance.now() - begun) / 1000,
    });
    // Without the variables of the step itself, which may ask for those of the job.
    this.#env = { ...this.#place.env, ...this.#machine.added };
    this.#env = { ...this.#env, ...evaluateTexts(this.#step.env, this.#scope()) };
    const { run, uses } = this.#step;
    const what = run
      ? `Run ${(evaluateText(run, this.#scope()) ?? '').split('\n')[0]}`
      : text(uses ? evaluate(uses, this.#scope()) : '');
    this.#name = evaluateText(this.#step.name, this.#scope()) ?? what;
    if (!holds(this.#step.if, this.#place.file, this.#scope())) return ended('skipped');

    log.line(`##[group]${this.#name}`, this.#where);
    const outcome = await this.#attempt();
    const forgiven = this.#step['continue-on-error'];
    if (outcome === 'failure' && forgiven && isTruthy(evaluate(forgiven, this.#scope()))) {
      return ended(outcome, 'success');
    }
    return ended(outcome);
  }

  get #where(): string {
    return `${this.#place.title}, ${this.#name}`;
  }

  /** What the expressions of this step can see. */
  #scope(): Scope {
    const { status, context } = this.#before;
    const { workspace, signal } = this.#machine;
    return {
      contexts: {
        ...this.#place.contexts,
        env: this.#env,
        steps: context,
        ...(this.#place.job && {
          job: { ...(this.#place.contexts.job as JsonObject), status },
        }),
      },
      functions: {
        success: () => status === 'success',
        failure: () => status === 'failure',
        cancelled: () => status === 'cancelled' || signal.aborted,
        always: () => true,
        hashfiles: (...patterns) => hashFiles(workspace, patterns),
      },
    };
  }

  /** Does what the step says, within its time. */
  async #attempt(): Promise<Exclude<Conclusion, 'skipped'>> {
    const { log, signal, minute } = this.#machine;
    const minutes = this.#step['timeout-minutes'];
    const timer = new AbortController();
    // What runs although the job was cancelled has time of its own.
    const stop = signal.aborted ? undefined : () => timer.abort();
    if (stop) signal.addEventListener('abort', stop);
    const limit = minutes && Number(evaluate(minutes, this.#scope()));
    let late = false;
    const alarm =
      limit &&
      setTimeout(() => {
        late = true;
        timer.abort();
      }, limit * minute);
    try {
      const succeeded = await (this.#step.run ? this.#runScript(timer.signal) : this.#useAction());
      if (late)
        log.line(`::error::The action '${this.#name}' has timed out after ${limit} minutes.`, this.#where);
      if (stop && signal.aborted) return 'cancelled';
      return succeeded && !late ? 'success' : 'failure';
    } catch (error) {
      if (!(error instanceof ActionFailure)) throw error;
      for (const line of error.message.split('\n')) log.line(`::error::${line}`, this.#where);
      return 'failure';
    } finally {
      clearTimeout(alarm);
      if (stop) signal.removeEventListener('abort', stop);
    }
  }

  async #runScript(signal: AbortSignal): Promise<boolean> {
    const { log, workspace, temporary, executed, system, path, translate } = this.#machine;
    const { run, shell, 'working-directory': directory } = this.#step;
    if (this.#step.with) throw new UnsupportedError(`${this.#where}: a script with inputs`);
    const scope = this.#scope();
    const script = join(temporary, `${randomUUID()}.sh`);
    writeFileSync(script, `${evaluateText(run, scope)}\n`);
    const { defaults, file, job } = this.#place;
    const cwd = join(workspace, evaluateText(directory, scope) ?? defaults.workingDirectory ?? '');
    if (!existsSync(cwd))
      throw new ActionFailure(`There is no working directory ${relative(workspace, cwd)}`);
    const files = new RunnerFiles(join(temporary, `_runner_file_commands-${randomUUID()}`));
    executed?.add({ file: file.path, job, index: this.#index });
    const own = Object.entries(this.#env).map(([name, value]) => [name, translate(value)]);
    const status = await runProcess(shellCommand(evaluateText(shell, scope) ?? defaults.shell, script), {
      cwd,
      env: {
        ...system,
        ...(Object.fromEntries(own) as Record<string, string>),
        ...files.variables,
        PATH: [...path, (Object.fromEntries(own) as Record<string, string>).PATH ?? system.PATH].join(':'),
      },
      onLine: (line) => log.line(line, this.#where),
      signal,
    });
    this.#take(files);
    if (status !== 0) log.line(`##[error]Process completed with exit code ${status}.`, this.#where);
    return status === 0;
  }

  /** Takes over what the step has written for the runner. */
  #take(files: RunnerFiles): void {
    const { log } = this.#machine;
    try {
      Object.assign(this.#outputs, files.outputs);
      Object.assign(this.#machine.added, files.environment);
    } catch (error) {
      throw new ActionFailure((error as Error).message);
    }
    this.#machine.path.unshift(...files.path.reverse());
    this.#machine.summary += log.mask(files.summary, `${this.#where}, summary`);
  }

  async #useAction(): Promise<boolean> {
    const { uses, run, shell, 'working-directory': directory } = this.#step;
    if (!uses || run) throw new UnsupportedError(`${this.#where}: neither a script nor an action`);
    if (shell || directory)
      throw new UnsupportedError(`${this.#where}: an action has neither shell nor directory`);
    const reference = text(evaluate(uses, this.#scope()));
    const inputs = evaluateTexts(this.#step.with, this.#scope());
    if (reference.startsWith('./')) return this.#useLocalAction(reference, inputs);
    const [name = '', version] = reference.split('@');
    const standIn = this.#machine.standIns[name];
    if (!standIn || !version) throw new UnsupportedError(`the executor has no stand-in for ${reference}`);
    const { repository, event, workspace, home, caches, log, system, path, added } = this.#machine;
    const later = await standIn({
      inputs: Object.fromEntries(Object.entries(inputs).filter(([, value]) => value !== '')),
      repository,
      event,
      workspace,
      home,
      caches,
      env: { ...system, ...this.#env, PATH: [...path, system.PATH].join(':') },
      setVariable: (variable, value) => {
        added[variable] = value;
      },
      setOutput: (output, value) => {
        this.#outputs[output] = value;
      },
      log: (line) => log.line(line, this.#where),
    });
    if (later) this.#machine.atTheEnd.unshift(later);
    return true;
  }

  /** A composite action of the repository, as it is in the workspace. */
  async #useLocalAction(reference: string, given: Record<string, string>): Promise<boolean> {
    const { workspace } = this.#machine;
    const directory = relative('.', reference);
    const path = ['action.yml', 'action.yaml']
      .map((name) => join(directory, name))
      .find((name) => existsSync(join(workspace, name)));
    if (!path) throw new ActionFailure(`Can't find 'action.yml' or 'action.yaml' under ${reference}`);
    const file = readAction(path, readFileSync(join(workspace, path), 'utf8'));
    const action = entries(file.root, path);
    const runs = fields(action.get('runs'), `runs of ${path}`, ['using', 'steps']);
    if (evaluateText(runs.using, { contexts: {} }) !== 'composite') {
      throw new UnsupportedError(`${path} is no composite action`);
    }
    const { github, runner, strategy, matrix, job } = this.#place.contexts as Record<string, JsonObject>;
    const contexts: Record<string, Json> = {
      github: { ...github, action_path: join(workspace, directory) },
      runner: runner ?? {},
      strategy: strategy ?? {},
      matrix: matrix ?? {},
      job: job ?? {},
    };
    const inputs: Record<string, string> = {};
    for (const [name, token] of entries(action.get('inputs'), `the inputs of ${path}`)) {
      const found = fields(token, `the input ${name} of ${path}`, ['description', 'required', 'default']);
      inputs[name] = given[name] ?? evaluateText(found.default, { contexts }) ?? '';
    }
    const unknown = Object.keys(given).find((name) => !(name in inputs));
    if (unknown) throw new UnsupportedError(`${path} has no input ${unknown}`);
    mkdirSync(this.#machine.temporary, { recursive: true });
    const { status, context } = await runSteps(
      items(runs.steps, `the steps of ${path}`),
      {
        file,
        job: '',
        title: `${this.#place.title}, ${path}`,
        contexts: { ...contexts, inputs },
        env: { ...this.#env, GITHUB_ACTION_PATH: join(workspace, directory) },
        defaults: {},
      },
      this.#machine,
    );
    for (const [name, token] of entries(action.get('outputs'), `the outputs of ${path}`)) {
      const { value } = fields(token, `the output ${name} of ${path}`, ['description', 'value']);
      this.#outputs[name] = evaluateText(value, { contexts: { ...contexts, inputs, steps: context } }) ?? '';
    }
    return status === 'success';
  }
}
