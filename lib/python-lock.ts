import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot, projectPaths } from './paths.ts';
import { type RunResult, run } from './process.ts';

/** The exact version of every Python package that this release of goboot was tested with. */
export const testedVersionsFile = join(packageRoot, 'lib', 'tested-versions', 'constraints.txt');

const lockTimeout = 120_000;

function uvLock(directory: string): Promise<RunResult> {
  return run('uv', ['lock', '--quiet'], { cwd: directory, timeout: lockTimeout });
}

/**
 * Makes the project's `uv.lock` from the tested versions, through the user's own package index. An existing lock file
 * stays unless the project asks for something that it does not hold.
 *
 * Returns undefined when it worked, otherwise the last line of uv's reason; a project without a lock file is usable
 * as soon as `uv lock` has run.
 */
export async function lockPythonPackages(projectRoot: string): Promise<string | undefined> {
  if (!existsSync(join(projectRoot, projectPaths.pythonLock))) {
    const directory = await mkdtemp(join(tmpdir(), 'goboot-lock-'));
    try {
      const constraints = (await readFile(testedVersionsFile, 'utf8'))
        .split('\n')
        .filter((line) => line && !line.startsWith('#'));
      const pyproject = await readFile(join(projectRoot, 'pyproject.toml'), 'utf8');
      await writeFile(
        join(directory, 'pyproject.toml'),
        pyproject.replace(
          '[tool.uv]\n',
          `[tool.uv]\nconstraint-dependencies = ${JSON.stringify(constraints)}\n`,
        ),
      );
      const constrained = await uvLock(directory);
      if (constrained.exitCode !== 0) return lastLine(constrained);
      await copyFile(join(directory, projectPaths.pythonLock), join(projectRoot, projectPaths.pythonLock));
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
  // Locking again keeps the versions and drops the constraints, which belong to goboot and not to the project.
  const result = await uvLock(projectRoot);
  return result.exitCode === 0 ? undefined : lastLine(result);
}

function lastLine({ stderr, exitCode }: RunResult): string {
  const lines = stderr.trim().split('\n').filter(Boolean);
  return lines.at(-1)?.trim() ?? `exit status ${exitCode}`;
}
