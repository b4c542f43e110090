import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { runOrThrow } from '../../../lib/process.ts';
import type { RunnerOptions } from './jobs.ts';
import { hasPython, setupUv } from './stand-ins.ts';

const versions = ['3.11', '3.12', '3.13', '3.14'];

/** What a runner on this computer has. */
export interface ThisComputer {
  /** The versions of Python that projects support, as far as they are here; at least one. */
  pythons: string[];
  /**
   * Runs combinations of a matrix with a Python that is here, or with some of those. Where a step asks for another one,
   * the newest of them stands in. Packages are downloaded once for all tests.
   */
  options(pythons?: readonly string[]): RunnerOptions;
}

/** Looks at this computer. What runs leave behind is below a directory, which whoever gives it removes. */
export async function lookAtThisComputer(directory: string): Promise<ThisComputer> {
  const pythons: string[] = [];
  for (const version of versions) if (await hasPython(version)) pythons.push(version);
  if (pythons.length === 0) throw new Error(`none of Python ${versions.join(', ')} is on this computer`);
  const { stdout: cache } = await runOrThrow('uv', ['cache', 'dir'], { failure: 'uv knows no cache' });
  const caches = join(directory, 'caches');
  mkdirSync(caches);
  symlinkSync(cache.trim(), join(caches, 'uv'));
  return {
    pythons,
    options: (chosen = pythons) => ({
      directory,
      caches,
      standIns: { 'astral-sh/setup-uv': setupUv({ otherwise: pythons.at(-1) }) },
      combination: ({ 'python-version': version = chosen[0] ?? null }) => chosen.includes(String(version)),
    }),
  };
}
