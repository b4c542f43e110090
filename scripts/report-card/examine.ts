import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RehearsalSystem } from '../../lib/rehearsal/operating-systems.ts';
import { openRehearsal } from '../../lib/rehearsal/rehearsal.ts';
import {
  type Attempt,
  lookInto,
  lynisIndex,
  memoryInUse,
  unitExposure,
} from '../../test/support/host-report.ts';
import { ScaffoldedSite } from '../../test/support/scaffolded-site.ts';
import { Scanner } from '../../test/support/scanner.ts';
import { recoverySeconds } from '../../test/support/site-health.ts';
import { startTestHost } from '../../test/support/test-host.ts';

/** All that the report card says of one host. */
export interface Examination {
  os: RehearsalSystem;
  ports: string[];
  tls: Awaited<ReturnType<Scanner['tlsRating']>>;
  ssh: Awaited<ReturnType<Scanner['sshFindings']>>;
  lynis: { before: Awaited<ReturnType<typeof lynisIndex>>; after: Awaited<ReturnType<typeof lynisIndex>> };
  units: Record<string, number>;
  memory: Awaited<ReturnType<typeof memoryInUse>>;
  rebootSeconds: number;
  /** What a site got of another one. */
  attempts: Attempt[];
  answerToUnknownNames: string;
}

/** Boots a host, provisions it for two sites, deploys both and looks at it from all sides. Removes all of it. */
export async function examine(os: RehearsalSystem, say: (text: string) => void): Promise<Examination> {
  // Short, because the paths of sockets below it are limited.
  const directory = mkdtempSync(join(tmpdir(), 'card-'));
  const session = await openRehearsal();
  try {
    say('boot a host, a machine to scan it from, and an ACME server');
    const host = await startTestHost(session, 'card', os);
    const scanner = await Scanner.start(session, `${host.name}-scanner`);
    const domains = { 'shop.example.com': host.address, 'blog.example.com': host.address };
    const acme = await session.startAcme({ os, name: `${host.name}-acme`, domains });
    const sites: ScaffoldedSite[] = [];
    for (const project of ['shop', 'blog']) {
      sites.push(await ScaffoldedSite.scaffold({ directory, host, acme, project }));
    }
    const [site, other] = sites as [ScaffoldedSite, ScaffoldedSite];
    say('lynis before provisioning');
    const before = await lynisIndex(site);
    say('provision and deploy the first site');
    await site.provision();
    await site.deploy();
    say('memory of the idle host');
    // What starts lets go of memory in its first moments, and the firewall forgets the logins.
    await site.shell('sleep 30');
    const memory = await memoryInUse(site);
    say('the second site');
    await other.provision();
    await other.deploy();
    const attempts = await lookInto(site, other);
    say('ports');
    const ports = await scanner.openPorts(host.address);
    const answerToUnknownNames = await scanner.run(
      `curl -sS -o /dev/null -w '%{http_code}' --resolve nobody.example.com:80:${host.address} http://nobody.example.com/ 2>&1 || true; echo; curl -sSk -o /dev/null --resolve nobody.example.com:443:${host.address} https://nobody.example.com/ 2>&1 || true`,
    );
    say('ssh-audit');
    const ssh = await scanner.sshFindings(host.address, host.port);
    say('testssl.sh');
    const tls = await scanner.tlsRating(site.domain, host.address, acme.rootCertificatePath);
    const units = await unitExposure(site);
    say('lynis after provisioning');
    const after = await lynisIndex(site);
    say('reboot');
    const rebootSeconds = await recoverySeconds(site);
    return {
      os,
      ports,
      tls,
      ssh,
      lynis: { before, after },
      units,
      memory,
      rebootSeconds,
      attempts,
      answerToUnknownNames,
    };
  } finally {
    await session.close();
    rmSync(directory, { recursive: true, force: true });
  }
}
