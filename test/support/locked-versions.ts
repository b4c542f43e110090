import { runOrThrow } from '../../lib/process.ts';

/** The exact versions that a project's lock file holds, one per line, with the conditions under which each is used. */
export async function lockedVersions(project: string): Promise<string> {
  const options = [
    '--locked',
    '--quiet',
    '--all-groups',
    '--no-emit-project',
    '--no-hashes',
    '--no-header',
    '--no-annotate',
  ];
  const failure = 'uv could not list the locked versions';
  return (await runOrThrow('uv', ['export', ...options], { cwd: project, failure })).stdout;
}
