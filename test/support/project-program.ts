import { delimiter, join } from 'node:path';
import { expect, inject } from 'vitest';
import { type RunOptions, type RunResult, run } from '../../lib/process.ts';

/**
 * Runs a program of the rendered projects' environment in a directory and expects it to succeed; a failure shows
 * all that the program said. Returns its output.
 */
export async function expectSuccess(
  program: string,
  args: readonly string[],
  options: RunOptions & { cwd: string },
): Promise<RunResult> {
  const programs = inject('projectPrograms');
  const result = await run(join(programs, program), args, {
    ...options,
    env: { PATH: `${programs}${delimiter}${process.env.PATH}`, NO_COLOR: '1', ...options.env },
  });
  expect(result.exitCode, `${program} ${args.join(' ')}\n${result.stdout}\n${result.stderr}`).toBe(0);
  return result;
}
