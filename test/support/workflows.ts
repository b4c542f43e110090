import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { parse } from 'yaml';
import type { DeploymentValue } from '../../lib/github/deployment-settings.ts';
import { run } from '../../lib/process.ts';

export interface Step {
  name?: string;
  uses?: string;
  run?: string;
  'working-directory'?: string;
  if?: string;
  env?: Record<string, string>;
  with?: Record<string, unknown>;
}

export interface Job {
  if?: string;
  permissions?: unknown;
  'timeout-minutes'?: number;
  env?: Record<string, string>;
  steps: Step[];
}

export interface Workflow {
  file: string;
  text: string;
  on: Record<string, unknown>;
  permissions: unknown;
  jobs: Record<string, Job>;
}

/** The workflows of a rendered project, by file name. */
export async function readWorkflows(project: string): Promise<Workflow[]> {
  const directory = join(project, '.github/workflows');
  return Promise.all(
    (await readdir(directory)).sort().map(async (file) => {
      const text = await readFile(join(directory, file), 'utf8');
      return { ...parse(text), file, text };
    }),
  );
}

/** Sourced, it reads the settings of an environment, gives the key to an agent and configures ssh. */
export const connectScript = '.github/scripts/connect.sh';

/** The step of a workflow that has the server do something. Throws when there is none. */
export function serverStep(workflow: Pick<Workflow, 'jobs'>): Step {
  const steps = Object.values(workflow.jobs).flatMap(({ steps }) => steps);
  const step = steps.find(({ run }) => run?.includes('scripts/server.sh'));
  if (!step) throw new Error('no step of the workflow runs server.sh');
  return step;
}

/** What GitHub puts into the workflow's environment: an empty text for each setting that is not there. */
export function settingsAsVariables(values: readonly DeploymentValue[]): Record<string, string> {
  return Object.fromEntries(values.map(({ name, value }) => [name, value ?? '']));
}

/**
 * Runs the shell scripts of a job one after the other, as a runner does, and expects each to succeed. `env` stands in
 * for what GitHub gives to the job, and wins over the job's own variables.
 */
export async function runSteps(
  workflow: Workflow,
  jobId: string,
  { cwd, env }: { cwd: string; env: Record<string, string> },
): Promise<void> {
  const job = workflow.jobs[jobId];
  const steps = job?.steps.filter((step) => step.run) ?? [];
  expect(steps.length, `${workflow.file} has a job ${jobId} with shell scripts`).toBeGreaterThan(0);
  for (const step of steps) {
    const result = await run('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', String(step.run)], {
      cwd: join(cwd, step['working-directory'] ?? ''),
      env: { CI: 'true', ...job?.env, ...step.env, ...env },
    });
    expect(result.exitCode, `${step.name}\n${result.stdout}\n${result.stderr}`).toBe(0);
  }
}
