import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { inject } from 'vitest';
import { fetchLivePage, type LivePage } from '../../lib/deploy/live.ts';
import { openRehearsal, type Rehearsal, type RehearsalAcme } from '../../lib/rehearsal/rehearsal.ts';
import { ScaffoldedSite } from './scaffolded-site.ts';
import { type DeepHealth, deepHealth } from './site-health.ts';
import { startTestHost, testSystem } from './test-host.ts';

/** A page that takes this long, in seconds, and one that sends a task. */
export const slowSeconds = 8;
const pages = `
import time

from django.http import HttpResponse

from pages.tasks import echo


def slow(request):
    time.sleep(${slowSeconds})
    return HttpResponse("slow and whole")


def send(request):
    return HttpResponse(echo.delay("sent").id)


urlpatterns += [path("slow/", slow), path("send/", send)]
`;

/** A site on a host of its own with an ACME server beside it, which does not know the site's name at first. */
export class TrustedSite {
  readonly session: Rehearsal;
  readonly acme: RehearsalAcme;
  readonly site: ScaffoldedSite;

  private constructor(session: Rehearsal, acme: RehearsalAcme, site: ScaffoldedSite) {
    this.session = session;
    this.acme = acme;
    this.site = site;
  }

  /** Boots a host, provisions it and deploys a project with two pages more than a new one has. */
  static async provision(name: string): Promise<TrustedSite> {
    const session = await openRehearsal();
    try {
      const host = await startTestHost(session, name);
      const acme = await session.startAcme({ os: testSystem, name: `${host.name}-acme`, domains: {} });
      const site = await ScaffoldedSite.scaffold({ directory: inject('trustDirectory'), host, acme });
      await site.change('shop/urls.py', (text) => `${text}${pages}`);
      await site.provision();
      await site.deploy();
      return new TrustedSite(session, acme, site);
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.session.close();
  }

  /** Lets the authority find the site, and provisions until it has a certificate. Returns the messages. */
  async obtainCertificate(): Promise<string[]> {
    await this.acme.pointDomain(this.site.domain, this.site.host.address);
    const messages: string[] = [];
    await this.site.provision({ onMessage: (message) => messages.push(message) });
    return messages;
  }

  /** A page as a visitor gets it, who trusts the ACME server's certificates. */
  page(path = '/'): Promise<LivePage> {
    return fetchLivePage({
      domain: this.site.domain,
      address: this.site.host.address,
      path,
      authorities: readFileSync(this.acme.rootCertificatePath, 'utf8'),
    });
  }

  /** The status and the target of a redirect, over HTTP. */
  plainPage(path = '/'): Promise<{ status: number; location: string | undefined }> {
    return new Promise((resolve, reject) => {
      const { host, domain } = this.site;
      request({ host: host.address, path, headers: { host: domain } }, (response) => {
        response.resume();
        resolve({ status: response.statusCode ?? 0, location: response.headers.location });
      })
        .on('error', reject)
        .end();
    });
  }

  /** What the deep health endpoint says on the host; undefined without an answer of its own. */
  deepHealth(): Promise<DeepHealth | undefined> {
    return deepHealth(this.site);
  }

  /** The names of what is broken. */
  async broken(): Promise<string[]> {
    const health = await this.deepHealth();
    if (!health) return ['site'];
    return Object.entries(health.checks).flatMap(([name, { ok }]) => (ok ? [] : [name]));
  }

  /** Waits until all is well again, and every unit is up; returns how many seconds that took. */
  async recovered(seconds: number): Promise<number> {
    const started = performance.now();
    let problem = '';
    while (performance.now() - started < seconds * 1000) {
      problem = (await this.broken().catch(() => ['site'])).join(', ') || (await this.stoppedUnits());
      if (!problem) return (performance.now() - started) / 1000;
      await sleep(500);
    }
    throw new Error(`Not well after ${seconds} s: ${problem}`);
  }

  /** Units that failed, and those of the site that do not run, in one line. */
  async stoppedUnits(): Promise<string> {
    const { stdout } = await this.site.host.rootShell(
      `systemctl --failed --plain --no-legend | cut -d ' ' -f 1
       release=$(basename "$(readlink /srv/${this.site.name}/current)")
       for unit in web@$release worker@$release beat memcached; do
         systemctl is-active --quiet "${this.site.name}-$unit" || echo "${this.site.name}-$unit"
       done`,
    );
    return stdout.trim().replaceAll('\n', ' ');
  }

  /** Lets a task go through the broker to the worker and back. */
  async taskComesBack(): Promise<boolean> {
    const { exitCode } = await this.site.host.rootShell(
      `/usr/local/sbin/${this.site.name}-release manage -- check_services --timeout 20`,
    );
    return exitCode === 0;
  }
}

let shared: Promise<TrustedSite> | undefined;

/** The site that all tests of a run share. */
export function sharedSite(): Promise<TrustedSite> {
  shared ??= TrustedSite.provision('trust');
  return shared;
}
