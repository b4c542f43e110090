import { expect, test } from 'vitest';
import { type Backup, backupsPlan, backupsRequest, backupTable } from '../../lib/deploy/backups.ts';
import { GobootError } from '../../lib/errors.ts';

test('without a word it lists', () => {
  expect(backupsRequest([])).toEqual({ action: 'list' });
  expect(backupsRequest(['run'])).toEqual({ action: 'run' });
  expect(backupsRequest(['drill'], { place: 'second' })).toEqual({ action: 'drill', place: 'second' });
  expect(backupsRequest(['restore'])).toEqual({ action: 'restore', acceptLoss: false });
  expect(backupsRequest(['restore', '20260131T031500Z'], { acceptLoss: true })).toEqual({
    action: 'restore',
    backup: '20260131T031500Z',
    acceptLoss: true,
  });
});

test.for([
  [['remove'], {}, '"remove"'],
  [['list', 'x'], {}, '"x"'],
  [['run', 'x'], {}, '"x"'],
  [['restore', 'latest'], {}, '"latest"'],
  [['restore', '20260131'], {}, '"20260131"'],
  [['run'], { acceptLoss: true }, '--accept-loss'],
  [['run'], { place: 'third' }, '"third"'],
  [['list'], { place: 'first' }, '--place'],
] as const)('%o with %o is refused, and the value named', ([words, given, named]) => {
  expect(() => backupsRequest(words, given)).toThrow(GobootError);
  expect(() => backupsRequest(words, given)).toThrow(named);
});

test('the plan says what happens, and where', () => {
  expect(backupsPlan({ action: 'run' })).toEqual([
    'Make a backup, and take it to the second place if there is one',
  ]);
  expect(
    backupsPlan({ action: 'restore', backup: '20260131T031500Z', place: 'second', acceptLoss: true }),
  ).toEqual([
    'Restore 20260131T031500Z in the second place beside the site, and say what would be lost',
    'Once that is accepted: close the site, swap database and uploads, open it',
  ]);
});

test('the table tells when each backup was made, what is in it, and where it is', () => {
  const backup: Backup = {
    backup: '20260131T031500Z',
    time: '2026-01-31T03:15:00Z',
    release: '20260130T101500Z-0a1b2c3d',
    commit: '0a1b2c3d'.repeat(5),
    host: 'web-1',
    rows: 1234,
    tables: 12,
    files: 5,
    size: 3 * 1024 * 1024,
    dump_size: 1024 * 1024,
    places: ['first', 'second'],
  };
  expect(backupTable([backup])).toEqual([
    'backup            when (UTC)           rows  uploads  size     commit    places',
    '20260131T031500Z  2026-01-31 03:15:00  1234  5        4.0 MiB  0a1b2c3d  first, second',
  ]);
  expect(backupTable([])).toEqual(['There is no backup yet.']);
});
