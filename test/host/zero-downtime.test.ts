import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fetchLivePage } from '../../lib/deploy/live.ts';
import { openRehearsal, type Rehearsal } from '../../lib/rehearsal/rehearsal.ts';
import { describeLatency, latencyBetween, openLoad } from '../support/load.ts';
import { ProbeSite, readKept, type YoRun } from '../support/probe-site.ts';
import { startTestHost, type TestHost } from '../support/test-host.ts';
import { Workplace } from '../support/workplace.ts';

// Visitors, forms, requests of ten seconds and tasks all the time, while releases come and go. `npm run bench` does the
// same for longer, and compares how long answers take.

const perSecond = 100;

let session: Rehearsal;
let host: TestHost;
let site: ProbeSite;

beforeAll(async () => {
  session = await openRehearsal();
  host = await startTestHost(session, 'downtime');
  const place = new Workplace();
  site = new ProbeSite(place);
  await site.scaffold({
    address: host.address,
    port: host.port,
    user: host.user,
    keyFile: host.keyFileFor(place),
    knownHostsFile: host.knownHostsFileFor(place),
  });
  const { exitCode, output } = await site.deploy();
  expect(exitCode, output).toBe(0);
  site.yields = true;
});
afterAll(() => session?.close());

const liveRelease = async (): Promise<string> =>
  JSON.parse((await fetchLivePage({ domain: site.domain, address: host.address, path: '/health/' })).body)
    .release;

/** The releases that worker and beat run. */
async function releasesAtWork(): Promise<{ workers: string[]; beat: string }> {
  const show = async (command: string) => (await host.rootShell(command)).stdout.trim();
  const workers = await show(
    `systemctl list-units --plain --no-legend --state=active '${site.name}-worker@*' | awk '{print $1}'`,
  );
  const beat = await show(
    `readlink /proc/$(systemctl show --property MainPID --value ${site.name}-beat)/cwd`,
  );
  return {
    workers: workers.split('\n').map((unit) => unit.replace(/^.*@|\.service$/g, '')),
    beat: beat.split('/').at(-1) as string,
  };
}

/** Does something to the site under load, and expects that nobody noticed. */
async function expectUnnoticed(name: string, act: () => Promise<YoRun>): Promise<void> {
  const before = await liveRelease();
  const begun = Date.now();
  const endLoad = await openLoad({
    domain: site.domain,
    address: host.address,
    perSecond,
    mixture: 'probe',
  });
  await sleep(5000);
  const run = await act().finally(() => sleep(3000));
  const load = await endLoad();
  expect(run.exitCode, run.output).toBe(0);
  const after = await liveRelease();
  expect(after).not.toBe(before);
  console.log(
    [
      describeLatency('before', latencyBetween(load.samples, begun, run.from)),
      describeLatency(name, latencyBetween(load.samples, run.from, run.to)),
      describeLatency('after', latencyBetween(load.samples, run.to, Number.POSITIVE_INFINITY)),
    ].join('\n'),
  );

  expect(load.lost).toEqual([]);
  expect(load.releases).toEqual([before, after]);
  const kept = await readKept(host, site.name, load);
  expect(kept.wrong).toEqual([]);
  expect(kept.entries).toBeGreaterThan(20);
  expect(kept.runs).toBeGreaterThan(5);

  // The old worker may still have been at a task.
  await expect
    .poll(releasesAtWork, { timeout: 30_000, interval: 500 })
    .toEqual({ workers: [after], beat: after });
}

test('a deploy with new code, files, tasks and a migration loses no request and no task', async () => {
  await site.changeSchema();
  await expectUnnoticed('deploy', () => site.deploy());
});

test('a rollback loses no request and no task', async () => {
  await expectUnnoticed('rollback', () => site.deploy('--rollback'));
});
