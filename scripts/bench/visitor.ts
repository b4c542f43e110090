import { Agent, get } from 'node:https';

/** What the probe's page `who` says. */
export interface Seen {
  release: string;
  process: string;
  revision: number;
}

const interval = 10;
const mostAtOnce = 8;

/**
 * Asks a site every 10 ms who answers, as impatient visitors do. `until` resolves with the time (in milliseconds since
 * 1970) at which the first fitting answer was complete.
 */
export function watch(
  where: { domain: string; address: string },
  fits: (seen: Seen) => boolean,
): { until: Promise<number>; stop(): void } {
  const agent = new Agent({ keepAlive: true });
  let asking = 0;
  let timer: NodeJS.Timeout;
  const stop = () => {
    clearInterval(timer);
    agent.destroy();
  };
  const until = new Promise<number>((resolve) => {
    timer = setInterval(() => {
      if (asking >= mostAtOnce) return;
      asking += 1;
      ask(where, agent)
        .then((seen) => {
          if (!seen || !fits(seen)) return;
          resolve(Date.now());
          stop();
        })
        .finally(() => {
          asking -= 1;
        });
    }, interval);
  });
  return { until, stop };
}

/** Who answers right now. */
export async function lookOnce(where: { domain: string; address: string }): Promise<Seen> {
  const agent = new Agent();
  const seen = await ask(where, agent);
  agent.destroy();
  if (!seen) throw new Error(`https://${where.domain}/probe/who/ does not answer`);
  return seen;
}

function ask(where: { domain: string; address: string }, agent: Agent): Promise<Seen | undefined> {
  return new Promise((resolve) => {
    const request = get(
      {
        host: where.address,
        servername: where.domain,
        headers: { host: where.domain },
        path: '/probe/who/',
        rejectUnauthorized: false,
        agent,
        // On a busy computer a deploy takes the time of others.
        timeout: 30_000,
      },
      (response) => {
        let body = '';
        response.on('data', (chunk) => {
          body += chunk;
        });
        response.on('end', () => resolve(response.statusCode === 200 ? JSON.parse(body) : undefined));
        response.on('error', () => resolve(undefined));
      },
    );
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(undefined));
  });
}
