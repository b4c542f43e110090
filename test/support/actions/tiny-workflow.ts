import { temporaryDirectory } from '../temporary-directory.ts';
import { type Event, push } from './events.ts';
import type { RunnerOptions } from './jobs.ts';
import type { ActionsRepository, HeldByGitHub } from './repository.ts';
import { runWorkflow, type WorkflowRun } from './run.ts';
import type { StepRun } from './steps.ts';
import { TestRepository } from './test-repository.ts';

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
  const repository = TestRepository.of(temporaryDirectory(), { [path]: workflow, ...files }, held);
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
