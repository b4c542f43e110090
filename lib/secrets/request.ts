import { usageError } from '../errors.ts';
import { quoted } from '../validate.ts';
import { validateOwnName } from './own-secrets.ts';
import { generatedSecrets } from './rotatable.ts';

/** What was asked for on the command line of `yo goboot:secrets`. */
export type SecretsRequest =
  | { action: 'look' | 'finish' | 'resume' }
  | { action: 'set' | 'unset'; name: string }
  | { action: 'rotate'; names: readonly string[] | 'all'; leaked: boolean };

export interface SecretsFlags {
  set?: string | undefined;
  unset?: string | undefined;
  /** Names with commas, or `all`. */
  rotate?: string | undefined;
  leaked?: string | undefined;
  finish: boolean;
  resume: boolean;
}

/** Checks what was typed. Throws a usage error that names the value at fault. */
export function secretsRequest({ set, unset, rotate, leaked, finish, resume }: SecretsFlags): SecretsRequest {
  const asked: SecretsRequest[] = [
    ...(set === undefined ? [] : [{ action: 'set', name: validateOwnName(set) } as const]),
    ...(unset === undefined ? [] : [{ action: 'unset', name: validateOwnName(unset) } as const]),
    ...(rotate === undefined
      ? []
      : [{ action: 'rotate', names: namesOf(rotate, '--rotate'), leaked: false } as const]),
    ...(leaked === undefined
      ? []
      : [{ action: 'rotate', names: namesOf(leaked, '--leaked'), leaked: true } as const]),
    ...(finish ? [{ action: 'finish' } as const] : []),
    ...(resume ? [{ action: 'resume' } as const] : []),
  ];
  if (asked.length > 1) {
    throw usageError(
      '--set, --unset, --rotate, --leaked, --finish and --resume exclude each other',
      'Give one of them; without any, you see all secrets.',
    );
  }
  return asked[0] ?? { action: 'look' };
}

function namesOf(text: string, flag: string): readonly string[] | 'all' {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean);
  if (names.length === 1 && names[0] === 'all') return 'all';
  const known = generatedSecrets.map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined && names.length > 0) return [...new Set(names)];
  if (unknown !== undefined && /^[A-Z][A-Z0-9_]*$/.test(unknown)) {
    throw usageError(
      `Only whoever has issued ${quoted(unknown)} can make a new value of it`,
      flag === '--leaked'
        ? `Let them revoke the old value, then: yo goboot:secrets --set ${unknown}`
        : `Get one, then: yo goboot:secrets --set ${unknown}`,
    );
  }
  throw usageError(
    `${flag} does not know ${quoted(unknown ?? text)}`,
    `It takes ${known.join(', ')}, several of them with commas, or all.`,
  );
}

/** Reads a number of days, as `90d` or `90`. Throws a usage error. */
export function daysOf(text: string, flag: string): number {
  const [, digits] = /^(\d{1,4})d?$/.exec(text) ?? [];
  if (digits !== undefined) return Number(digits);
  throw usageError(`${flag} ${quoted(text)} is not a number of days`, `Write it like this: ${flag} 90d`);
}
