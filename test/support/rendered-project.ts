import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { commit } from '../../lib/git.ts';
import { runOrThrow } from '../../lib/process.ts';
import { lockPythonPackages } from '../../lib/python-lock.ts';
import { writeSampleProject } from './sample-project.ts';

/** A short name, and one as long as names can be: formatters and system limits see the difference. */
export const sampleNames = ['shop', 'abcdefghij_klmnopqrs'] as const;

export type SampleName = (typeof sampleNames)[number];

declare module 'vitest' {
  export interface ProvidedContext {
    renderedProjects: Record<SampleName, string>;
    /** Directory of the programs that the projects' own lock file installs. */
    projectPrograms: string;
  }
}

/** Renders the sample projects once for all checks; their tools are those of the first one's lock file. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const root = await mkdtemp(join(tmpdir(), 'goboot-rendered-'));
  const directories = {} as Record<SampleName, string>;
  try {
    for (const name of sampleNames) {
      const directory = join(root, name);
      directories[name] = directory;
      await writeSampleProject(directory, name);
      const reason = await lockPythonPackages(directory);
      if (reason) throw new Error(`uv could not lock the rendered project: ${reason}`);
      await commit(directory, {
        message: 'Start',
        identity: { name: 'Sample Author', email: 'author@example.com' },
      });
    }
    await runOrThrow('uv', ['sync', '--locked', '--all-groups', '--quiet'], {
      cwd: directories.shop,
      failure: 'uv could not install the rendered project',
    });
  } catch (error) {
    await rm(root, { recursive: true, force: true });
    throw error;
  }
  project.provide('renderedProjects', directories);
  project.provide('projectPrograms', join(directories.shop, '.venv/bin'));
  return () => rm(root, { recursive: true, force: true });
}
