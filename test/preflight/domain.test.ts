import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { caaCheck } from '../../lib/preflight/caa.ts';
import { isSpecialName } from '../../lib/preflight/certificate-authority.ts';
import { type CheckContext, type CheckResult, runChecks } from '../../lib/preflight/check.ts';
import { domainCheck } from '../../lib/preflight/domain.ts';
import { goodFacts, goodSurvey } from '../support/host-facts.ts';
import { type Records, startNameServer } from '../support/name-server.ts';
import { sampleEnvironment } from '../support/sample.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const domain = 'shop.goboot-test.se';
const server = '198.51.100.7';
const elsewhere = '203.0.113.99';

interface Setting {
  records?: Records;
  behaviour?: Parameters<typeof startNameServer>[1];
  /** Where the host is reached. */
  reached?: string;
  /** What the host's own interfaces have. */
  own?: string[];
  changes?: Partial<CheckContext>;
}

/** Asks a real DNS server, as the checks do. */
async function judge(check: typeof caaCheck, setting: Setting): Promise<CheckResult> {
  const { records = {}, behaviour, reached = server, own = [server], changes } = setting;
  const nameServer = await startNameServer(records, behaviour);
  onTestFinished(() => nameServer.close());
  const host = { address: reached, user: 'admin', port: 22 };
  const [result] = await runChecks([check], {
    projectRoot: '/nowhere',
    projectName: 'shop',
    environment: sampleEnvironment({ domain, host }),
    hostFacts: Promise.resolve(goodFacts({ survey: goodSurvey({ addresses: own }) })),
    nameServers: [nameServer.address],
    ...changes,
  });
  return result as CheckResult;
}

/** A project whose environment asks that ACME directory. */
function projectWith(acmeDirectory: string): string {
  const root = temporaryDirectory();
  const directory = join(root, '.ansible/inventory/production/group_vars/all');
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'main.yml'), `---\nacme_directory_url: ${acmeDirectory}\n`);
  return root;
}

const pointsTo = (...addresses: string[]): Records => ({
  [domain]: {
    A: addresses.filter((address) => !address.includes(':')),
    AAAA: addresses.filter((address) => address.includes(':')),
  },
});

describe('the domain', () => {
  const judgeDomain = (setting: Setting) => judge(domainCheck, setting);

  test('that points to the server is well, by IPv4, IPv6 or another name', async () => {
    expect(await judgeDomain({ records: pointsTo(server) })).toMatchObject({ status: 'ok' });
    const both = { records: pointsTo(server, '2001:db8::7'), own: [server, '2001:DB8:0::7'] };
    expect(await judgeDomain(both)).toMatchObject({ status: 'ok' });
    const alias: Records = { [domain]: { CNAME: ['web.example.se'] }, 'web.example.se': { A: [server] } };
    expect(await judgeDomain({ records: alias })).toMatchObject({ status: 'ok' });
  });

  test('that points to where the server is reached is well, though its own addresses are private', async () => {
    expect(await judgeDomain({ records: pointsTo(server), own: ['10.0.0.5'] })).toMatchObject({
      status: 'ok',
    });
  });

  test('without a record is a warning with the record to create', async () => {
    expect(await judgeDomain({})).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining('self-signed'),
      remedy: expect.stringContaining(`${domain}. A ${server}`),
    });
  });

  test('that points elsewhere fails, with what there is and what there should be', async () => {
    expect(await judgeDomain({ records: pointsTo(elsewhere) })).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining(`A ${elsewhere}`),
      remedy: expect.stringMatching(new RegExp(`${domain}\\. A ${server}[\\s\\S]*--ignore-check domain`)),
    });
  });

  test('with an AAAA record of another server fails, because authorities prefer IPv6', async () => {
    expect(await judgeDomain({ records: pointsTo(server, '2001:db8::99') })).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('2001:db8::99'),
      remedy: expect.stringContaining(`Delete the record ${domain}. AAAA 2001:db8::99`),
    });
  });

  test('with one A record too many is a warning', async () => {
    expect(await judgeDomain({ records: pointsTo(server, elsewhere) })).toMatchObject({
      status: 'warning',
      remedy: expect.stringContaining(elsewhere),
    });
  });

  test('cannot be compared where only private addresses of the server are known', async () => {
    const behind = { reached: '10.0.0.5', own: ['10.0.0.5'] };
    expect(await judgeDomain({ ...behind, records: pointsTo(elsewhere) })).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining('10.0.0.5'),
    });
    expect(await judgeDomain({ ...behind, records: pointsTo('10.0.0.5') })).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining('private address'),
    });
  });

  test.each(['silent', 'failing'] as const)(
    'is not judged by a name server that is %s, and that takes no more than three seconds',
    async (behaviour) => {
      const started = performance.now();
      expect(await judgeDomain({ behaviour })).toMatchObject({
        status: 'warning',
        detail: expect.stringContaining('not checked'),
      });
      expect(performance.now() - started).toBeLessThan(3000);
    },
  );

  test('is not looked up for a project with an authority of its own, or without any', async () => {
    for (const url of ['https://10.1.2.3:14000/dir', '""']) {
      expect(
        await judgeDomain({ behaviour: 'failing', changes: { projectRoot: projectWith(url) } }),
      ).toMatchObject({
        status: 'ok',
        detail: expect.stringContaining('not needed'),
      });
    }
  });

  test('of an example or a private network is never looked up', async () => {
    const environment = sampleEnvironment({ domain: 'shop.example.com' });
    expect(await judgeDomain({ behaviour: 'failing', changes: { environment } })).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining('self-signed'),
    });
    expect(['shop.test', 'example.org', 'a.b.internal'].every(isSpecialName)).toBe(true);
    expect(['myexample.com', 'test.se', 'latest'].some(isSpecialName)).toBe(false);
  });
});

describe('CAA records', () => {
  const judgeCaa = (records: Records, setting: Setting = {}) => judge(caaCheck, { records, ...setting });
  const issue = (value: string, tag = 'issue') => ({ flags: 0, tag, value });
  const wanted = (status: CheckResult['status'], text = '') => ({
    status,
    detail: expect.stringContaining(text),
  });

  test('allow every authority where there are none', async () => {
    expect(await judgeCaa({ [domain]: { A: [server] } })).toMatchObject(wanted('ok', 'every authority'));
  });

  test('count from the closest name on the way up', async () => {
    const strict = { 'goboot-test.se': { CAA: [issue('digicert.com')] } };
    expect(await judgeCaa(strict)).toMatchObject({
      ...wanted('failed', 'goboot-test.se allows only digicert.com'),
      remedy: expect.stringContaining(`${domain}. CAA 0 issue "letsencrypt.org"`),
    });
    const closer = { ...strict, [domain]: { CAA: [issue('letsencrypt.org')] } };
    expect(await judgeCaa(closer)).toMatchObject(wanted('ok', domain));
  });

  test('may name several authorities, with parameters', async () => {
    const several = [issue('digicert.com'), issue('letsencrypt.org; validationmethods=dns-01,http-01')];
    expect(await judgeCaa({ [domain]: { CAA: several } })).toMatchObject(wanted('ok'));
  });

  test.each([
    ['forbid all', [issue(';')], 'allows only nobody'],
    ['want another challenge', [issue('letsencrypt.org; validationmethods=dns-01')], 'only with dns-01'],
    [
      'have a critical property that nobody knows',
      [{ flags: 128, tag: 'tbs', value: 'x', issuerCritical: true }],
      'tbs',
    ],
  ])('that %s fail', async (_, records, text) => {
    expect(await judgeCaa({ [domain]: { CAA: records } })).toMatchObject(wanted('failed', text));
  });

  test('for one account are a warning', async () => {
    const pinned = [issue('letsencrypt.org; accounturi=https://acme.example/acct/1')];
    expect(await judgeCaa({ [domain]: { CAA: pinned } })).toMatchObject(wanted('warning', 'one account'));
  });

  test('that are about wildcards or reports only forbid nothing', async () => {
    const others = [issue('digicert.com', 'issuewild'), issue('mailto:a@example.se', 'iodef')];
    expect(await judgeCaa({ [domain]: { CAA: others } })).toMatchObject(wanted('ok'));
  });

  test('are those of the project’s own authority', async () => {
    const projectRoot = projectWith('https://dv.acme-v02.api.pki.goog/directory');
    const records = { [domain]: { CAA: [issue('letsencrypt.org')] } };
    expect(await judgeCaa(records, { changes: { projectRoot } })).toMatchObject(wanted('failed', 'pki.goog'));
  });
});
