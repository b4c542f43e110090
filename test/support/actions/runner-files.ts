import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The files through which a step tells the runner something. */
export class RunnerFiles {
  readonly #directory: string;
  static readonly #names = [
    'GITHUB_OUTPUT',
    'GITHUB_ENV',
    'GITHUB_PATH',
    'GITHUB_STEP_SUMMARY',
    'GITHUB_STATE',
  ];

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
    for (const path of Object.values(this.variables)) writeFileSync(path, '');
  }

  /** Where they are, as a step's environment says it. */
  get variables(): Record<string, string> {
    return Object.fromEntries(RunnerFiles.#names.map((name) => [name, join(this.#directory, name)]));
  }

  get outputs(): Record<string, string> {
    return assignments(this.#read('GITHUB_OUTPUT'));
  }

  get environment(): Record<string, string> {
    return assignments(this.#read('GITHUB_ENV'));
  }

  get path(): string[] {
    return this.#read('GITHUB_PATH').split('\n').filter(Boolean);
  }

  get summary(): string {
    return this.#read('GITHUB_STEP_SUMMARY');
  }

  #read(name: string): string {
    const path = join(this.#directory, name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }
}

/**
 * Reads `name=value` lines, and values of several lines between delimiters (`name<<EOF`). Throws an error in the
 * runner's words for anything else, which fails the step.
 */
export function assignments(content: string): Record<string, string> {
  const found: Record<string, string> = {};
  const lines = content.split(/\r?\n/);
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] as string;
    if (line === '') continue;
    const [, name, sign, rest = ''] = /^(.+?)(<<|=)(.*)$/.exec(line) ?? [];
    if (name === undefined) throw new Error(`Invalid format '${line}'`);
    if (sign === '=') {
      found[name] = rest;
      continue;
    }
    const end = lines.indexOf(rest, index + 1);
    if (rest === '' || end === -1) {
      throw new Error(`Invalid value. Matching delimiter not found '${rest}'`);
    }
    found[name] = lines.slice(index + 1, end).join('\n');
    index = end;
  }
  return found;
}
