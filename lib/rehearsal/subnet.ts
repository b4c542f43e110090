import { isIPv4 } from 'node:net';

/** Networks of private use, away from the ones that routers, Docker and libvirt take by default. */
const candidates = [
  '10.213.77.0/24',
  '10.77.213.0/24',
  '172.30.213.0/24',
  '192.168.213.0/24',
  '10.199.13.0/24',
  '172.27.77.0/24',
  '192.168.177.0/24',
];

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function toAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}

function range(network: string): { first: number; last: number } | undefined {
  const [address = '', length = '32'] = network.split('/');
  if (!isIPv4(address)) return undefined;
  const size = 2 ** (32 - Number(length));
  const first = Math.floor(toNumber(address) / size) * size;
  return { first, last: first + size - 1 };
}

/**
 * The first candidate network that overlaps none of the given ones (`10.0.0.0/8`, or a single address); nothing
 * when every candidate is taken. The default route is not a conflict and must be left out or be `default`.
 */
export function chooseSubnet(taken: string[]): string | undefined {
  const ranges = taken.flatMap((network) => range(network) ?? []);
  return candidates.find((candidate) => {
    const own = range(candidate);
    return own && ranges.every(({ first, last }) => last < own.first || first > own.last);
  });
}

/** The computer's own address in a rehearsal network. */
export function gatewayAddress(subnet: string): string {
  return toAddress((range(subnet)?.first ?? 0) + 1);
}

/** The lowest address for a host that is not in use; nothing when the network is full. */
export function freeAddress(subnet: string, used: string[]): string | undefined {
  const { first, last } = range(subnet) ?? { first: 0, last: 0 };
  // The first ten are left to the computer and to whatever else may live on the bridge one day.
  for (let number = first + 10; number < last; number++) {
    const address = toAddress(number);
    if (!used.includes(address)) return address;
  }
  return undefined;
}

/** The name servers of a `resolv.conf` that a machine other than this computer reaches over IPv4. */
export function reachableNameServers(resolvConf: string): string[] {
  return resolvConf.split('\n').flatMap((line) => {
    const [, address] = /^\s*nameserver\s+(\S+)/.exec(line) ?? [];
    return address && isIPv4(address) && !address.startsWith('127.') ? [address] : [];
  });
}
