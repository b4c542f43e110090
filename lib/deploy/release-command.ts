import { GobootError, usageError } from '../errors.ts';
import type { Environment } from '../project.ts';
import type { SshConnection, StreamOptions } from '../ssh/connection.ts';
import { formatSeconds } from '../terminal/format.ts';

/** A line of the release command's report. */
export interface ReleaseEvent {
  event: string;
  name?: string;
  status?: string;
  message?: string;
  seconds?: number;
  detail?: string[];
  [further: string]: unknown;
}

/** How a run of the release command has ended. */
export interface ReleaseResult extends ReleaseEvent {
  status: string;
  message: string;
  release?: string;
  /** Seconds on the host until visitors got the release. */
  live_seconds?: number;
}

export interface ReleaseRun {
  result: ReleaseResult;
  events: ReleaseEvent[];
  exitCode: number;
}

/** Exit statuses of the release command. */
const exitStatus = { ok: 0, usage: 2, locked: 75 };
const shownDetailLines = 8;

/** A word for a POSIX shell, which passes it on as it is. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The names under which the program of a site on its host is started. */
export type HostProgram = 'release' | 'backup';

/** What a shell on the host has to be told to run the release command of a site, or its backup command. */
export function releaseCommandLine(
  site: string,
  words: readonly string[],
  program: HostProgram = 'release',
): string {
  return ['sudo', '-n', `/usr/local/sbin/${site}-${program}`, ...words].map(shellWord).join(' ');
}

/**
 * Runs the release command of a site, or its backup command, over SSH and returns what it reported, whatever its outcome. On the host it goes
 * on by itself when the connection breaks.
 *
 * Throws a GobootError when it could not be run, or ended without a result.
 */
export async function runReleaseCommand(
  { connection, environment }: { connection: SshConnection; environment: Environment },
  words: readonly string[],
  {
    onEvent = () => {},
    program = 'release',
    ...how
  }: Omit<StreamOptions, 'onLine'> & {
    onEvent?: (event: ReleaseEvent) => void;
    program?: HostProgram;
  } = {},
): Promise<ReleaseRun> {
  const { site, host } = environment;
  const events: ReleaseEvent[] = [];
  const command = releaseCommandLine(site, [...words, '--json'], program);
  const { exitCode, stderr, connectionError } = await connection.stream(command, {
    ...how,
    onLine(line) {
      const event = parseEvent(line);
      if (!event) return;
      events.push(event);
      onEvent(event);
    },
  });
  const result = events.findLast((event): event is ReleaseResult => event.event === 'result');
  if (result) return { result, events, exitCode };
  if (exitCode === exitStatus.ok) {
    return { result: { event: 'result', status: 'ok', message: '' }, events, exitCode };
  }
  if (connectionError) {
    if (events.length === 0) throw connectionError;
    throw new GobootError(
      `The connection to ${host.address} broke after the step "${events.at(-1)?.name ?? ''}"`,
      {
        remedy:
          'What had begun on the server goes on there by itself. Run the same command again: it says what is live.',
      },
    );
  }
  const reason = stderr.trim().split('\n').at(-1) || `exit status ${exitCode}`;
  throw new GobootError(`The ${program} command of ${site} cannot run on ${host.address}: ${reason}`, {
    remedy: 'Provision the host again: yo goboot:deploy --provision',
  });
}

function parseEvent(line: string): ReleaseEvent | undefined {
  try {
    const event = JSON.parse(line);
    return typeof event?.event === 'string' ? event : undefined;
  } catch {
    return undefined;
  }
}

/** Throws what a run of the release command failed with: the step, its reason, and the last lines of its log. */
export function throwOnFailure({ result, events, exitCode }: ReleaseRun): void {
  if (exitCode === exitStatus.ok) return;
  const failed = events.findLast(({ event, status }) => event === 'step' && status === 'failed');
  const message = failed?.name ? `${failed.name}: ${result.message}` : result.message;
  if (exitCode === exitStatus.usage) throw usageError(message);
  const detail = (failed?.detail ?? []).slice(-shownDetailLines).map((line) => `\n    | ${line}`);
  throw new GobootError(`${message}${detail.join('')}`, {
    ...(exitCode === exitStatus.locked && { remedy: 'To wait for it: --wait 600' }),
  });
}

/** Where the time on the host went, the slowest steps first. */
export function slowestSteps(events: readonly ReleaseEvent[]): string {
  return events
    .filter(({ event, status }) => event === 'step' && status === 'ok')
    .sort((a, b) => Number(b.seconds) - Number(a.seconds))
    .slice(0, 4)
    .map(({ name, seconds }) => `${name} ${formatSeconds(Number(seconds))}`)
    .join(', ');
}
