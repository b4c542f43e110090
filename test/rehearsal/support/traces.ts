import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const machines = '/var/lib/goboot-rehearsal/machines';

function entries(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

/** The throwaway machines of this computer, complete or not. */
export function machineDirectories(): string[] {
  return entries(machines);
}

function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')];
      } catch {
        return [];
      }
    });
}

/** Everything on this computer that belongs to the machines with these names. */
export function machineTraces(names: string[]): string[] {
  const below = (name: string) => `${machines}/${name}/`;
  return names.flatMap((name) => [
    ...commandLines().filter((line) => line.includes(below(name))),
    ...readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(below(name))),
    ...entries('/sys/fs/cgroup').flatMap((hierarchy) =>
      [`/sys/fs/cgroup/${hierarchy}/goboot-rehearsal/${name}`].filter((path) => existsSync(path)),
    ),
    ...[`${machines}/${name}`, `/run/systemd/nspawn/propagate/goboot-${name}`].filter((path) =>
      existsSync(path),
    ),
  ]);
}

/** What the machines share on this computer: bridge, packet filter table, note of the changes. */
export function networkTraces(): string[] {
  return [
    ...entries('/sys/class/net').filter((name) => name === 'goboot0' || name.startsWith('vb-goboot')),
    ...execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.includes('goboot_rehearsal')),
    ...['/var/lib/goboot-rehearsal/network.json'].filter((path) => existsSync(path)),
  ];
}

export function forwarding(): string {
  return readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim();
}

/** Waits until nothing is left of the machines, at most so many milliseconds; returns what is left. */
export async function tracesAfter(names: string[], milliseconds: number): Promise<string[]> {
  const end = Date.now() + milliseconds;
  for (;;) {
    // The shared network stays as long as somebody else's machine uses it.
    const left = [...machineTraces(names), ...(machineDirectories().length === 0 ? networkTraces() : [])];
    if (left.length === 0 || Date.now() > end) return left;
    await sleep(100);
  }
}
