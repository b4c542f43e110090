import type { CaaRecord } from 'node:dns';
import { Resolver } from 'node:dns/promises';

const tries = 2;
// In milliseconds, for each try.
const timeout = 1000;
/** However many name servers there are. */
const wholeTimeout = 2500;

/** The name servers did not answer, or refused to. */
export class NameServerError extends Error {}

/** Asks name servers as a certificate authority does: what this computer's own files say of a name does not count. */
export interface NameLookup {
  /** IPv4 addresses; none when there is no such record. Throws a NameServerError. */
  addresses4(name: string): Promise<string[]>;
  /** IPv6 addresses; none when there is no such record. Throws a NameServerError. */
  addresses6(name: string): Promise<string[]>;
  /** CAA records of exactly this name. Throws a NameServerError. */
  authorities(name: string): Promise<CaaRecord[]>;
}

/** Opens a lookup with the given name servers (`address` or `address:port`), or with this computer's. */
export function openLookup(nameServers?: readonly string[]): NameLookup {
  const resolver = new Resolver({ timeout, tries });
  if (nameServers) resolver.setServers(nameServers);
  return {
    addresses4: (name) => records(resolver, () => resolver.resolve4(name)),
    addresses6: (name) => records(resolver, () => resolver.resolve6(name)),
    authorities: (name) => records(resolver, () => resolver.resolveCaa(name)),
  };
}

async function records<T>(resolver: Resolver, ask: () => Promise<T[]>): Promise<T[]> {
  const timer = setTimeout(() => resolver.cancel(), wholeTimeout);
  try {
    return await ask();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENODATA' || code === 'ENOTFOUND') return [];
    throw new NameServerError(reasons[code ?? ''] ?? `the name server failed (${code})`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

const reasons: Record<string, string> = {
  ETIMEOUT: 'no name server answers',
  ECANCELLED: 'no name server answers',
  ECONNREFUSED: 'no name server answers',
  ESERVFAIL: 'the name server reports a failure (SERVFAIL), perhaps of DNSSEC',
  EREFUSED: 'the name server refuses to answer',
};
