import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { commit } from '../../lib/git.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const identity = { name: 'Ada', email: 'ada@example.com' };

/** Runs git in a directory and returns what it prints. */
export function git(cwd: string, ...args: string[]): string {
  return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

/** Writes a file and commits everything. */
export async function commitFile(directory: string, path: string, text: string): Promise<void> {
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  writeFileSync(join(directory, path), text);
  await commit(directory, { message: `Write ${path}`, paths: ['.'], identity });
}

/** A git repository with a commit on main that holds two workflows; it is removed when the test ends. */
export async function localProject(title = 'Shop'): Promise<string> {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, '.github', 'workflows'), { recursive: true });
  for (const name of ['Lint', 'Test']) {
    writeFileSync(
      join(directory, '.github', 'workflows', `${name.toLowerCase()}.yml`),
      `on: pull_request\njobs: {${name.toLowerCase()}: {name: ${name}, runs-on: ubuntu-24.04, steps: [{run: "true"}]}}\n`,
    );
  }
  writeFileSync(join(directory, 'README.md'), `# ${title}\n`);
  await commit(directory, { message: 'Start', identity });
  return directory;
}
