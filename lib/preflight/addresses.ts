import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';

/** Addresses that mean nothing outside of one network. */
const privateAddresses = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const) {
  privateAddresses.addSubnet(network, bits, 'ipv4');
}
for (const [network, bits] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
] as const) {
  privateAddresses.addSubnet(network, bits, 'ipv6');
}

/** Whether an address can be reached from everywhere. */
export function isPublicAddress(address: string): boolean {
  return !privateAddresses.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/** One way of writing each address: `2001:DB8:0::1` and `2001:db8::1` are the same. */
export function normalAddress(address: string): string {
  return isIP(address) === 6 ? new URL(`http://[${address}]/`).hostname.slice(1, -1) : address;
}

/** The addresses that this computer finds under a host's name or address; none when it finds nothing. */
export async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host)) return [normalAddress(host)];
  const found = await lookup(host, { all: true }).catch(() => []);
  return found.map(({ address }) => normalAddress(address));
}
