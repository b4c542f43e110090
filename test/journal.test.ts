import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeCreation, Journal } from '../lib/journal.ts';
import { projectPaths } from '../lib/paths.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

const repository = { kind: 'repository', name: 'octocat/shop' } as const;
const secret = {
  kind: 'secret',
  name: 'DEPLOY_SSH_KEY',
  place: 'octocat/shop',
  environment: 'production',
} as const;

function states(root: string): string[] {
  return Journal.open(root)
    .entries()
    .map(({ kind, state }) => `${kind} ${state}`);
}

test('what is about to be made is on the disk before it is made, and again when it is there', async () => {
  const root = temporaryDirectory();
  await Journal.open(root).create(repository, 'absent', async () => {
    expect(states(root)).toEqual(['repository begun']);
  });
  expect(states(root)).toEqual(['repository made']);
});

test('what may or may not have been made counts as ours', async () => {
  const root = temporaryDirectory();
  const lost = Journal.open(root).create(repository, 'absent', async () => {
    throw new Error('the answer got lost');
  });
  await expect(lost).rejects.toThrow('lost');
  expect(Journal.open(root).ours()).toMatchObject([{ ...repository, state: 'begun' }]);
});

test('what an earlier run made stays ours when a later one finds it there', async () => {
  const root = temporaryDirectory();
  await Journal.open(root).create(repository, 'absent', async () => {});
  await Journal.open(root).create(repository, 'kept', async () => {});
  expect(states(root)).toEqual(['repository made']);
});

test('what was there before is not ours, whether it was changed or not', async () => {
  const root = temporaryDirectory();
  await Journal.open(root).create(repository, 'kept', async () => {});
  await Journal.open(root).create(secret, 'replaced', async () => {});
  expect(Journal.open(root).ours()).toEqual([]);
  expect(states(root)).toEqual(['repository kept', 'secret replaced']);
});

test('a number that tells a thing from another one of its name is kept', async () => {
  const root = temporaryDirectory();
  const journal = Journal.open(root);
  await journal.begin(repository, 'absent');
  await journal.made(repository, 42);
  expect(Journal.open(root).find(repository)).toMatchObject({ state: 'made', id: 42 });
});

test('what was removed and made again comes last', async () => {
  const root = temporaryDirectory();
  const journal = Journal.open(root);
  for (const creation of [repository, secret]) await journal.create(creation, 'absent', async () => {});
  await journal.remove(repository);
  expect(journal.ours()).toMatchObject([secret]);
  await journal.create(repository, 'absent', async () => {});
  expect(journal.ours()).toMatchObject([secret, repository]);
  expect(Journal.open(root).ours()).toMatchObject([secret, repository]);
});

test('a line that was cut off is forgotten, and does not spoil the next', async () => {
  const root = temporaryDirectory();
  await Journal.open(root).create(repository, 'absent', async () => {});
  appendFileSync(join(root, projectPaths.journal), '{"time":"2026-01-01T00:00:00Z","state":"beg');
  const journal = Journal.open(root);
  expect(journal.entries()).toHaveLength(1);
  await journal.create(secret, 'absent', async () => {});
  expect(states(root)).toEqual(['repository made', 'secret made']);
});

test('a damaged journal is named, with its line, and not thrown away', async () => {
  const root = temporaryDirectory();
  await Journal.open(root).create(repository, 'absent', async () => {});
  appendFileSync(join(root, projectPaths.journal), 'scribbled\n');
  expect(() => Journal.open(root)).toThrow(/^Line 3 of ".*journal\.jsonl" cannot be read$/);
});

test('only its owner can read the journal, and git does not see it', async () => {
  const root = temporaryDirectory();
  execFileSync('git', ['init', '--quiet', root]);
  await Journal.open(root).create(repository, 'absent', async () => {});
  expect(statSync(join(root, projectPaths.journal)).mode & 0o777).toBe(0o600);
  expect(execFileSync('git', ['-C', root, 'status', '--porcelain'], { encoding: 'utf8' })).toBe('');
});

test('a creation is described with where it is', () => {
  expect(describeCreation(repository)).toBe('repository octocat/shop');
  expect(describeCreation(secret)).toBe('secret DEPLOY_SSH_KEY of production in octocat/shop');
  expect(describeCreation({ kind: 'push', name: '0123456789abcdef', place: 'octocat/shop' })).toBe(
    'commit 01234567 in octocat/shop',
  );
});

test('the journal holds no more than what it is told', async () => {
  const root = temporaryDirectory();
  await Journal.open(root).create({ ...secret, ...{ value: 'hunter2' } }, 'absent', async () => {});
  expect(readFileSync(join(root, projectPaths.journal), 'utf8')).not.toContain('hunter2');
});
