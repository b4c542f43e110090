import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { packageRoot, projectPaths } from '../../lib/paths.ts';
import { runOrThrow } from '../../lib/process.ts';
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

/** Locks a rendered project to the tested versions, as scaffolding does. */
async function lock(directory: string): Promise<void> {
  const constraints = (await readFile(join(packageRoot, 'lib/tested-versions/constraints.txt'), 'utf8'))
    .split('\n')
    .filter((line) => line && !line.startsWith('#'));
  const pyproject = join(directory, 'pyproject.toml');
  const original = await readFile(pyproject, 'utf8');
  await writeFile(
    pyproject,
    original.replace('[tool.uv]\n', `[tool.uv]\nconstraint-dependencies = ${JSON.stringify(constraints)}\n`),
  );
  const options = { cwd: directory, failure: 'uv could not lock the rendered project' };
  await runOrThrow('uv', ['lock', '--quiet'], options);
  await writeFile(pyproject, original);
  await runOrThrow('uv', ['lock', '--quiet'], options);
}

async function commit(directory: string): Promise<void> {
  const git = (...args: string[]) =>
    runOrThrow('git', args, { cwd: directory, failure: 'git could not commit the rendered project' });
  await git('init', '--quiet', '--initial-branch=main');
  await git('add', '--all');
  await git(
    '-c',
    'user.name=Sample Author',
    '-c',
    'user.email=author@example.com',
    'commit',
    '--quiet',
    '--no-verify',
    '--message=Start',
  );
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
      await writeFile(join(directory, projectPaths.vaultPassword), 'only for these checks\n', {
        mode: 0o600,
      });
      await lock(directory);
      await commit(directory);
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
