import { isIP } from 'node:net';
import type { SshTarget } from '../project.ts';
import { addressesOf, isPublicAddress, normalAddress } from './addresses.ts';
import { isSpecialName, readCertificateAuthority } from './certificate-authority.ts';
import type { Check, CheckContext, CheckResult } from './check.ts';
import { surveyCheck } from './host-check.ts';
import { NameServerError, openLookup } from './name-lookup.ts';

/** What the DNS says of a domain, and where its host is. */
export interface Pointing {
  domain: string;
  records: readonly string[];
  /** Where the host is reached, and the addresses of its own interfaces. */
  host: readonly string[];
}

/**
 * The domain's A and AAAA records lead to the host.
 *
 * - No record at all is a warning: the site starts with a self-signed certificate, and asks for another one each time
 *   it is provisioned.
 * - Records that lead elsewhere are a failure. Provisioning would ask the authority in vain, and Let's Encrypt counts:
 *   five failures an hour, and it answers no more for that domain. An AAAA record that leads elsewhere is as bad beside a
 *   right A record, because Let's Encrypt prefers IPv6. Behind a proxy (a CDN), or when the domain is to move later, that
 *   is intended: `--ignore-check domain`.
 * - Where only private addresses of the host are known (NAT, a jump host), it is a warning: nobody can tell from here.
 * - It does not apply without a public authority: rehearsals, ACME servers of one's own, self-signed certificates. For
 *   names that are kept for examples and tests it is a warning, without a question to the DNS.
 *
 * `www.` before it is not looked at: it has a certificate of its own, which provisioning asks for only when the records
 * lead to the host.
 */
export const domainCheck: Check = {
  name: 'domain',
  ignorable: true,
  run(context) {
    // Asked while the host is being asked, too.
    const asking = lookUp(context);
    asking.catch(() => {});
    return surveyCheck('domain', async ({ addresses }) => {
      try {
        const found = await asking;
        if ('status' in found) return found;
        const host = [...new Set([...found.host, ...addresses.map(normalAddress)])];
        const judged = judgePointing({ ...found, host });
        return context.movesFrom ? await judgeMove(judged, found, context.movesFrom) : judged;
      } catch (error) {
        if (!(error instanceof NameServerError)) throw error;
        return { status: 'warning', detail: `not checked: ${error.message}` };
      }
    }).run(context);
  },
};

/** What the DNS says, or the result where there is nothing to ask it. */
async function lookUp({
  environment,
  projectRoot,
  nameServers,
}: CheckContext): Promise<CheckResult | Pointing> {
  const { domain } = environment;
  const { caaName } = await readCertificateAuthority(projectRoot, environment.name);
  if (!caaName) return { status: 'ok', detail: 'not needed: the certificate is not of a public authority' };
  if (isSpecialName(domain)) {
    return {
      status: 'warning',
      detail: `${domain} is a name for examples and private networks: the site will have a self-signed certificate`,
    };
  }
  const lookup = openLookup(nameServers);
  const [records4, records6, host] = await Promise.all([
    lookup.addresses4(domain),
    lookup.addresses6(domain),
    addressesOf(environment.host.address),
  ]);
  return { domain, records: [...records4, ...records6].map(normalAddress), host };
}

/** While a site moves, its domain leads to the host before; that it leads elsewhere is told, and stops nothing. */
async function judgeMove(
  judged: CheckResult,
  { domain, records }: Pointing,
  { address }: SshTarget,
): Promise<CheckResult> {
  if (judged.status !== 'failed') return judged;
  const before = await addressesOf(address);
  if (records.every((record) => before.includes(record))) {
    return { status: 'ok', detail: `${domain} leads to ${address} until the site has moved` };
  }
  return {
    status: 'warning',
    detail: `${domain} has ${describe(records)}, which is neither the server’s nor ${address}`,
    remedy: 'What to change in the DNS is said at the end.',
  };
}

const proxyRemedy =
  'If a proxy (a CDN) leads from there to the server, or if the domain moves here later: --ignore-check domain';

function recordLine(domain: string, address: string): string {
  return `${domain}. ${isIP(address) === 6 ? 'AAAA' : 'A'} ${address}`;
}

function describe(records: readonly string[]): string {
  return records.map((address) => `${isIP(address) === 6 ? 'AAAA' : 'A'} ${address}`).join(', ');
}

/** Judges records by what is known of the host. */
export function judgePointing({ domain, records, host }: Pointing): CheckResult {
  const expected = host.filter(isPublicAddress);
  const wanted = expected.map((address) => recordLine(domain, address)).join(' and ');
  if (records.length === 0) {
    return {
      status: 'warning',
      detail: `${domain} has no address yet: the site starts with a self-signed certificate`,
      remedy: `Create the record ${wanted || `${domain}. A, with the public address of the server`}, then: yo goboot:deploy --provision`,
    };
  }
  const found = `${domain} has ${describe(records)}`;
  const wrong = records.filter((address) => !host.includes(address));
  if (wrong.length === 0) {
    return records.every(isPublicAddress)
      ? { status: 'ok', detail: `${found}: the server` }
      : {
          status: 'warning',
          detail: `${found}: a private address, where no public authority reaches the server`,
          remedy: `Point ${domain} to the server’s public address, or live with a self-signed certificate.`,
        };
  }
  if (expected.length === 0) {
    return {
      status: 'warning',
      detail: `${found}; whether that leads to the server cannot be seen, because only private addresses of it are known (${host.join(', ')})`,
      remedy: `Compare it with the public address of the server or its gateway.`,
    };
  }
  const right = records.filter((address) => host.includes(address));
  const stale6 = wrong.filter((address) => isIP(address) === 6);
  const [some] = stale6;
  if (right.length > 0 && some) {
    const own6 = expected.filter((address) => isIP(address) === 6);
    return {
      status: 'failed',
      detail: `${found}; ${some} is not the server’s, and authorities prefer IPv6`,
      remedy: `${own6.length > 0 ? `Create ${own6.map((address) => recordLine(domain, address)).join(' and ')} instead.` : `Delete the record ${recordLine(domain, some)}.`} ${proxyRemedy}`,
    };
  }
  if (right.length > 0) {
    return {
      status: 'warning',
      detail: `${found}; not all of them are the server’s: ${wrong.join(', ')}`,
      remedy: `Delete ${wrong.map((address) => `the record ${recordLine(domain, address)}`).join(' and ')}.`,
    };
  }
  return {
    status: 'failed',
    detail: `${found}, and none of them is the server’s`,
    remedy: `Create the record ${wanted} instead. ${proxyRemedy}`,
  };
}
