import { UnsupportedError } from './files.ts';

/** A pattern of a filter (`branches:`, `paths:`) or of `hashFiles`, as a regular expression for whole names. */
export function patternOf(glob: string): RegExp {
  if (/[![\]+?\\{}]/.test(glob)) {
    throw new UnsupportedError(`the executor knows only * and ** in patterns: ${glob}`);
  }
  const source = glob
    .replaceAll(/[.^$()|]/g, '\\$&')
    .replaceAll(/\*\*\/|\*\*|\*/g, (stars) =>
      stars === '**/' ? '(?:.*/)?' : stars === '**' ? '.*' : '[^/]*',
    );
  return new RegExp(`^${source}$`);
}

/** Whether one of the patterns is that of a name. */
export function matchesAny(globs: readonly string[], name: string): boolean {
  return globs.some((glob) => patternOf(glob).test(name));
}
