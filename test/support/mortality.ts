/** What everything fails with after the moment at which a run was killed. */
class Killed extends Error {
  constructor() {
    super('the run was killed');
  }
}

let acts = 0;
let last = Number.POSITIVE_INFINITY;

/** Lets the run die before its nth act from now on; without a number it lives. Returns how many acts there were before. */
export function dieBefore(nth = Number.POSITIVE_INFINITY): number {
  const before = acts;
  acts = 0;
  last = nth;
  return before;
}

/** Lets a run die before its nth act, and returns when it is dead. Throws where it lived longer than that. */
export async function killBefore(nth: number, run: () => Promise<unknown>): Promise<void> {
  dieBefore(nth);
  try {
    // What it says of its death is heard by nobody.
    await run().catch(() => {});
    if (acts < last) throw new Error(`It lived on after ${nth - 1} acts`);
  } finally {
    dieBefore();
  }
}

/** Counts an act. Whoever is dead acts no more, not even to clean up. */
export function act(): void {
  acts += 1;
  if (acts >= last) throw new Killed();
}

/** A function that counts as an act before it begins, and as another one when it has ended. */
export function mortal<Arguments extends unknown[], Result>(
  action: (...args: Arguments) => Promise<Result>,
): (...args: Arguments) => Promise<Result> {
  return async (...args) => {
    act();
    const result = await action(...args);
    act();
    return result;
  };
}

const changes = ['appendFile', 'mkdir', 'rename', 'rm', 'truncate', 'writeFile'] as const;

/** Node's functions for files, of which those that change something count as acts: for `vi.mock`. */
export function mortalFiles(files: typeof import('node:fs/promises')): typeof import('node:fs/promises') {
  const counted = changes.map((name) => [
    name,
    mortal(files[name] as (...args: never[]) => Promise<unknown>),
  ]);
  const all = { ...files, ...Object.fromEntries(counted) };
  return { ...all, default: all };
}

/** Programs, each of which counts as an act at its start and at its end: for `vi.mock`. */
export function mortalPrograms(programs: typeof import('../../lib/process.ts')) {
  return {
    ...programs,
    run: mortal(programs.run),
    runOrThrow: mortal(programs.runOrThrow),
  };
}

/** Lets each request count as an act when it is sent, and when it is answered. Returns what takes that back. */
export function makeRequestsMortal(): () => void {
  const { fetch } = globalThis;
  globalThis.fetch = mortal(fetch);
  return () => {
    globalThis.fetch = fetch;
  };
}

/**
 * The moments at which a run of that many acts is killed in a test: some by default, spread over all of it, and every one
 * with `GOBOOT_EVERY_MOMENT=1`.
 */
export function momentsOf(total: number): number[] {
  const step = process.env.GOBOOT_EVERY_MOMENT ? 1 : Math.max(1, Math.floor(total / 7));
  return Array.from({ length: Math.ceil(total / step) }, (_, index) => 1 + index * step);
}
