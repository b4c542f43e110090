import type { CaaRecord } from 'node:dns';
import { isSpecialName, readCertificateAuthority } from './certificate-authority.ts';
import type { Check, CheckResult } from './check.ts';
import { NameServerError, openLookup } from './name-lookup.ts';

/** `a.b.example.com` → itself, `b.example.com`, `example.com`, `com`. */
function climb(domain: string): string[] {
  const labels = domain.split('.');
  return labels.map((_, index) => labels.slice(index).join('.'));
}

/**
 * The domain's CAA records allow the certificate authority. The records of the closest name on the way up count
 * (RFC 8659, section 3); without any, every authority is allowed.
 */
export const caaCheck: Check = {
  name: 'CAA records',
  ignorable: true,
  async run({ environment, projectRoot, nameServers }) {
    const { domain } = environment;
    const { caaName } = await readCertificateAuthority(projectRoot, environment.name);
    if (!caaName) return { status: 'ok', detail: 'not needed: the certificate is not of a public authority' };
    if (isSpecialName(domain))
      return { status: 'ok', detail: 'not needed: no authority issues for that name' };
    const lookup = openLookup(nameServers);
    try {
      const names = climb(domain);
      const found = await Promise.all(names.map((name) => lookup.authorities(name)));
      const closest = found.findIndex((records) => records.length > 0);
      return judgeCaa(found[closest] ?? [], { domain, owner: names[closest] ?? domain, authority: caaName });
    } catch (error) {
      if (!(error instanceof NameServerError)) throw error;
      return { status: 'warning', detail: `not checked: ${error.message}` };
    }
  },
};

/** Property tags of RFC 8659 and of what has been registered since; an unknown critical one forbids to issue. */
const knownTags = ['issue', 'issuewild', 'iodef', 'contactemail', 'contactphone', 'issuevmc', 'issuemail'];

/** Judges the records that one name has. */
export function judgeCaa(
  records: readonly CaaRecord[],
  { domain, owner, authority }: { domain: string; owner: string; authority: string },
): CheckResult {
  const properties = records.flatMap(({ critical, ...tags }) =>
    Object.entries(tags)
      // Newer Nodes say of which type the record is, as if that were one of its properties.
      .filter(([tag]) => tag !== 'type')
      .map(([tag, value]) => ({ tag: tag.toLowerCase(), value: String(value), critical })),
  );
  const unknown = properties.find(({ tag, critical }) => critical && !knownTags.includes(tag));
  if (unknown) {
    return {
      status: 'failed',
      detail: `${owner} has a critical CAA record ${unknown.tag}, which authorities do not know and so obey by not issuing`,
      remedy: 'Delete that record.',
    };
  }
  const issuers = properties.filter(({ tag }) => tag === 'issue').map(({ value }) => parseIssuer(value));
  if (issuers.length === 0) return { status: 'ok', detail: 'none: every authority may issue' };
  const own = issuers.filter(({ name }) => name === authority);
  if (own.length === 0) {
    const allowed = issuers.map(({ name }) => name).filter(Boolean);
    return {
      status: 'failed',
      detail: `${owner} allows only ${allowed.join(', ') || 'nobody'} to issue certificates, not ${authority}`,
      remedy: `Create the record ${owner}. CAA 0 issue "${authority}"${owner === domain ? '' : `, or ${domain}. CAA 0 issue "${authority}"`}`,
    };
  }
  // RFC 8657. The certificate is asked for with a file on port 80.
  if (!own.some(({ parameters }) => allowsHttp(parameters.get('validationmethods')))) {
    return {
      status: 'failed',
      detail: `${owner} allows ${authority} only with ${own[0]?.parameters.get('validationmethods')}, and goboot answers by http-01`,
      remedy: `Add http-01 to validationmethods in the CAA record of ${owner}.`,
    };
  }
  if (own.every(({ parameters }) => parameters.has('accounturi'))) {
    return {
      status: 'warning',
      detail: `${owner} allows ${authority} for one account only, and the server will have another`,
      remedy: `Take accounturi out of the CAA record of ${owner}, or put the server’s account there when it has one.`,
    };
  }
  return { status: 'ok', detail: `${owner} allows ${authority}` };
}

function allowsHttp(methods: string | undefined): boolean {
  return methods === undefined || methods.split(',').includes('http-01');
}

/** `letsencrypt.org; validationmethods=http-01` (RFC 8659, section 4.2). */
function parseIssuer(value: string): { name: string; parameters: Map<string, string> } {
  const [name = '', ...parameters] = value.split(';').map((part) => part.trim());
  return {
    name: name.toLowerCase().replace(/\.$/, ''),
    parameters: new Map(
      parameters.filter(Boolean).map((parameter) => {
        const [key = '', text = ''] = parameter.split(/\s*=\s*(.*)/s, 2);
        return [key.toLowerCase(), text];
      }),
    ),
  };
}
