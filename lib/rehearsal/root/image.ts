import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import {
  type AptSource,
  debianMirrors,
  formatDeb822,
  inheritedAptOptions,
  parseAptSources,
} from '../apt-sources.ts';
import { type RehearsalSystem, rehearsalSystems } from '../operating-systems.ts';
import { debianKeyring, type ImageRecipe, imageKey, imageRecipe, mmdebstrapArguments } from '../recipe.ts';
import { command, type StepContext } from './commands.ts';
import { withLock } from './lock.ts';
import { rootPaths } from './paths.ts';
import { machineNames, readJson, readMachine, writeJson } from './state.ts';

/** Older images are made anew: a rented server comes with recent packages, too. */
const maximumAgeDays = 30;

interface ImageState {
  builtAt: string;
}

function computerSources(): AptSource[] {
  const directory = '/etc/apt/sources.list.d';
  const names = existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : [];
  return ['/etc/apt/sources.list', ...names].flatMap((file) => {
    const format = file.endsWith('.sources') ? 'deb822' : file.endsWith('.list') ? 'list' : undefined;
    return format && existsSync(file) ? parseAptSources(readFileSync(file, 'utf8'), format) : [];
  });
}

async function recipeOf(os: RehearsalSystem): Promise<ImageRecipe> {
  const dump = await execa('apt-config', ['dump'], { reject: false });
  return imageRecipe(os, debianMirrors(computerSources()), inheritedAptOptions(dump.stdout ?? ''));
}

/** Writes files below a root; sudo refuses rules that others can read or write. */
export function writeFiles(root: string, files: Record<string, string>): void {
  for (const [path, content] of Object.entries(files)) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    chmodSync(file, path.startsWith('etc/sudoers.d/') ? 0o440 : 0o644);
  }
}

/** Removes a directory; a mount below it, which nothing should have left, is not entered. */
export async function removeTree(context: Pick<StepContext, 'log'>, directory: string): Promise<void> {
  await command(context, `Removing ${directory} failed`, [
    'rm',
    '--recursive',
    '--force',
    '--one-file-system',
    directory,
  ]);
}

async function build(context: StepContext, recipe: ImageRecipe, directory: string): Promise<void> {
  const { title } = rehearsalSystems[recipe.os];
  const failure = `Building the image of ${title} failed`;
  const partial = `${directory}.partial`;
  await removeTree(context, partial);
  try {
    // Own process and mount namespaces: however this ends, the kernel takes processes and mounts with it.
    await command(
      context,
      failure,
      [
        ...['setpriv', '--pdeathsig', 'KILL'],
        ...['unshare', '--fork', '--kill-child', '--pid', '--mount', '--mount-proc'],
        'mmdebstrap',
        ...mmdebstrapArguments(recipe, partial),
      ],
      { signal: context.signal, env: { LC_ALL: 'C.UTF-8' } },
    );
    const list = join(partial, 'etc/apt/sources.list');
    const sources =
      recipe.sources.length > 0 ? recipe.sources : parseAptSources(readFileSync(list, 'utf8'), 'list');
    rmSync(list);
    writeFiles(partial, {
      ...recipe.files,
      'etc/apt/sources.list.d/debian.sources': formatDeb822(sources, debianKeyring),
    });
    // mmdebstrap's own copy of the apt options would be a second place for them.
    rmSync(join(partial, 'etc/apt/apt.conf.d/99mmdebstrap'), { force: true });
    for (const name of readdirSync(join(partial, 'etc/ssh'))) {
      if (name.startsWith('ssh_host_')) rmSync(join(partial, 'etc/ssh', name));
    }
    await command(context, failure, ['chroot', partial, 'systemctl', 'enable', 'systemd-networkd.service']);
    // Only now: an old image is better than none.
    await removeImages(context, `${recipe.os}-`, partial);
    renameSync(partial, directory);
    writeJson(`${directory}.json`, { builtAt: new Date().toISOString() } satisfies ImageState);
  } finally {
    await removeTree(context, partial);
  }
}

function isFresh(directory: string): boolean {
  const state = readJson<ImageState>(`${directory}.json`);
  const age = state ? Date.now() - Date.parse(state.builtAt) : Number.POSITIVE_INFINITY;
  return existsSync(directory) && age < maximumAgeDays * 24 * 3600 * 1000;
}

async function removeImages(
  context: Pick<StepContext, 'log'>,
  prefix: string,
  except?: string,
): Promise<void> {
  if (!existsSync(rootPaths.images)) return;
  const inUse = new Set(machineNames().map((name) => readMachine(name)?.image));
  for (const name of readdirSync(rootPaths.images)) {
    const path = join(rootPaths.images, name);
    const image = path.replace(/\.json$/, '');
    if (!name.startsWith(prefix) || name.endsWith('.lock') || path === except || inUse.has(image)) continue;
    await removeTree(context, path);
  }
}

/** Removes the images that no machine uses. Call it under the lock. */
export async function removeUnusedImages(context: Pick<StepContext, 'log'>): Promise<void> {
  await removeImages(context, '');
}

/**
 * The directory of a system's image, built first when there is none that is recent and made by today's recipe.
 * Two programs that need the same image at the same time build it once.
 */
export async function ensureImage(context: StepContext, os: RehearsalSystem): Promise<string> {
  const recipe = await recipeOf(os);
  const directory = join(rootPaths.images, imageKey(recipe));
  if (isFresh(directory)) return directory;
  return context.progress(`Building the image of ${rehearsalSystems[os].title} (once)`, () =>
    withLock(
      buildLock(os),
      async () => {
        if (isFresh(directory)) return directory;
        const inUse = machineNames().some((name) => readMachine(name)?.image === directory);
        // An image that hosts are running on stays until they are gone, whatever its age.
        if (inUse && existsSync(directory)) return directory;
        await build(context, recipe, directory);
        return directory;
      },
      { signal: context.signal },
    ),
  );
}

function buildLock(os: string): string {
  return join(rootPaths.images, `${os}.lock`);
}

/** Removes what a build that was killed has left behind. */
export async function removeAbandonedBuilds(context: Pick<StepContext, 'log'>): Promise<void> {
  if (!existsSync(rootPaths.images)) return;
  for (const name of readdirSync(rootPaths.images).filter((entry) => entry.endsWith('.partial'))) {
    const [os = ''] = name.split('-');
    const remove = () => removeTree(context, join(rootPaths.images, name));
    // Who cannot have the lock at once meets a build that is going on.
    await withLock(buildLock(os), remove, { wait: false }).catch(() => {});
  }
}
