import { afterAll, beforeAll, expect, test } from 'vitest';
import { fault } from '../support/fault-results.ts';
import {
  differences,
  type Fingerprint,
  fingerprint,
  type RecordedRun,
  recordProvisioning,
  takeAway,
} from '../support/managed-state.ts';
import { testSystem } from '../support/test-host.ts';
import { TrustedSite } from '../support/trusted-site.ts';

// Provisioning is killed before each of its tasks, on a host whose files were all taken away, and run again.

/** More than provisioning has; those above its number are passed over. */
const mostTasks = 60;

let trusted: TrustedSite;
let managed: RecordedRun;
let before: Fingerprint;
beforeAll(async () => {
  trusted = await TrustedSite.provision('robustness');
  await trusted.obtainCertificate();
  managed = await recordProvisioning(trusted.site);
  before = await fingerprint(trusted.site, managed);
});
afterAll(() => trusted?.close());

test('the number of tasks is known', () => {
  expect(managed.tasks.length).toBeGreaterThan(20);
  expect(managed.tasks.length).toBeLessThanOrEqual(mostTasks);
});

for (let task = 1; task <= mostTasks; task += 1) {
  fault(
    `killed on ${testSystem}`,
    `killed before task ${task} and run again it ends in the same state`,
    async (skip) => {
      const name = managed.tasks[task - 1];
      if (!name) return skip();
      await takeAway(trusted.site, managed);
      expect((await recordProvisioning(trusted.site, task)).exitCode, name).toBe(null);
      const again = await recordProvisioning(trusted.site);
      expect(again.exitCode, `${name}\n${again.output}`).toBe(0);
      expect(differences(before, await fingerprint(trusted.site, managed)), name).toEqual([]);
      await trusted.recovered(30);
    },
  );
}
