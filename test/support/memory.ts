import type { RehearsalHost } from '../../lib/rehearsal/rehearsal.ts';

// A page that several processes share counts for each of them with its part, so the sum is what all of them take. The
// cache of files, which the kernel gives up whenever somebody needs the memory, is not in it.
const sumOfProportionalSets = `
import collections, json, pathlib
sums = collections.Counter()
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        rollup = (process / "smaps_rollup").read_text()
        groups = (process / "cgroup").read_text().splitlines()
    except OSError:
        continue
    for line in rollup.splitlines():
        if line.startswith("Pss:"):
            sums[groups[-1].rpartition("/")[2]] += int(line.split()[1]) / 1024
print(json.dumps(sums))
`;

/** The memory in MiB that the processes of a host take, by unit: the sum of their proportional set sizes. */
export async function memoryByUnit(host: RehearsalHost): Promise<Map<string, number>> {
  const { stdout } = await host.rootShell('python3 -', sumOfProportionalSets);
  return new Map(Object.entries(JSON.parse(stdout) as Record<string, number>));
}

/** How many processes of a host were killed because its limit of memory was reached. */
export async function processesKilledForMemory(host: RehearsalHost): Promise<number> {
  const files = '/sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control';
  const { stdout } = await host.rootShell(`cat ${files} 2>/dev/null | sed -n 's/^oom_kill //p'`);
  if (!/^\d/.test(stdout)) throw new Error('The host does not count what was killed for want of memory');
  return Number(stdout.split('\n')[0]);
}
