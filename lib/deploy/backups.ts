import { userInfo } from 'node:os';
import { usageError } from '../errors.ts';
import { alignColumns } from '../terminal/format.ts';
import { quoted } from '../validate.ts';
import { type ReleaseEvent, type ReleaseRun, runReleaseCommand, throwOnFailure } from './release-command.ts';

/** A backup, as the backup command describes it. */
export interface Backup {
  /** The second when its database was dumped: 20260131T031500Z. */
  backup: string;
  /** The same, ISO 8601. */
  time: string;
  /** The release that was live then; empty if there was none. */
  release: string;
  commit: string;
  /** The name of the machine that it was made on. */
  host: string;
  rows: number;
  tables: number;
  /** Uploads. */
  files: number;
  /** Their bytes. */
  size: number;
  /** Bytes of the dump of the database. */
  dump_size: number;
  places: string[];
}

const places = ['first', 'second'] as const;

type Place = (typeof places)[number];

/** What was asked for on the command line of `yo goboot:backups`. */
export type BackupsRequest =
  | { action: 'list' }
  | { action: 'run' | 'drill'; place?: Place }
  | { action: 'restore'; backup?: string; place?: Place; acceptLoss: boolean };

/** Checks what was typed. Throws a usage error that names the value at fault. */
export function backupsRequest(
  [action = 'list', value]: readonly string[],
  given: { place?: string; acceptLoss?: boolean } = {},
): BackupsRequest {
  const remedy = 'Say one of: yo goboot:backups list, run, drill, or restore BACKUP.';
  const known = ['list', 'run', 'drill', 'restore'];
  if (!known.includes(action))
    throw usageError(`${quoted(action)} is not something to do with backups`, remedy);
  if (value !== undefined && action !== 'restore')
    throw usageError(`Unexpected argument ${quoted(value)}`, remedy);
  if (given.acceptLoss && action !== 'restore') {
    throw usageError(`--accept-loss says nothing about ${quoted(action)}`, 'Give it with "restore".');
  }
  if (given.place !== undefined && action === 'list') {
    throw usageError('--place says nothing about "list"', 'The list shows the places of each backup.');
  }
  const where = given.place === undefined ? {} : { place: validatePlace(given.place) };
  if (action === 'run' || action === 'drill') return { action, ...where };
  if (action === 'list') return { action };
  if (value !== undefined && !/^\d{8}T\d{6}Z$/.test(value)) {
    throw usageError(`${quoted(value)} is not the name of a backup`, 'yo goboot:backups lists the names.');
  }
  return {
    action: 'restore',
    ...(value !== undefined && { backup: value }),
    ...where,
    acceptLoss: given.acceptLoss ?? false,
  };
}

function validatePlace(value: string): Place {
  const found = places.find((place) => place === value);
  if (found) return found;
  throw usageError(`--place ${quoted(value)} is not a place of backups`, 'Use first or second.');
}

/** What is going to happen, in lines. */
export function backupsPlan(request: Exclude<BackupsRequest, { action: 'list' }>): string[] {
  const where = request.place ? ` in the ${request.place} place` : '';
  switch (request.action) {
    case 'run':
      return [`Make a backup${where || ', and take it to the second place if there is one'}`];
    case 'drill':
      return [`Restore the newest backup${where} where it disturbs nobody, and compare`];
    case 'restore':
      return [
        `Restore ${request.backup ?? 'the newest backup'}${where} beside the site, and say what would be lost`,
        'Once that is accepted: close the site, swap database and uploads, open it',
      ];
  }
}

type Host = Parameters<typeof runReleaseCommand>[0];

/** The backups in all places, newest first, and what is wrong with them. */
export async function listBackups(
  host: Host,
): Promise<{ backups: Backup[]; problems: string[]; warnings: string[] }> {
  const run = await runReleaseCommand(host, ['list'], { program: 'backup' });
  throwOnFailure(run);
  const { problems = [] } = run.result as { problems?: string[] };
  const warnings = run.events
    .filter(({ event, name }) => event === 'warning' && name !== 'backups')
    .map(({ message }) => String(message));
  return { backups: run.events.filter(isBackup), problems, warnings };
}

function isBackup(event: ReleaseEvent): event is ReleaseEvent & Backup {
  return event.event === 'backup';
}

/** Makes a backup or a drill, or restores a backup that may be lost for. Throws when that fails. */
export async function workOnBackups(
  host: Host,
  request: Exclude<BackupsRequest, { action: 'list' }>,
  onEvent: (event: ReleaseEvent) => void,
): Promise<ReleaseRun> {
  const words = [...requestWords(request), ...(request.action === 'restore' ? ['--accept-loss'] : [])];
  const run = await runReleaseCommand(host, words, { program: 'backup', onEvent });
  throwOnFailure(run);
  return run;
}

function requestWords(request: Exclude<BackupsRequest, { action: 'list' }>): string[] {
  return [
    request.action,
    ...(request.action === 'restore' && request.backup ? [request.backup] : []),
    ...(request.place ? [`--place=${request.place}`] : []),
    `--by=${process.env.GITHUB_ACTOR || userInfo().username}`,
  ];
}

/** What restoring a backup would lose: in one sentence, and by table. Nothing is changed. */
export async function askWhatRestoringLoses(
  host: Host,
  request: Extract<BackupsRequest, { action: 'restore' }>,
  onEvent: (event: ReleaseEvent) => void,
): Promise<{ loss: string; differences: string[] }> {
  const run = await runReleaseCommand(host, requestWords(request), { program: 'backup', onEvent });
  if (run.result.status !== 'confirmation-needed') throwOnFailure(run);
  const differences = run.events
    .filter(({ event }) => event === 'difference')
    .map(({ table, lost, returning }) => `${table}: ${lost} only now, ${returning} only then`);
  return { loss: run.result.message, differences };
}

/** The backups as a table for people. */
export function backupTable(backups: readonly Backup[]): string[] {
  if (backups.length === 0) return ['There is no backup yet.'];
  const megabytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
  return alignColumns([
    ['backup', 'when (UTC)', 'rows', 'uploads', 'size', 'commit', 'places'],
    ...backups.map((backup) => [
      backup.backup,
      backup.time.replace('T', ' ').replace('Z', ''),
      String(backup.rows),
      String(backup.files),
      megabytes(backup.size + backup.dump_size),
      backup.commit.slice(0, 8),
      backup.places.join(', '),
    ]),
  ]);
}
