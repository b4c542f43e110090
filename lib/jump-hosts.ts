import { usageError } from './errors.ts';
import type { JumpHost } from './project.ts';
import type { Answers } from './questions.ts';
import { quoted } from './validate.ts';

/** Between the values of several jump hosts, the first one to connect to first. */
const separator = ',';

/** Checks each value of a list with what checks a single one; a single value stays what it is. */
export function each<T>(validate: (value: string) => T): (value: string) => T | string {
  return (value) => {
    const values = value.split(separator).map((part) => validate(part.trim()));
    return values.length === 1 ? (values[0] as T) : values.join(separator);
  };
}

/** A value of each jump host as one text; empty without one. */
export function asList(values: readonly (string | number | undefined)[]): string {
  return values.map((value) => String(value ?? '')).join(separator);
}

/** Values of jump hosts as one answer; one value for all of them where they agree. */
export function asAnswer(values: readonly (string | number | undefined)[]): string {
  return new Set(values).size === 1 ? asList(values.slice(0, 1)) : asList(values);
}

/**
 * The jump host next to the host, with the way to it, as answers describe it; undefined without one. Users, ports and
 * key files are one for all jump hosts, or one for each.
 *
 * Throws a usage error where their number is another one.
 */
export function jumpHostOf(
  answers: Pick<Answers, 'jumpHost' | 'jumpUser' | 'jumpPort' | 'jumpKeyFile'>,
): JumpHost | undefined {
  if (!answers.jumpHost) return undefined;
  const addresses = answers.jumpHost.split(separator);
  const valuesOf = (flag: string, answer: string | number) => {
    const values = String(answer ?? '').split(separator);
    if (values.length === 1) return addresses.map(() => values[0] as string);
    if (values.length === addresses.length) return values;
    throw usageError(
      `--${flag} ${quoted(String(answer))} has ${values.length} values, and --jump-host ${quoted(answers.jumpHost)} has ${addresses.length}`,
      'Give one for all jump hosts, or one for each, separated by commas.',
    );
  };
  const users = valuesOf('jump-user', answers.jumpUser);
  const ports = valuesOf('jump-port', answers.jumpPort);
  const keyFiles = valuesOf('jump-key-file', answers.jumpKeyFile);
  return addresses.reduce<JumpHost | undefined>(
    (jump, address, index) => ({
      address,
      user: users[index] as string,
      port: Number(ports[index]),
      ...(keyFiles[index] && { keyFile: keyFiles[index] }),
      ...(jump && { jump }),
    }),
    undefined,
  );
}
