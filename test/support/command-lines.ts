import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Collects the command line of every process of this computer again and again; the returned function ends it. */
export function sampleCommandLines(): () => Promise<Set<string>> {
  const seen = new Set<string>();
  let running = true;
  const sampling = (async () => {
    while (running) {
      for (const id of readdirSync('/proc')) {
        if (!/^\d+$/.test(id)) continue;
        try {
          seen.add(readFileSync(join('/proc', id, 'cmdline'), 'utf8').replaceAll('\0', ' '));
        } catch {
          // It has ended in the meantime.
        }
      }
      await sleep(2);
    }
  })();
  return async () => {
    running = false;
    await sampling;
    return seen;
  };
}
