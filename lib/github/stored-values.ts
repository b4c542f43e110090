import { GobootError } from '../errors.ts';
import { fullName, type RepositoryName } from './repository.ts';

/** Where secrets and variables are kept: in a repository, or in one of its environments. */
export interface ValueStore extends RepositoryName {
  environment?: string;
}

/** What people call such a place. */
export function describeStore({ environment, ...repository }: ValueStore): string {
  return environment ? `the environment ${environment} of ${fullName(repository)}` : fullName(repository);
}

export type ValueKind = 'secret' | 'variable';

// https://docs.github.com/actions/reference/security/secrets
const largestValue = 48 * 1024;

// https://docs.github.com/actions/reference/workflows-and-actions/variables
const mostValues: Record<ValueKind, { repository: number; environment: number }> = {
  secret: { repository: 100, environment: 100 },
  variable: { repository: 500, environment: 100 },
};

/** Checks the name of a secret or variable. Throws a GobootError. */
export function validateValueName(name: string, kind: ValueKind): void {
  const refuse = (reason: string, remedy: string) =>
    new GobootError(`GitHub allows no ${kind} of the name ${JSON.stringify(name)}: ${reason}`, { remedy });
  if (!/^[A-Za-z0-9_]+$/.test(name)) {
    throw refuse('it may hold letters, digits and underscores only', 'Change the name.');
  }
  if (/^\d/.test(name)) throw refuse('it begins with a digit', 'Begin it with a letter.');
  if (/^GITHUB_/i.test(name)) throw refuse('GITHUB_ is reserved', 'Begin it with something else.');
}

/**
 * Checks secrets or variables before any of them is sent; the messages never show a value. Throws a GobootError.
 *
 * @param existing the names that the store holds already.
 */
export function validateValues(
  values: Readonly<Record<string, string>>,
  kind: ValueKind,
  store: ValueStore,
  existing: readonly string[],
): void {
  const names = Object.keys(values);
  for (const name of names) {
    validateValueName(name, kind);
    const size = Buffer.byteLength(values[name] ?? '');
    if (size === 0) {
      throw new GobootError(`The ${kind} ${name} is empty`, {
        remedy: 'Give it a value: workflows cannot tell an empty one from a missing one.',
      });
    }
    if (size > largestValue) {
      throw new GobootError(
        `The ${kind} ${name} has ${size} bytes, and GitHub takes at most ${largestValue}`,
        {
          remedy: 'Shorten it, or encrypt it into a file of the repository.',
        },
      );
    }
  }
  const all = new Set([...existing, ...names].map((name) => name.toUpperCase()));
  if (new Set(names.map((name) => name.toUpperCase())).size < names.length) {
    throw new GobootError(`Two ${kind}s have names that differ in upper and lower case only`, {
      remedy: 'GitHub takes them for one: rename one of them.',
    });
  }
  const most = mostValues[kind][store.environment ? 'environment' : 'repository'];
  if (all.size > most) {
    throw new GobootError(
      `${describeStore(store)} would have ${all.size} ${kind}s, and GitHub allows ${most}`,
      { remedy: 'Delete some that are not used any more.' },
    );
  }
}
