import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../lib/paths.ts';
import type { ScaffoldedSite } from './scaffolded-site.ts';

const programs = join(packageRoot, 'test/support/managed-state');

/** A file that provisioning looks after. */
export interface ManagedFile {
  role: string;
  path: string;
  kind: string;
  /** Its content is made once, and belongs to somebody else after that. */
  kept: boolean;
}

/** What provisioning has said of itself in one run. */
export interface RecordedRun {
  exitCode: number | null;
  /** The names of the tasks that were begun, in order. */
  tasks: string[];
  changed: string[];
  files: ManagedFile[];
  units: string[];
  output: string;
}

/** Provisions and writes down what is managed; before the given task (from 1) the whole run is killed. */
export function recordProvisioning(site: ScaffoldedSite, killBefore = 0): Promise<RecordedRun> {
  const record = `${site.directory}.record`;
  rmSync(record, { force: true });
  const child = spawn(
    'uv',
    [
      ...['run', '--quiet', '--only-group', 'ansible', 'ansible-playbook', 'provision.yml'],
      ...['--extra-vars', JSON.stringify(site.variables)],
    ],
    {
      cwd: join(site.directory, '.ansible'),
      env: {
        ...process.env,
        LC_ALL: 'C.UTF-8',
        ANSIBLE_SSH_ARGS: site.sshArguments,
        ANSIBLE_CALLBACK_PLUGINS: programs,
        ANSIBLE_CALLBACKS_ENABLED: 'recorder',
        RECORDER_FILE: record,
        RECORDER_KILL_BEFORE: String(killBefore),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, which is killed as a whole.
      detached: true,
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      output += data;
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    // Not "close": the shared connection outlives the program and has its output open.
    child.once('exit', (exitCode) => {
      const lines = existsSync(record) ? readFileSync(record, 'utf8').split('\n').filter(Boolean) : [];
      const notes = lines.map((line) => JSON.parse(line));
      const files = new Map<string, ManagedFile>();
      // Of several that look after a path, the last one decides.
      for (const note of notes) if (note.path) files.set(note.path, note);
      resolve({
        exitCode,
        tasks: notes.flatMap(({ task }) => task ?? []),
        changed: notes.flatMap(({ ended, changed }) => (changed ? [ended] : [])),
        files: [...files.values()],
        units: [...new Set<string>(notes.flatMap(({ unit }) => unit ?? []))],
        output,
      });
    });
  });
}

/** What is on a host of all that provisioning manages, by name. */
export type Fingerprint = Record<string, string>;

export async function fingerprint(
  site: ScaffoldedSite,
  { files, units }: Pick<RecordedRun, 'files' | 'units'>,
): Promise<Fingerprint> {
  const request = { files, units, site: site.name };
  const program = readFileSync(join(programs, 'fingerprint.py'), 'utf8');
  await site.shell('cat > /run/fingerprint.py', program);
  return JSON.parse(await site.shell('python3 /run/fingerprint.py', JSON.stringify(request)));
}

/** What differs between two looks, one line for each. */
export function differences(before: Fingerprint, after: Fingerprint): string[] {
  return Object.keys(before)
    .filter((name) => before[name] !== after[name])
    .map((name) => `${name}: ${before[name]} → ${after[name]}`);
}

/** Ways to damage files by hand: what they apply to, and the shell command for a path. */
export const damages = {
  deleted: {
    // What is in a directory is not provisioning's alone; a file with rules of others comes with its package; and
    // no backup can be read without what restic has made once.
    applies: ({ kind, path }: ManagedFile) =>
      !['directory', 'absent', 'block'].includes(kind) && !path.endsWith('/repository/config'),
    command: (path: string) => `rm -f '${path}'`,
  },
  edited: {
    applies: ({ kind, kept }: ManagedFile) =>
      ['content', 'secret_content', 'base64_content'].includes(kind) && !kept,
    command: (path: string) => `echo '# damaged by hand' >> '${path}'`,
  },
  'replaced by a link': {
    applies: ({ kind }: ManagedFile) => kind === 'link',
    command: (path: string) => `ln -sfn /dev/null '${path}'`,
  },
  'there again': {
    applies: ({ kind }: ManagedFile) => kind === 'absent',
    command: (path: string) => `mkdir -p "$(dirname '${path}')" && echo '# back again' > '${path}'`,
  },
  'given away': {
    applies: ({ kind, kept }: ManagedFile) => !['link', 'absent'].includes(kind) && !kept,
    command: (path: string) => `chown nobody:nogroup '${path}'`,
  },
  'open to all': {
    applies: ({ kind, kept }: ManagedFile) => !['link', 'absent'].includes(kind) && !kept,
    command: (path: string) =>
      `if [ -d '${path}' ]; then chmod 0777 '${path}'; else chmod 0666 '${path}'; fi`,
  },
} as const;

export type Damage = keyof typeof damages;

/** Damages every file that can be damaged so, provisions, and says what is not as it was before all damage. */
export async function repair(
  site: ScaffoldedSite,
  managed: RecordedRun,
  before: Fingerprint,
  damage: Damage,
): Promise<{ damaged: number; unrepaired: string[] }> {
  const { applies, command } = damages[damage];
  // A block without a line makes no file.
  const isThere = ({ kind, path }: ManagedFile) => kind === 'absent' || before[path] !== 'nothing';
  const targets = managed.files.filter((file) => applies(file) && isThere(file));
  await site.shell(targets.map(({ path }) => command(path)).join('\n') || 'true');
  const broken = await fingerprint(site, managed);
  const untouched = targets.filter(({ path }) => before[path] === broken[path]).map(({ path }) => path);
  if (untouched.length > 0) throw new Error(`Not damaged: ${untouched.join(', ')}`);
  const run = await recordProvisioning(site);
  if (run.exitCode !== 0) throw new Error(`Provisioning failed after files were ${damage}:\n${run.output}`);
  return { damaged: targets.length, unrepaired: differences(before, await fingerprint(site, managed)) };
}

/** Takes away every file that can be made anew, so that provisioning has to begin nearly from the start. */
export async function takeAway(site: ScaffoldedSite, managed: RecordedRun): Promise<void> {
  const { applies, command } = damages.deleted;
  // The certificate that is signed here would be another one.
  const targets = managed.files.filter((file) => applies(file) && file.kind !== 'created_by');
  await site.shell(targets.map(({ path }) => command(path)).join('\n'));
}
