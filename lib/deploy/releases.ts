import { usageError } from '../errors.ts';
import { alignedRows } from '../terminal/format.ts';
import { quoted } from '../validate.ts';
import { type ReleaseEvent, type ReleaseRun, runReleaseCommand, throwOnFailure } from './release-command.ts';

/** A release on the host, as the release command describes it. */
export interface Release {
  release: string;
  commit: string;
  created: string;
  by: string;
  status: string;
  /** Why it is bad or withdrawn, if it is. */
  message: string;
  live: boolean;
  /** Whether it was live and well. */
  proven: boolean;
  /** Migrations that it applied. */
  migrations: string[];
  /** Path of the dump from before them; empty when there is none. */
  dump: string;
  /** In bytes, without its virtual environment, which it may share. */
  size: number;
}

/** What was asked for on the command line of `yo goboot:releases`. */
export type ReleasesRequest =
  | { action: 'list' }
  | { action: 'delete'; release: string }
  | { action: 'prune'; keep: string };

/** Checks what was typed. Throws a usage error that names the value at fault. */
export function releasesRequest([action, value]: readonly string[]): ReleasesRequest {
  const remedy = 'Say one of: yo goboot:releases list, delete RELEASE, or prune NUMBER.';
  switch (action) {
    case undefined:
    case 'list':
      if (value !== undefined) throw usageError(`Unexpected argument ${quoted(value)}`, remedy);
      return { action: 'list' };
    case 'delete':
      if (value === undefined) throw usageError('It is not said which release to delete', remedy);
      if (!/^[0-9A-Za-z-]{1,100}$/.test(value)) {
        throw usageError(
          `${quoted(value)} is not the name of a release`,
          'yo goboot:releases lists the names.',
        );
      }
      return { action, release: value };
    case 'prune':
      if (value === undefined) throw usageError('It is not said how many releases to keep', remedy);
      if (!/^[1-9][0-9]{0,2}$/.test(value)) {
        throw usageError(`${quoted(value)} is not a number of releases from 1 to 999`, remedy);
      }
      return { action, keep: value };
    default:
      throw usageError(`${quoted(action)} is not something to do with releases`, remedy);
  }
}

/** The releases on the host, newest first. */
export async function listReleases(
  context: Parameters<typeof runReleaseCommand>[0],
): Promise<{ releases: Release[] }> {
  const { events } = await runReleaseCommand(context, ['list']);
  return { releases: events.filter(isRelease) };
}

function isRelease(event: ReleaseEvent): event is ReleaseEvent & Release {
  return event.event === 'release';
}

/** Removes releases. Throws when the release command refuses. */
export async function removeReleases(
  context: Parameters<typeof runReleaseCommand>[0],
  words: readonly string[],
): Promise<ReleaseRun> {
  const run = await runReleaseCommand(context, words);
  throwOnFailure(run);
  return run;
}

/** The releases as a table for people. */
export function releaseTable(releases: readonly Release[]): string[] {
  if (releases.length === 0) return ['Nothing has been deployed yet.'];
  const rows = [
    ['', 'release', 'when (UTC)', 'by', 'state', 'size', ''],
    ...releases.map((release) => [
      release.live ? '*' : '',
      release.release,
      release.created.replace('T', ' ').replace('Z', ''),
      release.by,
      release.live ? 'live' : release.proven ? 'proven' : release.status,
      `${(release.size / 1024 / 1024).toFixed(1)} MiB`,
      notes(release),
    ]),
  ];
  return alignedRows(rows);
}

function notes({ message, migrations, dump }: Release): string {
  const applied = migrations.length > 0 ? [`migrated ${migrations.join(', ')}`] : [];
  return [...(message ? [message] : []), ...applied, ...(dump ? ['with a dump from before'] : [])].join('; ');
}
