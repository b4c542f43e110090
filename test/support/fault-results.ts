import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { inject, test } from 'vitest';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where each fault notes that it began and that it was survived. */
    faultResults: string;
  }
}

interface Line {
  kind: string;
  title: string;
  survived: boolean;
  skipped?: boolean;
  seconds?: number;
}

/**
 * A test of one fault, which counts in the sum that is printed at the end of the suite. `skip` takes it out: there is
 * nothing to survive.
 */
export function fault(kind: string, title: string, survive: (skip: () => never) => Promise<void>): void {
  const file = inject('faultResults');
  const note = (line: Line) => appendFileSync(file, `${JSON.stringify(line)}\n`);
  test(title, async (context) => {
    const started = performance.now();
    let skipped = false;
    note({ kind, title, survived: false });
    await survive(() => {
      skipped = true;
      return context.skip();
    }).finally(() => {
      if (skipped) note({ kind, title, survived: false, skipped });
    });
    note({ kind, title, survived: true, seconds: Math.round((performance.now() - started) / 1000) });
  });
}

/** What was survived of what was tried: a line for each kind of fault, and their sum. */
export function summarizeFaults(file: string): string[] {
  if (!existsSync(file)) return [];
  const all = readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line): Line => JSON.parse(line));
  const skipped = new Set(all.filter((line) => line.skipped).map(({ title }) => title));
  const lines = all.filter(({ title }) => !skipped.has(title));
  const count = (kind: string | undefined) => {
    const counted = lines.filter((line) => kind === undefined || line.kind === kind);
    const survived = counted.filter((line) => line.survived);
    const seconds = survived.reduce((sum, line) => sum + (line.seconds ?? 0), 0);
    return `${survived.length} of ${counted.length - survived.length} (${seconds} s)`;
  };
  const kinds = [...new Set(lines.map(({ kind }) => kind))];
  return [...kinds.map((kind) => `${kind}: ${count(kind)}`), `All faults: ${count(undefined)}`];
}
