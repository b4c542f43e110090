import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { gatewayAddress } from '../../lib/rehearsal/subnet.ts';
import { type Records, startNameServer } from '../support/name-server.ts';
import { sharedSite, type TrustedSite } from '../support/trusted-site.ts';

// How a site comes to its certificate, and keeps it. The tests build on each other, in this order.

let trusted: TrustedSite;
beforeAll(async () => {
  trusted = await sharedSite();
  // Other tests may have let the authority issue already.
  const { site, acme } = trusted;
  await acme.pointDomain(site.domain, new URL(acme.directoryUrl).hostname);
  await site.shell(
    `rm -rf /etc/letsencrypt/live/${site.name} /etc/letsencrypt/archive/${site.name} /etc/letsencrypt/renewal/${site.name}.conf`,
  );
  await site.provision();
  await site.shell(`rm -f /etc/${site.name}/tls/refusals.json`);
});

const nginxProcess = () => trusted.site.shell('systemctl show --property=MainPID --value nginx.service');

/** The serial number that a new connection is shown. */
function servedSerial(): Promise<string> {
  const { host, domain } = trusted.site;
  return new Promise((resolve, reject) => {
    const socket = connect({ host: host.address, port: 443, servername: domain, rejectUnauthorized: false });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
  });
}

/** Lets the host ask a name server of this test, until the test ends. */
async function setNames(records: Records): Promise<void> {
  const { site } = trusted;
  const gateway = gatewayAddress(`${site.host.address}/24`);
  const server = await startNameServer(records, 'answering', { address: gateway, port: 53 });
  await site.shell('cp --dereference /etc/resolv.conf /run/resolv.conf.before');
  await site.shell('cat > /etc/resolv.conf', `nameserver ${gateway}\n`);
  onTestFinished(async () => {
    await site.shell('cat /run/resolv.conf.before > /etc/resolv.conf');
    await server.close();
  });
}

async function provisionWithCheck(): Promise<string> {
  const messages: string[] = [];
  await trusted.site.provision({
    variables: { certificates_check_domain: true },
    onMessage: (message) => messages.push(message),
  });
  return messages.join('\n');
}

/** How often certbot has been at the authority. */
const requests = () =>
  trusted.site.shell(
    'grep --count "Requesting a certificate\\|Renewing an existing" /var/log/letsencrypt/* | cut -d : -f 2 | paste -sd +',
  );

test('before an authority has issued, a visitor over HTTP is led to HTTPS, and gets a page there', async () => {
  expect(await trusted.plainPage('/a?b=c')).toEqual({
    status: 301,
    location: `https://${trusted.site.domain}/a?b=c`,
  });
  expect(await trusted.page()).toMatchObject({ status: 200, certificate: { selfSigned: true } });
});

test('the authority is not asked while the name leads nowhere or elsewhere, and provisioning says where', async () => {
  const { site } = trusted;
  const before = await requests();
  await setNames({ [site.domain]: {} });
  expect(await provisionWithCheck()).toMatch(/was not asked \(shop\.example\.com has no address in the DNS/);
  expect(await requests()).toBe(before);
});

test('the authority is not asked while the name leads to another server', async () => {
  const { site, acme } = trusted;
  const before = await requests();
  const elsewhere = new URL(acme.directoryUrl).hostname;
  await setNames({ [site.domain]: { A: [elsewhere] } });
  expect(await provisionWithCheck()).toContain(
    `the DNS has ${site.domain} A ${elsewhere}, and that does not lead to this host`,
  );
  expect(await requests()).toBe(before);
});

test('as soon as the name leads here the authority issues, and nginx goes on with it', async () => {
  const { site } = trusted;
  const process = await nginxProcess();
  await setNames({ [site.domain]: { A: [site.host.address] } });
  await trusted.acme.pointDomain(site.domain, site.host.address);
  expect(await provisionWithCheck()).toBe('');
  expect(await trusted.page()).toMatchObject({
    status: 200,
    certificate: { selfSigned: false, trusted: true, issuer: expect.stringContaining('Pebble') },
  });
  expect(await nginxProcess()).toBe(process);
});

test('the unit of the timer renews, and no running request is cut off', async () => {
  const { site } = trusted;
  await trusted.obtainCertificate();
  const timer = await site.shell(
    'systemctl show certbot.timer --property=Unit,ActiveState,UnitFileState --value',
  );
  expect(timer.split('\n').sort()).toEqual(['active', 'certbot.service', 'enabled']);
  // Certbot takes the certificate for one that is about to expire.
  const renewal = `/etc/letsencrypt/renewal/${site.name}.conf`;
  await site.shell(`sed -i '1i renew_before_expiry = 36500 days' ${renewal}`);
  onTestFinished(async () => void (await site.shell(`sed -i 1d ${renewal}`)));
  const [before, process] = [await servedSerial(), await nginxProcess()];

  const running = trusted.page('/slow/');
  await sleep(1000);
  await site.shell('systemctl start certbot.service');
  // nginx has been told; its new processes take a moment.
  await expect.poll(servedSerial, { timeout: 5000 }).not.toBe(before);
  expect(await running).toMatchObject({ status: 200, body: 'slow and whole' });
  expect(await nginxProcess()).toBe(process);
  expect(await trusted.page()).toMatchObject({ certificate: { trusted: true } });
});
