import { projectPaths } from '../paths.ts';
import { run } from '../process.ts';
import type { Environment } from '../project.ts';
import { alignColumns, count } from '../terminal/format.ts';
import { secretsOf } from './rotatable.ts';
import type { LookContext, SecretState } from './rotation.ts';
import { describePlace, type Secret } from './secret.ts';

/** A secret of a project, as it is now: a row of the table. */
export interface SecretOverview extends Omit<Secret, 'places'> {
  environment: string;
  places: string[];
  /** Since when it has its value, ISO 8601; undefined where nobody knows. */
  changedAt?: string;
  /** Its age in days. */
  days?: number;
  /** Whether all its places have the same value; undefined where not all of them could be looked at. */
  agrees?: boolean;
  /** Places that have another value. */
  differences: string[];
  /** Places that nobody could look at. */
  unknown: string[];
  /** What should be done, if anything. */
  recommendation?: string;
}

/** Secrets that are older than this should be rotated, unless their owner says otherwise. */
export const usualDays = 365;

const millisecondsPerDay = 24 * 60 * 60 * 1000;

/** Looks at every secret of an environment. Changes nothing. Throws a GobootError when the vault cannot be opened. */
export async function lookAtSecrets(
  context: LookContext,
  olderThanDays = usualDays,
  now = Date.now(),
): Promise<SecretOverview[]> {
  const { projectRoot, project, environment, vault } = context;
  const made = await firstCommitOfVault(projectRoot, environment);
  const found = secretsOf(vault).flatMap((rotatable) => {
    const secret = rotatable.describe({ project, environment, vault });
    return secret ? [{ rotatable, secret }] : [];
  });
  return Promise.all(
    found.map(async ({ rotatable, secret }) => {
      const { changedAt = made, differences, unknown, due, repair } = await rotatable.look(context);
      const days =
        changedAt === undefined ? undefined : Math.floor((now - Date.parse(changedAt)) / millisecondsPerDay);
      const recommendation = recommend({ secret, differences, repair, due, days }, { olderThanDays, now });
      return {
        ...secret,
        environment: environment.name,
        places: secret.places.map(describePlace),
        ...(changedAt !== undefined && { changedAt }),
        ...(days !== undefined && { days }),
        ...(differences.length > 0 ? { agrees: false } : unknown.length === 0 && { agrees: true }),
        differences,
        unknown,
        ...(recommendation !== undefined && { recommendation }),
      };
    }),
  );
}

function recommend(
  {
    secret: { name, kind },
    differences,
    repair = 'bring it there: yo goboot:deploy --provision',
    due,
    days = 0,
  }: Pick<SecretState, 'differences'> & {
    secret: Secret;
    repair: SecretState['repair'] | undefined;
    due: SecretState['due'] | undefined;
    days: number | undefined;
  },
  { olderThanDays, now }: { olderThanDays: number; now: number },
): string | undefined {
  if (differences.length > 0) return repair;
  if (due) return Date.parse(due.at) <= now ? due.what : `from ${due.at.slice(0, 10)} on ${due.what}`;
  if (days < olderThanDays) return undefined;
  return kind === 'own'
    ? `get a new value: yo goboot:secrets --set ${name}`
    : `rotate it: yo goboot:secrets --rotate ${name}`;
}

/** When the vault of an environment came to be; undefined where git does not know. */
async function firstCommitOfVault(projectRoot: string, { name }: Environment): Promise<string | undefined> {
  const { stdout } = await run(
    'git',
    ['log', '--diff-filter=A', '--format=%cI', '--', projectPaths.vault(name)],
    { cwd: projectRoot },
  );
  const oldest = stdout.trim().split('\n').at(-1);
  return oldest ? new Date(oldest).toISOString() : undefined;
}

/** The secrets as a table for people. Rows with a recommendation are marked by `mark`. */
export function secretsTable(
  secrets: readonly SecretOverview[],
  mark: (row: string) => string = (row) => row,
): string[] {
  const [heading = '', ...rows] = alignColumns([
    ['environment', 'secret', 'kind', 'age', 'lives in', 'state', 'to do'],
    ...secrets.map((secret) => [
      secret.environment,
      secret.name,
      secret.kind,
      secret.days === undefined ? 'unknown' : count(secret.days, 'day'),
      [...new Set(secret.places.map((place) => place.replace(/ \(.*/, '')))].join(', '),
      describeState(secret),
      secret.recommendation ?? '',
    ]),
  ]);
  return [heading, ...rows.map((row, index) => (secrets[index]?.recommendation ? mark(row) : row))];
}

function describeState({ differences, unknown }: SecretOverview): string {
  if (differences.length > 0) return `differs: ${differences.join(', ')}`;
  return unknown.length > 0 ? `not seen: ${unknown.join(', ')}` : 'the same everywhere';
}
