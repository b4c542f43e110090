import { expect, test } from 'vitest';
import { type Release, releasesRequest, releaseTable } from '../../lib/deploy/releases.ts';
import { GobootError } from '../../lib/errors.ts';

const release: Release = {
  release: '20261120T101500Z-0a1b2c3d',
  commit: '0a1b2c3d'.repeat(5),
  created: '2026-11-20T10:15:00Z',
  by: 'ada',
  status: 'good',
  message: '',
  live: true,
  proven: true,
  migrations: [],
  dump: '',
  size: 2 * 1024 * 1024,
};

test('without a word it lists', () => {
  expect(releasesRequest([])).toEqual({ action: 'list' });
  expect(releasesRequest(['list'])).toEqual({ action: 'list' });
  expect(releasesRequest(['delete', '0a1b2c3'])).toEqual({ action: 'delete', release: '0a1b2c3' });
  expect(releasesRequest(['prune', '3'])).toEqual({ action: 'prune', keep: '3' });
});

test.for([
  [['remove'], '"remove"'],
  [['list', 'x'], '"x"'],
  [['delete'], 'which release'],
  [['delete', 'a b'], '"a b"'],
  [['prune'], 'how many'],
  [['prune', '0'], '"0"'],
  [['prune', 'all'], '"all"'],
] as const)('%o is refused, and the value named', ([words, named]) => {
  expect(() => releasesRequest(words)).toThrow(GobootError);
  expect(() => releasesRequest(words)).toThrow(named);
});

test('the table tells who, when, whether it was proven, what it migrated, and its size', () => {
  const older: Release = {
    ...release,
    release: '20261119T090000Z-11111111',
    created: '2026-11-19T09:00:00Z',
    live: false,
    migrations: ['shop.0002_price'],
    dump: '/var/backups/shop-production/before-20261119T090000Z-11111111.dump',
  };
  expect(
    releaseTable([release, older, { ...older, proven: false, status: 'bad', message: 'no answer' }]),
  ).toEqual([
    '   release                    when (UTC)           by   state   size',
    '*  20261120T101500Z-0a1b2c3d  2026-11-20 10:15:00  ada  live    2.0 MiB',
    '   20261119T090000Z-11111111  2026-11-19 09:00:00  ada  proven  2.0 MiB  migrated shop.0002_price; with a dump from before',
    '   20261119T090000Z-11111111  2026-11-19 09:00:00  ada  bad     2.0 MiB  no answer; migrated shop.0002_price; with a dump from before',
  ]);
  expect(releaseTable([])).toEqual(['Nothing has been deployed yet.']);
});
