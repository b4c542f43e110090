import { UnsupportedError } from './files.ts';

/** A message that GitHub shows beside a run. */
export interface Annotation {
  level: 'error' | 'warning' | 'notice';
  message: string;
}

/** A secret that something printed: only the mask kept it from readers. */
export interface Leak {
  secret: string;
  where: string;
}

const unescapeData = (value: string) =>
  value.replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%25', '%');

/** The log of a run: secrets are masked in what it records, and noted where something printed them. */
export class Log {
  readonly annotations: Annotation[] = [];
  readonly leaks: Leak[] = [];
  #text = '';
  readonly #secrets = new Map<string, string>();

  /** What was recorded, masked. */
  get text(): string {
    return this.#text;
  }

  /** Like a runner, masks the whole value and each line of it. */
  addSecret(name: string, value: string): void {
    for (const part of [value, ...value.split(/[\r\n]+/)]) {
      if (part.trim()) this.#secrets.set(part, name);
    }
  }

  /** Whether a text holds a secret. */
  holdsSecret(value: string): boolean {
    return [...this.#secrets.keys()].some((secret) => value.includes(secret));
  }

  /** A text without its secrets; those that it holds are noted as printed in a place. */
  mask(value: string, where: string): string {
    let masked = value;
    for (const secret of [...this.#secrets.keys()].sort((a, b) => b.length - a.length)) {
      if (!masked.includes(secret)) continue;
      const leak = { secret: this.#secrets.get(secret) as string, where };
      if (!this.leaks.some((known) => known.secret === leak.secret && known.where === where)) {
        this.leaks.push(leak);
      }
      masked = masked.replaceAll(secret, '***');
    }
    return masked;
  }

  /** Records one line of a step's output, and does what it says where it is a command to the runner. */
  line(line: string, where: string): void {
    const [, command, value = ''] = /^\s*::([a-z-]+)(?: [^:]*)?::(.*)$/s.exec(line) ?? [];
    if (command === 'add-mask') {
      this.addSecret(`add-mask in ${where}`, unescapeData(value));
      return;
    }
    this.#text += `${this.mask(line, where)}\n`;
    if (command === undefined || ['group', 'endgroup', 'debug'].includes(command)) return;
    if (command !== 'error' && command !== 'warning' && command !== 'notice') {
      throw new UnsupportedError(`the executor does not know the command ::${command}::`);
    }
    this.annotations.push({ level: command, message: this.mask(unescapeData(value), where) });
  }
}
