import { execFileSync } from 'node:child_process';
import { run } from '../../lib/process.ts';
import type { ProgramResult } from './normal-user.ts';

/** A computer beside the throwaway hosts, with an address of its own: a network namespace on their bridge. */
export interface Neighbour {
  address: string;
  /** Runs a program there, as root. */
  run(words: readonly string[]): Promise<ProgramResult>;
  close(): void;
}

const bridge = 'goboot0';

function ip(...words: string[]): void {
  execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Starts a neighbour of a host. Needs root, as the hosts do. */
export function startNeighbour(host: { name: string; address: string }): Neighbour {
  const namespace = `${host.name}-neighbour`;
  // Hosts get their addresses from the beginning of the network; this one is at its end.
  const [, network = '', last = '0'] = /^(.*\.)(\d+)$/.exec(host.address) ?? [];
  const address = `${network}${254 - (Number(last) % 100)}`;
  // At most 15 characters.
  const link = `nb${process.pid % 100000}-${last}`;
  ip('netns', 'add', namespace);
  try {
    ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    ip('link', 'set', link, 'master', bridge, 'up');
    ip('-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    ip('-n', namespace, 'link', 'set', 'eth0', 'up');
  } catch (error) {
    ip('netns', 'delete', namespace);
    throw error;
  }
  return {
    address,
    run: (words) => run('ip', ['netns', 'exec', namespace, ...words]),
    // Its end of the cable goes with it, and so does the other one.
    close: () => ip('netns', 'delete', namespace),
  };
}
