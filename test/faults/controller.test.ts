import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, inject } from 'vitest';
import { fault } from '../support/fault-results.ts';
import { type Controller, endedStep, type FaultSite, sharedSite } from '../support/fault-site.ts';

// Whoever deploys is killed: a laptop that is shut, a workflow that is cancelled. The host goes on by itself.

let site: FaultSite;
beforeAll(async () => {
  site = await sharedSite();
});

/** Kills a controller some time after a moment that it tells about itself. */
async function killAt(
  begin: (reached: () => void) => Controller,
  moment: string,
  delay: number,
): Promise<void> {
  let reach = () => {};
  const reached = new Promise<'reached'>((resolve) => {
    reach = () => resolve('reached');
  });
  const controller = begin(reach);
  const first = await Promise.race([reached, controller.ended]);
  expect(first, `it ended before ${moment}`).toBe('reached');
  await sleep(delay * 1000);
  controller.kill();
  await controller.ended;
}

const steps = inject('releaseSteps');

steps.forEach((step, index) => {
  const before = steps[index - 1];
  fault('yo killed', `a deploy goes on when yo is killed in the step "${step}"`, () =>
    site.survive(
      () =>
        killAt(
          (reached) =>
            site.startYo([], (event) => {
              if (before === undefined ? event.event === 'plan' : endedStep(event) === before) reached();
            }),
          step,
          before === undefined ? Math.random() : site.momentIn(step),
        ),
      { migration: true, road: 'yo' },
    ),
  );
});

inject('deployTasks').forEach((task) => {
  fault(
    'ansible-playbook killed',
    `a deploy survives that ansible-playbook is killed in the task "${task}"`,
    () =>
      site.survive(
        async () => {
          const begin = (reached: () => void) =>
            site.startPlaybook((line) => {
              if (line.startsWith(`TASK [${task}]`)) reached();
            });
          await killAt(begin, task, Math.random() * 1.5);
        },
        { migration: true, road: 'yo' },
      ),
  );
});
