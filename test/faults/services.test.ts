import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect } from 'vitest';
import { fault } from '../support/fault-results.ts';
import { type FaultSite, lastEvent, site as name, sharedSite } from '../support/fault-site.ts';

// A service is down when somebody deploys.

let site: FaultSite;
beforeAll(async () => {
  site = await sharedSite();
});

interface Service {
  title: string;
  units: string;
  /** What the error says; nothing when the deploy succeeds without the service. */
  says?: RegExp;
  /** nginx: nobody can ask the site from outside. */
  silent?: boolean;
}

const services: Service[] = [
  { title: 'PostgreSQL', units: 'postgresql', says: /database|postgres|connection/i },
  { title: 'RabbitMQ', units: 'rabbitmq-server', says: /broker|rabbit/i },
  { title: 'memcached', units: `${name}-memcached`, says: /cache/i },
  { title: 'nginx', units: 'nginx', says: /https:|nginx/i, silent: true },
  { title: 'Postfix', units: 'postfix' },
];

for (const { title, units, says, silent } of services) {
  const outcome = says ? 'fails, says why and leaves the old release live' : 'succeeds';
  fault('service stopped', `a deploy while ${title} is stopped ${outcome}`, () =>
    site.survive(
      async () => {
        if (silent) await site.pauseAsking();
        await site.shell(`systemctl stop ${units}`);
        try {
          const run = await site.startYo().ended;
          expect(run.exitCode, run.output).toBe(says ? 1 : 0);
          if (says) expect(String(lastEvent(run)?.message)).toMatch(says);
          await site.releaseEnded();
        } finally {
          await site.shell(`systemctl start ${units}`);
          if (silent) await site.startAsking();
        }
        // What lost the service is to find it again by itself.
        await sleep(5000);
      },
      { road: 'yo', staysOld: Boolean(says) },
    ),
  );
}
