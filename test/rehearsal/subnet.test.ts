import { describe, expect, it } from 'vitest';
import {
  chooseSubnet,
  freeAddress,
  gatewayAddress,
  reachableNameServers,
} from '../../lib/rehearsal/subnet.ts';

describe('chooseSubnet', () => {
  const first = chooseSubnet([]) ?? '';

  it('takes the first candidate when nothing is in the way', () => {
    expect(first).toMatch(/^10\.\d+\.\d+\.0\/24$/);
    expect(chooseSubnet(['default', '127.0.0.0/8', '192.168.1.0/24'])).toBe(first);
  });

  it.each([
    ['a network around it', '10.0.0.0/8'],
    ['the network itself', first],
    ['a network inside it', first.replace('.0/24', '.128/25')],
    ['a single address in it', first.replace('.0/24', '.53')],
  ])('avoids %s', (_, taken) => {
    expect(chooseSubnet([taken])).not.toBe(first);
    expect(chooseSubnet([taken])).toBeDefined();
  });

  it('says when every candidate is taken', () => {
    expect(chooseSubnet(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'])).toBeUndefined();
    expect(chooseSubnet(['0.0.0.0/1', '128.0.0.0/1'])).toBeUndefined();
  });
});

describe('addresses', () => {
  it('gives the computer the first one and hosts the lowest free one', () => {
    expect(gatewayAddress('172.30.213.0/24')).toBe('172.30.213.1');
    expect(freeAddress('172.30.213.0/24', [])).toBe('172.30.213.10');
    expect(freeAddress('172.30.213.0/24', ['172.30.213.10', '172.30.213.12'])).toBe('172.30.213.11');
  });

  it('never gives the broadcast address', () => {
    const used = Array.from({ length: 255 }, (_, index) => `10.1.2.${index}`);
    expect(freeAddress('10.1.2.0/24', used)).toBeUndefined();
  });
});

describe('reachableNameServers', () => {
  it('leaves out loopback and IPv6 servers', () => {
    const text =
      '# nameserver 9.9.9.9\nnameserver 127.0.0.53\nnameserver 10.0.0.2\nnameserver fd00::1\noptions edns0\n';
    expect(reachableNameServers(text)).toEqual(['10.0.0.2']);
  });
});
