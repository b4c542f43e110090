import { setTimeout as sleep } from 'node:timers/promises';
import type { ScaffoldedSite } from './scaffolded-site.ts';

/** What the deep health endpoint says. */
export interface DeepHealth {
  status: string;
  release: string;
  checks: Record<string, { ok: boolean; detail: string }>;
}

/** What the deep health endpoint of a site says on its host; undefined without an answer of its own. */
export async function deepHealth({ domain, host }: ScaffoldedSite): Promise<DeepHealth | undefined> {
  const program = `
import http.client, socket, ssl
connection = http.client.HTTPSConnection("${domain}", timeout=20, context=ssl._create_unverified_context())
plain = socket.create_connection(("127.0.0.1", 443), 20)
connection.sock = connection._context.wrap_socket(plain, server_hostname="${domain}")
connection.request("GET", "/health/deep/")
print(connection.getresponse().read().decode())`;
  const { stdout } = await host.rootShell('python3 -', program);
  try {
    return JSON.parse(stdout);
  } catch {
    return undefined;
  }
}

/** Reboots a host in order; returns the seconds from the order until a site says that all its services are well. */
export async function recoverySeconds(site: ScaffoldedSite): Promise<number> {
  const started = performance.now();
  await site.host.reboot();
  while ((await deepHealth(site).catch(() => undefined))?.status !== 'ok') {
    if (performance.now() - started > 120_000) throw new Error(`${site.name} is not back after 120 s`);
    await sleep(200);
  }
  return (performance.now() - started) / 1000;
}
