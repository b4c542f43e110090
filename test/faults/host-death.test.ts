import { beforeAll, expect, inject } from 'vitest';
import { fault } from '../support/fault-results.ts';
import { type FaultSite, sharedSite } from '../support/fault-site.ts';

// The host itself is killed in a deploy, as a hypervisor that fails does it, and boots again.

let site: FaultSite;
beforeAll(async () => {
  site = await sharedSite();
});

const steps = inject('releaseSteps');

for (const [index, step] of steps.entries()) {
  fault('host killed', `a host that is killed in the step "${step}" comes back with a complete release`, () =>
    site.survive(
      (commit) => site.killHostDuring(commit, { after: steps[index - 1], delay: site.momentIn(step) }),
      {
        migration: true,
      },
    ),
  );
}

fault('host killed', 'a host that is killed without a deploy comes back with its release', async () => {
  const { live } = await site.inspect();
  await site.host.kill();
  await site.bootAgain();
  expect((await site.inspect()).live).toBe(live);
});
