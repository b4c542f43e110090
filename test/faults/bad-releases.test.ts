import { beforeAll, expect } from 'vitest';
import { badReleases } from '../support/bad-releases.ts';
import { fault } from '../support/fault-results.ts';
import { type FaultSite, lastEvent, sharedSite } from '../support/fault-site.ts';

// A release that is broken in itself.

let site: FaultSite;
beforeAll(async () => {
  site = await sharedSite();
});

for (const { title, file, change, says } of badReleases) {
  fault('broken release', `${title} leaves the old one live and says why`, () => {
    let repair = () => {};
    return site.survive(
      async () => {
        const run = await site.startYo().ended;
        expect(run.exitCode, run.output).toBe(1);
        expect(String(lastEvent(run)?.message)).toMatch(says);
      },
      {
        change: () => {
          repair = site.change(file, change);
        },
        repair: () => repair(),
        staysOld: true,
        road: 'yo',
      },
    );
  });
}
