import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Whether systemd runs this computer and can be asked to hold a machine in a unit of its own. */
export function hasSystemd(): boolean {
  return existsSync('/run/systemd/system');
}

const parent = 'goboot-rehearsal';

interface Hierarchy {
  mountPoint: string;
  version: 1 | 2;
  memory: boolean;
}

/**
 * The control group hierarchies in which machines must be kept apart: two systemds in one group would end each
 * other's processes. Memory's is the one that a limit goes to.
 */
function hierarchies(): Hierarchy[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .flatMap((line): Hierarchy[] => {
      const [, mountPoint = '', type, options = ''] = line.split(' ');
      const controllers = options.split(',');
      if (type === 'cgroup2') {
        const available = readFileSync(join(mountPoint, 'cgroup.controllers'), 'utf8').trim().split(' ');
        return [{ mountPoint, version: 2, memory: available.includes('memory') }];
      }
      const memory = controllers.includes('memory');
      return type === 'cgroup' && (memory || controllers.includes('name=systemd'))
        ? [{ mountPoint, version: 1, memory }]
        : [];
    });
}

/**
 * Makes the control groups of one machine on a computer that systemd does not run, with an optional limit of its
 * memory in MiB. Returns the files that a process writes its number to in order to enter them.
 */
export function makeControlGroups(name: string, memory: number | undefined): string[] {
  return hierarchies().map(({ mountPoint, version, memory: limitsMemory }) => {
    const group = join(mountPoint, parent, name);
    mkdirSync(join(mountPoint, parent), { recursive: true });
    if (memory && limitsMemory && version === 2) {
      writeFileSync(join(mountPoint, 'cgroup.subtree_control'), '+memory');
      writeFileSync(join(mountPoint, parent, 'cgroup.subtree_control'), '+memory');
    }
    mkdirSync(group, { recursive: true });
    if (memory && limitsMemory) {
      const file = version === 2 ? 'memory.max' : 'memory.limit_in_bytes';
      writeFileSync(join(group, file), String(memory * 1024 * 1024));
    }
    return join(group, 'cgroup.procs');
  });
}

function removeGroup(group: string): void {
  for (const entry of readdirSync(group, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroup(join(group, entry.name));
  }
  rmdirSync(group);
}

/** Removes the control groups of a machine that has no process left. */
export function removeControlGroups(name: string): void {
  for (const { mountPoint } of hierarchies()) {
    const group = join(mountPoint, parent, name);
    if (existsSync(group)) removeGroup(group);
    const above = join(mountPoint, parent);
    if (
      existsSync(above) &&
      !readdirSync(above, { withFileTypes: true }).some((entry) => entry.isDirectory())
    ) {
      rmdirSync(above);
    }
  }
}
