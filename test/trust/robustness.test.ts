import { createHash } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import {
  type Damage,
  damages,
  differences,
  type Fingerprint,
  fingerprint,
  type RecordedRun,
  recordProvisioning,
  repair,
  takeAway,
} from '../support/managed-state.ts';
import { sharedSite, type TrustedSite } from '../support/trusted-site.ts';

// `npm run test:all -- --only robustness` kills provisioning at each of its tasks, on both Debians.

let trusted: TrustedSite;
let managed: RecordedRun;
let before: Fingerprint;
beforeAll(async () => {
  trusted = await sharedSite();
  // Until the authority has issued, each run asks it.
  await trusted.obtainCertificate();
  managed = await recordProvisioning(trusted.site);
  expect(managed.exitCode, managed.output).toBe(0);
  before = await fingerprint(trusted.site, managed);
});

test('a second provisioning changes nothing', async () => {
  expect(managed.tasks.length).toBeGreaterThan(20);
  expect(managed.files.length).toBeGreaterThan(40);
  expect(managed.changed).toEqual([]);
});

test.for(Object.keys(damages) as Damage[])(
  'files that were %s by hand are repaired by a run',
  async (damage) => {
    const { damaged, unrepaired } = await repair(trusted.site, managed, before, damage);
    expect(damaged).toBeGreaterThan(0);
    expect(unrepaired).toEqual([]);
    await trusted.recovered(30);
  },
);

test('provisioning that was killed and is run again ends in the same state', async () => {
  // Another task with each commit, and the same one whenever that is tested again.
  const seed = createHash('sha256')
    .update(process.env.GITHUB_SHA ?? managed.tasks.join())
    .digest();
  const task = 2 + (seed.readUInt32BE() % (managed.tasks.length - 1));
  await takeAway(trusted.site, managed);
  expect((await recordProvisioning(trusted.site, task)).exitCode).toBe(null);
  const again = await recordProvisioning(trusted.site);
  expect(again.exitCode, again.output).toBe(0);
  const name = managed.tasks[task - 1] as string;
  expect(differences(before, await fingerprint(trusted.site, managed)), name).toEqual([]);
  await trusted.recovered(30);
});
