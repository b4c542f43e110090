import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { DeploymentValue } from '../../lib/github/deployment-settings.ts';

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

/** What GitHub puts into the workflow's environment: an empty text for each setting that is not there. */
export function settingsAsVariables(values: readonly DeploymentValue[]): Record<string, string> {
  return Object.fromEntries(values.map(({ name, value }) => [name, value ?? '']));
}
