import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, inject } from 'vitest';
import { fault } from '../support/fault-results.ts';
import { endedStep, type FaultSite, lastEvent, sharedSite } from '../support/fault-site.ts';

// Nothing passes between the user's computer and the host for a minute, longer than ssh waits for an answer.

const cutSeconds = 60;

let site: FaultSite;
beforeAll(async () => {
  site = await sharedSite();
});

const steps = inject('releaseSteps');

steps.forEach((step, index) => {
  const before = steps[index - 1];
  fault('network cut', `a deploy survives that the network is cut in the step "${step}"`, () =>
    site.survive(
      async () => {
        let reach = () => {};
        const reached = new Promise<'reached'>((resolve) => {
          reach = () => resolve('reached');
        });
        const controller = site.startYo([], (event) => {
          if (before === undefined ? event.event === 'plan' : endedStep(event) === before) reach();
        });
        expect(await Promise.race([reached, controller.ended])).toBe('reached');
        await sleep(site.momentIn(step) * 1000);
        await site.host.setNetwork(false);
        try {
          await sleep(cutSeconds * 1000);
        } finally {
          await site.host.setNetwork(true);
        }
        const patience = sleep(120_000, undefined, { ref: false });
        const run = await Promise.race([controller.ended, patience]);
        controller.kill();
        // It either did not notice, or says that the connection broke.
        const end = run && lastEvent(run);
        expect(end, 'how yo ended by itself').toBeDefined();
        if (end?.event === 'error') expect(String(end.message)).toMatch(/connection|answer/i);
      },
      { migration: true, prober: 'inside', road: 'yo' },
    ),
  );
});
