import { parseArgs } from 'node:util';
import { usageError } from './errors.ts';
import type { Question, Switch } from './questions.ts';
import { quoted } from './validate.ts';

/** What one command accepts: questions by flag, switches, and named positional arguments. */
export interface CommandDefinition {
  questions: readonly Question[];
  switches: readonly Switch[];
  /** Names of the positional arguments, in order; all optional. */
  positionals: readonly string[];
  /** Whether words of another program may follow, best behind `--`: then every word counts as one of them. */
  passesOn?: boolean;
}

export interface CommandLine {
  positionals: string[];
  /** Values by flag name without dashes: text, or `true` for a switch. */
  values: Record<string, string | boolean | undefined>;
}

interface Flag {
  flag: string;
  short?: string;
  takesValue: boolean;
  repeatable?: boolean;
}

function flagsOf(definition: CommandDefinition): Flag[] {
  const asked = definition.questions.flatMap(({ flag, short }) =>
    flag ? [{ flag, takesValue: true, ...(short && { short }) }] : [],
  );
  const others = definition.switches.map(({ flag, short, value, repeatable }) => ({
    flag,
    takesValue: value !== undefined,
    ...(repeatable && { repeatable }),
    ...(short && { short }),
  }));
  return [...asked, ...others];
}

// Flags of yo and its environment that may stand beside ours; they are none of our business.
const foreignFlags = [
  'help',
  'h',
  'no-insight',
  'insight',
  'local-only',
  'skip-cache',
  'skip-install',
  'no-color',
  'color',
];

/**
 * Finds the words that follow a generator's name on the command line of `yo`.
 *
 * Returns undefined when this process was not started as `yo <namespace> …`, or when several generators were
 * given at once.
 */
export function wordsAfterNamespace(argv: readonly string[], namespace: string): string[] | undefined {
  const words = argv.slice(2);
  const start = words.findIndex((word) => word === namespace || `${word}:app` === namespace);
  const own = words.includes('--') ? words.slice(0, words.indexOf('--')) : words;
  if (start === -1 || own.some((word) => word.endsWith(','))) return undefined;
  return [...words.slice(0, start), ...words.slice(start + 1)];
}

/**
 * Reads a command line exactly as it was typed. `yo` and yeoman-generator parse it twice over and lose information:
 * `--check=false` becomes true, `--yes demo` swallows the project's name, `007` becomes 7, and unknown flags vanish.
 *
 * Throws a usage error that names the word at fault.
 */
export function parseCommandLine(words: readonly string[], definition: CommandDefinition): CommandLine {
  const flags = flagsOf(definition);
  const { tokens } = parseArgs({
    args: [...words],
    options: Object.fromEntries(
      flags.map(({ flag, short, takesValue }) => [
        flag,
        { type: takesValue ? ('string' as const) : ('boolean' as const), ...(short && { short }) },
      ]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });

  const line: CommandLine = { positionals: [], values: {} };
  for (const token of tokens) {
    if (token.kind === 'positional') line.positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const flag = flags.find((candidate) => candidate.flag === token.name);
    if (!flag) {
      if (foreignFlags.includes(token.name)) continue;
      throw usageError(
        `Unknown option ${token.rawName}`,
        definition.passesOn
          ? `To pass it on, put -- in front of all that is to be passed on: -- ${line.positionals.join(' ')} ${token.rawName}`
          : unknownFlagRemedy(token.name, flags),
      );
    }
    const before = line.values[flag.flag];
    if (before !== undefined && !flag.repeatable) {
      throw usageError(`--${flag.flag} was given more than once`, 'Give it once.');
    }
    const value = flag.takesValue
      ? requiredValue(flag, token.value, token.inlineValue ?? false)
      : switchValue(flag, token.value);
    line.values[flag.flag] = before === undefined ? value : `${before},${value}`;
  }
  const surplus = line.positionals[definition.positionals.length];
  if (surplus !== undefined && !definition.passesOn) {
    throw usageError(`Unexpected argument ${quoted(surplus)}`, 'Put a value with spaces in quotation marks.');
  }
  return line;
}

function requiredValue(flag: Flag, value: string | undefined, joined: boolean): string {
  // "--domain --yes" is a forgotten value; one that really begins with a dash can be given as --domain=-x.
  if (value === undefined || (!joined && /^-[A-Za-z-]/.test(value))) {
    throw usageError(`--${flag.flag} needs a value`, `Write it as --${flag.flag} VALUE.`);
  }
  return value;
}

function switchValue(flag: Flag, value: string | undefined): boolean {
  if (value === undefined || value === 'true') return true;
  if (value === 'false') return false;
  throw usageError(
    `--${flag.flag} takes no value, but was given ${quoted(value)}`,
    `Write --${flag.flag} alone.`,
  );
}

function unknownFlagRemedy(name: string, flags: readonly Flag[]): string {
  const alike = flags.find(
    ({ flag }) => flag.startsWith(name) || name.startsWith(flag) || flag === name.replaceAll('_', '-'),
  );
  return alike ? `Did you mean --${alike.flag}?` : 'See --help for the options.';
}
