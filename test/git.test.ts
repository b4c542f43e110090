import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commit, currentCommit, isRepository, uncommittedPaths } from '../lib/git.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

const identity = { name: 'Ada', email: 'ada@example.com' };
const git = (cwd: string, ...args: string[]) => execFileSync('git', args, { cwd, encoding: 'utf8' }).trim();

test('the first commit makes the repository, on main, with everything in it', async () => {
  const root = temporaryDirectory();
  writeFileSync(join(root, 'a.txt'), 'a');
  expect(isRepository(root)).toBe(false);
  expect(await commit(root, { message: 'Start', identity })).toBe(true);
  expect(isRepository(root)).toBe(true);
  expect(git(root, 'log', '--format=%s', 'main')).toBe('Start');
  expect(await currentCommit(root)).toMatch(/^[0-9a-f]{40}$/);
});

test('a user whom git does not know commits under the answers’ name', async () => {
  const root = temporaryDirectory();
  writeFileSync(join(root, 'a.txt'), 'a');
  const home = process.env.HOME;
  process.env.HOME = root;
  try {
    await commit(root, { message: 'Start', identity });
  } finally {
    process.env.HOME = home;
  }
  expect(git(root, 'log', '--format=%an <%ae>')).toBe('Ada <ada@example.com>');
});

test('a later commit takes only the given paths and leaves the user’s changes alone', async () => {
  const root = temporaryDirectory();
  writeFileSync(join(root, 'ours.txt'), '1');
  writeFileSync(join(root, 'theirs.txt'), '1');
  await commit(root, { message: 'Start', identity });
  writeFileSync(join(root, 'ours.txt'), '2');
  writeFileSync(join(root, 'theirs.txt'), '2');
  git(root, 'add', 'theirs.txt');
  expect(await commit(root, { message: 'Ours', paths: ['ours.txt'], identity })).toBe(true);
  expect(git(root, 'show', '--name-only', '--format=', 'HEAD')).toBe('ours.txt');
  expect(await uncommittedPaths(root)).toEqual(['theirs.txt']);
});

test('without a change there is no commit', async () => {
  const root = temporaryDirectory();
  writeFileSync(join(root, 'a.txt'), 'a');
  await commit(root, { message: 'Start', identity });
  expect(await commit(root, { message: 'Again', paths: ['a.txt'], identity })).toBe(false);
  expect(git(root, 'rev-list', '--count', 'HEAD')).toBe('1');
});
