import { expect, test } from 'vitest';
import { dnsSteps, neededBytes } from '../../lib/deploy/replacement.ts';
import { missingFiles } from '../../lib/deploy/transfer.ts';
import { sampleEnvironment } from '../support/sample.ts';

test('only what a repository lacks, or has in part, is sent, and what a snapshot needs comes before it', () => {
  const from = new Map([
    ['config', 155],
    ['snapshots/s2', 300],
    ['index/i2', 400],
    ['data/ab/p2', 5000],
    ['data/aa/p1', 4000],
    ['keys/k', 450],
  ]);
  const to = new Map([
    ['config', 155],
    ['keys/k', 450],
    // Cut off.
    ['data/aa/p1', 17],
    ['snapshots/s1', 300],
  ]);
  expect(missingFiles(from, to)).toEqual(['data/aa/p1', 'data/ab/p2', 'index/i2', 'snapshots/s2']);
  expect(missingFiles(from, new Map())[0]).toBe('keys/k');
  expect(missingFiles(from, new Map()).at(-1)).toBe('config');
  expect(missingFiles(from, from)).toEqual([]);
});

test('there must be room for the backups, the restored database and the uploads twice', () => {
  const gibibyte = 1024 ** 3;
  const sizes = { database: gibibyte, media: 3 * gibibyte, backups: 5 * gibibyte };
  expect(neededBytes(sizes)).toBe((2 + 4 + 6 + 5) * gibibyte);
});

test.each([
  ['192.0.2.20', '  shop.example.com.  A  192.0.2.20'],
  ['2001:db8::20', '  shop.example.com.  AAAA  2001:db8::20'],
  ['new.example.net', '  shop.example.com.  A and AAAA  the addresses of new.example.net'],
])('the records that lead to %s are spelled out', (address, line) => {
  const at = (where: string) => ({
    environment: sampleEnvironment({ host: { address: where, user: 'admin', port: 22 } }),
  });
  const steps = dnsSteps({ from: at('192.0.2.10'), to: at(address) } as never, ['shop.example.com']);
  expect(steps).toContain(line);
  expect(steps.at(-1)).toBe('  yo goboot:host --remove 192.0.2.10');
});
