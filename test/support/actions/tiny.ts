import { join } from 'node:path';
import { BareRepository } from '../github/bare-repository.ts';
import { temporaryDirectory } from '../temporary-directory.ts';
import { type Event, push } from './events.ts';
import type { RunnerOptions } from './jobs.ts';
import type { ActionsRepository, HeldByGitHub } from './repository.ts';
import { runWorkflow, type WorkflowRun } from './run.ts';
import type { StepRun } from './steps.ts';

/** A repository with a few files, for the time of a test. */
export class TinyRepository implements ActionsRepository {
  readonly fullName = 'ada/shop';
  readonly private = true;
  readonly defaultBranch = 'main';
  readonly serverUrl = 'https://github.example';
  readonly apiUrl = 'https://api.github.example';
  readonly bare = new BareRepository(join(temporaryDirectory(), 'shop.git'), 'main');
  readonly #held: HeldByGitHub;

  constructor(files: Readonly<Record<string, string>>, held: Partial<HeldByGitHub> = {}) {
    this.bare.commit('main', files, 'Start');
    this.#held = { secrets: {}, variables: {}, environments: {}, ...held };
  }

  get path(): string {
    return this.bare.path;
  }

  held(): HeldByGitHub {
    return this.#held;
  }

  token(permissions: Readonly<Record<string, string>>): string {
    return `token-${JSON.stringify(permissions)}`;
  }
}

const path = '.github/workflows/tiny.yml';

/**
 * Runs a workflow that is only as long as it must be: what a workflow needs beside its jobs is added. It is started by
 * a push to main, unless `event` says otherwise.
 */
export async function runTiny(
  jobs: string,
  {
    files = {},
    head = 'on: push',
    held,
    event = push,
    ...options
  }: Partial<RunnerOptions> & {
    files?: Record<string, string>;
    head?: string;
    held?: Partial<HeldByGitHub>;
    event?: (repository: ActionsRepository) => Event;
  } = {},
): Promise<WorkflowRun> {
  const workflow = `${head}\n${/^permissions:/m.test(head) ? '' : 'permissions: {}\n'}jobs:\n${jobs}`;
  const repository = new TinyRepository({ [path]: workflow, ...files }, held);
  return runWorkflow(repository, path, event(repository), { directory: temporaryDirectory(), ...options });
}

/** Runs the steps of one job. */
export async function runTinySteps(
  steps: string,
  options: Parameters<typeof runTiny>[1] & { job?: string } = {},
): Promise<WorkflowRun> {
  const indent = (text: string, by: number) => text.trim().replaceAll(/^/gm, ' '.repeat(by));
  const more = options.job ? `${indent(options.job, 4)}\n` : '';
  return runTiny(`  only:\n    runs-on: ubuntu-24.04\n${more}    steps:\n${indent(steps, 6)}\n`, options);
}

/** The steps of the first job. */
export function stepsOf({ jobs }: WorkflowRun): StepRun[] {
  return jobs[0]?.steps ?? [];
}

/** What became of each step of the first job. */
export function conclusions(run: WorkflowRun): string[] {
  return stepsOf(run).map(({ conclusion }) => conclusion);
}
