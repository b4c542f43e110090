import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readAllDeployPublicKeys } from './ansible/deploy-public-keys.ts';
import { GobootError } from './errors.ts';
import { withSharedVariables } from './new-environment.ts';
import { projectPaths } from './paths.ts';
import { run } from './process.ts';
import type { Environment, Environments, Project } from './project.ts';
import type { RenderedFile } from './render.ts';
import { extendedKnownHosts, projectFiles } from './scaffold.ts';
import { withEnvironment } from './ssh/configuration.ts';
import { count } from './terminal/format.ts';

/** What one more environment means for the files of a project. */
export interface Extension {
  /** Those that do not exist yet. */
  created: RenderedFile[];
  /** Those that exist, with what is added to them; all else in them stays as it is. */
  changed: (RenderedFile & { before: string })[];
  /** Those that their owner has changed where something would have to be added. */
  leftAlone: string[];
}

interface CommonOptions {
  projectRoot: string;
  project: Project;
  /** Lines of known_hosts that were learned from the new host. */
  knownHosts: string;
}

export interface ExtensionOptions extends CommonOptions {
  existing: Environments;
  added: Environment;
  /** A file of the new environment that is there already is from an earlier run, and stays. */
  resumes: boolean;
}

interface RevisionOptions extends CommonOptions {
  before: Environments;
  after: Environments;
  /** The environment that only the later ones have. */
  added?: Environment;
  resumes?: boolean;
}

/**
 * Finds out how the files of a project change with one more environment. What was changed by hand is kept: only the
 * difference that the environment makes is added. Writes nothing.
 *
 * Throws a GobootError when a file of the new environment is in the way.
 */
export function extensionOf({ existing, added, ...options }: ExtensionOptions): Promise<Extension> {
  return revisionOf({ ...options, before: existing, after: [...existing, added], added });
}

/** The same for other changes to the environments: one that is on another host, or that goes. */
export async function revisionOf(options: RevisionOptions): Promise<Extension> {
  const { projectRoot, project, before, after, resumes = false } = options;
  const keys = await readAllDeployPublicKeys(projectRoot, [...new Set([...before, ...after])]);
  const render = (environments: Environments) =>
    projectFiles(project, environments, '', { deployPublicKeys: keys });
  const [without, withIt] = await Promise.all([render(before), render(after)]);
  const extension: Extension = { created: [], changed: [], leftAlone: [] };
  for (const file of withIt) {
    const base = without.find(({ path }) => path === file.path)?.contents.toString('utf8');
    const wanted = await wantedText(file, base, options);
    const written = await readText(join(projectRoot, file.path));
    if (wanted === undefined) extension.leftAlone.push(file.path);
    else if (wanted === written) continue;
    else if (written === undefined) extension.created.push({ ...file, contents: Buffer.from(wanted) });
    else if (base !== undefined)
      extension.changed.push({ ...file, contents: Buffer.from(wanted), before: written });
    else if (!resumes) {
      throw new GobootError(`${file.path} is in the way: it is not of an environment of this project`, {
        remedy: 'Remove it, or choose another name for the environment.',
      });
    }
  }
  return extension;
}

/** The text that a file should have; undefined where that cannot be told. */
async function wantedText(
  { path, contents }: RenderedFile,
  base: string | undefined,
  { projectRoot, before, added, knownHosts }: RevisionOptions,
): Promise<string | undefined> {
  const rendered = contents.toString('utf8');
  if (path === projectPaths.knownHosts) return extendedKnownHosts(projectRoot, knownHosts);
  if (added && path === projectPaths.environmentVariables(added.name)) {
    return withSharedVariables(rendered, projectRoot, before[0]);
  }
  const written = await readText(join(projectRoot, path));
  if (base === undefined) return rendered;
  if (base === rendered) return written ?? rendered;
  if (written === undefined || written === base) return rendered;
  if (added && path === projectPaths.sshConfiguration) return withEnvironment(written, added);
  return merged({ written, base, rendered });
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new GobootError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** Adds the difference between two renderings to what was written; undefined where both have changed the same lines. */
async function merged(texts: {
  written: string;
  base: string;
  rendered: string;
}): Promise<string | undefined> {
  return withFiles(texts, async (directory) => {
    const names = ['written', 'base', 'rendered'];
    const { exitCode, stdout } = await run('git', ['merge-file', '--stdout', '--quiet', ...names], {
      cwd: directory,
    });
    // execa takes the last line break off.
    return exitCode === 0 ? `${stdout}\n` : undefined;
  });
}

/** The lines that a file gains and loses, as people read them in a diff. */
export async function differenceOf({
  before,
  contents,
}: Pick<Extension['changed'][number], 'before' | 'contents'>): Promise<string[]> {
  const texts = { before, after: contents.toString('utf8') };
  const { stdout } = await withFiles(texts, (directory) =>
    run('git', ['diff', '--no-index', '--no-color', '--unified=0', 'before', 'after'], { cwd: directory }),
  );
  return stdout.split('\n').filter((line) => /^[+-](?![+-]{2} )/.test(line));
}

async function withFiles<T>(
  texts: Record<string, string>,
  action: (directory: string) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'goboot-'));
  try {
    await Promise.all(
      Object.entries(texts).map(([name, text]) => writeFile(join(directory, name), text, { mode: 0o600 })),
    );
    return await action(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What will happen to the files, as lines of a plan. */
export async function describeExtension({ created, changed }: Extension): Promise<string[]> {
  const differences = await Promise.all(
    changed.map(async (file) => [
      `Change ${file.path}:`,
      ...(await differenceOf(file)).map((line) => `  ${line}`),
    ]),
  );
  return [
    ...(created.length > 0
      ? [`${count(created.length, 'new file')}: ${created.map(({ path }) => path).join(', ')}`]
      : []),
    ...differences.flat(),
  ];
}
