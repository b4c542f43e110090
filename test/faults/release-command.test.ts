import { beforeAll, expect, inject } from 'vitest';
import { fault } from '../support/fault-results.ts';
import { type FaultSite, site as name, sharedSite } from '../support/fault-site.ts';

// The release command itself is killed on the host: by the kernel for want of memory, or by somebody.

let site: FaultSite;
beforeAll(async () => {
  site = await sharedSite();
});

const steps = inject('releaseSteps');
const last = 'the end of the run';

for (const [index, step] of [...steps, last].entries()) {
  const title = `a deploy that is killed on the host in ${step === last ? step : `the step "${step}"`} does no harm`;
  fault('release command killed', title, () =>
    site.survive(
      async (commit) => {
        const run = await site.deployOnHost(commit, {
          after: steps[index - 1],
          // Too short a moment for a delay.
          delay: step === last ? 0 : site.momentIn(step),
          action: `systemctl kill --signal=KILL '${name}-release-*.service'`,
        });
        expect(run.events.map(({ event }) => event)).toContain('fault');
      },
      { migration: true },
    ),
  );
}
