import { afterAll, beforeAll, expect, test } from 'vitest';
import { unhealthyRelease } from '../support/bad-releases.ts';
import { endedStep, FaultSite, lastEvent, site as name } from '../support/fault-site.ts';

// One fault of most kinds. `npm run test:all -- --only faults` tries each of them at every step of a deploy.

let site: FaultSite;
beforeAll(async () => {
  site = await FaultSite.provision('faults');
});
afterAll(() => site?.close());

/** The step before the one that is in the middle of a deploy, or so many steps later. */
function stepBeforeMiddle(further = 0): string {
  const steps = [...site.stepSeconds.keys()];
  return steps[Math.floor(steps.length / 2) - 1 + further] as string;
}

test('a deploy goes on when its controller is killed in the middle', () =>
  site.survive(
    async (commit) => {
      let reach = () => {};
      const reached = new Promise<'reached'>((resolve) => {
        reach = () => resolve('reached');
      });
      const controller = site.startYo([], (event) => {
        if (endedStep(event) === stepBeforeMiddle()) reach();
      });
      expect(await Promise.race([reached, controller.ended])).toBe('reached');
      controller.kill();
      await controller.ended;
      await site.releaseEnded();
      expect((await site.inspect()).live).toContain(commit.slice(0, 8));
    },
    { migration: true },
  ));

for (const [title, further] of [
  ['in the middle', 0],
  ['shortly before its end', 5],
] as const) {
  test(`a release command that is killed ${title} does no harm`, () =>
    site.survive(
      async (commit) => {
        const { events } = await site.deployOnHost(commit, {
          after: stepBeforeMiddle(further),
          action: `systemctl kill --signal=KILL '${name}-release-*.service'`,
        });
        expect(events.map(({ event }) => event)).toContain('fault');
      },
      { migration: true },
    ));
}

test('a release that answers 500 never becomes live', () => {
  let repair = () => {};
  return site.survive(
    async () => {
      const run = await site.startYo().ended;
      expect(run.exitCode, run.output).toBe(1);
      expect(String(lastEvent(run)?.message)).toMatch(unhealthyRelease.says);
    },
    {
      change: () => {
        repair = site.change(unhealthyRelease.file, unhealthyRelease.change);
      },
      repair: () => repair(),
      staysOld: true,
    },
  );
});

test('of two deploys at once the second one says who holds the lock, and since when', () =>
  site.survive(() => site.deployTwice([], 'refused')));

test('a migration that waits for a lock for too long gives up, and the site answers meanwhile', () =>
  site.survive(
    async (commit) => {
      const giveLockBack = await site.lockTable();
      try {
        const run = await site.deployOnHost(commit);
        expect(run.exitCode, run.output).toBe(1);
        expect(String(lastEvent(run)?.message)).toMatch(/lock/);
      } finally {
        await giveLockBack();
      }
    },
    { migration: true, staysOld: true },
  ));

test('a host that is killed in the middle of a deploy comes back with a complete release', () =>
  site.survive((commit) => site.killHostDuring(commit, { after: stepBeforeMiddle(), delay: 0 }), {
    migration: true,
  }));
