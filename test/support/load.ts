import { Agent, get } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

export interface LoadResult {
  requests: number;
  /** What went wrong with each request that was lost. */
  lost: string[];
  /** Releases that answered, in the order in which they were first seen. */
  releases: string[];
}

/**
 * Asks a site for its health page at a steady rate over one kept-alive and one new connection in turn; the returned
 * function ends it and tells what was lost.
 */
export function startLoad({
  domain,
  address,
  perSecond,
}: {
  domain: string;
  address: string;
  perSecond: number;
}): () => Promise<LoadResult> {
  const result: LoadResult = { requests: 0, lost: [], releases: [] };
  const agents = [new Agent({ keepAlive: true }), new Agent({ keepAlive: false })];
  const pending = new Set<Promise<void>>();
  let running = true;

  const ask = (agent: Agent) =>
    new Promise<void>((resolve) => {
      const lose = (reason: string) => {
        result.lost.push(reason);
        resolve();
      };
      const request = get(
        {
          host: address,
          servername: domain,
          path: '/health/',
          headers: { host: domain },
          rejectUnauthorized: false,
          agent,
          timeout: 15_000,
        },
        (response) => {
          let body = '';
          response.on('data', (chunk) => {
            body += chunk;
          });
          response.on('end', () => {
            if (response.statusCode !== 200) return lose(`status ${response.statusCode}`);
            const { release } = JSON.parse(body);
            if (!result.releases.includes(release)) result.releases.push(release);
            resolve();
          });
        },
      );
      request.on('timeout', () => request.destroy(new Error('no answer within 15 s')));
      request.on('error', (error) => lose(error.message));
    });

  const loading = (async () => {
    while (running) {
      const agent = agents[result.requests % agents.length] as Agent;
      result.requests += 1;
      const request = ask(agent).finally(() => pending.delete(request));
      pending.add(request);
      await sleep(1000 / perSecond);
    }
  })();
  return async () => {
    running = false;
    await loading;
    await Promise.all(pending);
    for (const agent of agents) agent.destroy();
    return result;
  };
}
