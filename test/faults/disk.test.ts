import { afterAll, beforeAll, expect, inject } from 'vitest';
import { fault } from '../support/fault-results.ts';
import { type FaultSite, lastEvent, site as name, sharedSite } from '../support/fault-site.ts';

// The site's directory becomes full: before a deploy, and in each of its steps. It is moved to a file system with a
// limit for that, because the host's own one is this computer's.

const home = `/srv/${name}`;
/** Room above what is used: more than a deploy asks for. */
const spareMiB = 700;
const spareInodes = 40_000;
/** More than a deploy takes, and less than it waits for an answer that never comes. */
const patienceSeconds = 120;

const fillers = {
  bytes: `fallocate --length $(stat --file-system --format='%a %S' ${home} | awk '{print $1 * $2}') ${home}/filler`,
  inodes: `python3 -c '
import os
os.mkdir("${home}/filler")
number = 0
try:
    while True:
        os.close(os.open(f"${home}/filler/{number}", os.O_CREAT))
        number += 1
except OSError:
    pass'`,
} as const;

let site: FaultSite;
let isMoved = false;

const stopUnits = `systemctl stop '${name}-web@*' '${name}-worker@*' ${name}-beat`;
const startUnits = `/usr/local/sbin/${name}-release start`;

beforeAll(async () => {
  site = await sharedSite();
  await site.shell(`
    set -e
    ${stopUnits}
    mkdir -p /run/underneath
    mount --bind /srv /run/underneath
    mount --make-private /run/underneath
    mebibytes=$(du --summarize --block-size=1M ${home} | cut -f 1)
    inodes=$(du --summarize --inodes ${home} | cut -f 1)
    mount -t tmpfs -o "mode=0755,size=$((mebibytes + ${spareMiB}))M,nr_inodes=$((inodes + ${spareInodes}))" tmpfs ${home}
    cp --archive /run/underneath/${name}/. ${home}/
    ${startUnits}`);
  isMoved = true;
});
afterAll(async () => {
  if (!isMoved) return;
  await site.shell(`
    set -e
    ${stopUnits}
    find /run/underneath/${name} -mindepth 1 -delete
    cp --archive ${home}/. /run/underneath/${name}/
    umount --lazy ${home}
    umount --lazy /run/underneath
    ${startUnits}`);
});

const free = () => site.shell(`rm -rf ${home}/filler`);

for (const [what, fill] of Object.entries(fillers)) {
  const kind = `no free ${what}`;
  fault(kind, `a deploy is refused at once while its file system has no free ${what}`, () =>
    site.survive(
      async (commit) => {
        await site.shell(fill);
        const run = await site.deployOnHost(commit);
        await free();
        expect(run.exitCode, run.output).toBe(1);
        expect(String(lastEvent(run)?.message)).toMatch(/free|space|room/i);
      },
      { migration: true, staysOld: true },
    ),
  );

  const steps = inject('releaseSteps');
  for (const [index, step] of steps.entries()) {
    fault(kind, `a site survives that its file system runs out of ${what} in the step "${step}"`, () =>
      site.survive(
        async (commit) => {
          const started = performance.now();
          const run = await site.deployOnHost(commit, {
            after: steps[index - 1],
            delay: site.momentIn(step),
            freeze: true,
            action: fill,
          });
          await free();
          expect(run.events.map(({ event }) => event)).toContain('fault');
          // Whatever it could not do any more, it says so.
          expect([0, 1], run.output).toContain(run.exitCode);
          expect(lastEvent(run)?.message, run.output).toBeTruthy();
          expect((performance.now() - started) / 1000, run.output).toBeLessThan(patienceSeconds);
          // In the log of a step there may be one, of the project's own program.
          const outsideOfEvents = run.output.split('\n').filter((line) => !line.startsWith('{'));
          expect(outsideOfEvents.join('\n')).not.toContain('Traceback');
        },
        { migration: true },
      ),
    );
  }
}
