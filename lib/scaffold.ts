import type { Stats } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { usageError } from './errors.ts';
import { projectPaths } from './paths.ts';
import type { Environment, Environments, Project } from './project.ts';
import { type RenderedFile, type RenderOptions, renderProject } from './render.ts';
import { sshConfiguration } from './ssh/configuration.ts';
import { readIfExists } from './ssh/known-hosts.ts';
import { count } from './terminal/format.ts';
import { encryptVariables, newSiteSecrets } from './vault.ts';

const plainFile = 0o644;

/**
 * Every file of a project that is rendered again on each run: the layers and the ssh configuration, and known_hosts
 * where its content is known.
 */
export async function projectFiles(
  project: Project,
  environments: Environments,
  knownHosts: string,
  options: RenderOptions = {},
): Promise<RenderedFile[]> {
  return [
    ...(await renderProject(project, environments, options)),
    {
      path: projectPaths.sshConfiguration,
      contents: Buffer.from(sshConfiguration(environments)),
      mode: plainFile,
    },
    { path: projectPaths.knownHosts, contents: Buffer.from(knownHosts), mode: plainFile },
  ];
}

/** A vault with new secrets for an environment. It is made once; later runs leave it alone. */
export async function newVaultFile(
  environment: Pick<Environment, 'name' | 'basicAuthUser'>,
  password: string,
): Promise<RenderedFile> {
  return {
    path: projectPaths.vault(environment.name),
    contents: Buffer.from(await encryptVariables(newSiteSecrets(environment), password)),
    mode: plainFile,
  };
}

export interface Comparison {
  created: string[];
  changed: string[];
  identical: string[];
}

/** Sorts rendered files by what writing them would do to a directory. */
export async function compareWithDisk(
  files: readonly RenderedFile[],
  projectRoot: string,
): Promise<Comparison> {
  const comparison: Comparison = { created: [], changed: [], identical: [] };
  await Promise.all(
    files.map(async ({ path, contents }) => {
      comparison[await stateOnDisk(join(projectRoot, path), contents)].push(path);
    }),
  );
  for (const paths of Object.values(comparison)) paths.sort();
  return comparison;
}

async function stateOnDisk(path: string, contents: Buffer): Promise<keyof Comparison> {
  try {
    if (!(await stat(path)).isFile()) return 'changed';
    return (await readFile(path)).equals(contents) ? 'identical' : 'changed';
  } catch {
    return 'created';
  }
}

/** The project's known_hosts with the lines that it did not hold yet. */
export async function extendedKnownHosts(projectRoot: string, learned: string): Promise<string> {
  const committed = await readIfExists(join(projectRoot, projectPaths.knownHosts));
  const lines = committed.split('\n');
  const missing = learned.split('\n').filter((line) => line && !lines.includes(line));
  if (missing.length === 0) return committed;
  const whole = committed === '' || committed.endsWith('\n') ? committed : `${committed}\n`;
  return whole + missing.map((line) => `${line}\n`).join('');
}

/** `98 new files, 1 changed file: README.md, 6 identical files`, without the parts that are none. */
export function describeComparison({ created, changed, identical }: Comparison): string {
  const parts = [
    created.length > 0 && count(created.length, 'new file'),
    changed.length > 0 && `${count(changed.length, 'changed file')}: ${changed.join(', ')}`,
    identical.length > 0 && count(identical.length, 'identical file'),
  ];
  return parts.filter(Boolean).join(', ');
}

/** Throws a usage error when files that differ would be overwritten where nobody can be asked. */
export function refuseSilentOverwrite({ changed }: Comparison): void {
  if (changed.length === 0) return;
  throw usageError(
    `${count(changed.length, 'file')} of the project differ from what goboot would write: ${changed.join(', ')}`,
    'Start yo in a terminal to decide file by file, or overwrite them with --force.',
  );
}

/**
 * Writes files that do not exist yet, side by side: nothing can be in conflict with them, and Yeoman's way, one after
 * the other, takes longer than all the rest. Throws when one has come to exist in the meantime.
 */
export async function writeNewFiles(files: readonly RenderedFile[], projectRoot: string): Promise<void> {
  const directories = new Set(files.map(({ path }) => dirname(join(projectRoot, path))));
  await Promise.all([...directories].map((directory) => mkdir(directory, { recursive: true })));
  await Promise.all(
    files.map(({ path, contents, mode }) =>
      // The user's umask decides about everything but the executable bit.
      writeFile(join(projectRoot, path), contents, { flag: 'wx', mode: mode & 0o100 ? 0o777 : 0o666 }),
    ),
  );
}

/** Options for mem-fs-editor: executables keep their mode, all else gets the user's usual one. */
export function writeOptions(mode: number): { stat?: Stats } {
  return mode & 0o100 ? { stat: { mode: 0o100755 } as Stats } : {};
}
