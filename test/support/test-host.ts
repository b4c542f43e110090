import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RehearsalSystem } from '../../lib/rehearsal/operating-systems.ts';
import { packageIndexSettings } from '../../lib/rehearsal/package-index.ts';
import { openRehearsal, type Rehearsal, type RehearsalHost } from '../../lib/rehearsal/rehearsal.ts';
import { giveTo } from './normal-user.ts';
import type { Workplace } from './workplace.ts';

/** The system that the tests boot: `GOBOOT_TEST_SYSTEM`, Debian 13 unless set. */
export const testSystem = (process.env.GOBOOT_TEST_SYSTEM ?? 'debian13') as RehearsalSystem;

export interface TestHost extends RehearsalHost {
  /** The key that opens the host, readable by the user of a workplace. */
  keyFileFor(place: Pick<Workplace, 'user'>): string;
  /** A known_hosts file with the host's real key. */
  knownHostsFileFor(place: Pick<Workplace, 'user'>): string;
}

/** Boots a host that looks like a rented server. It trusts the certificate authorities that this computer trusts. */
export async function startTestHost(
  session: Rehearsal,
  name: string,
  os: RehearsalSystem = testSystem,
  options: { memory?: number } = {},
): Promise<TestHost> {
  const host = await session.startHost({
    os,
    name: `${name}-${process.pid}`,
    adminUser: 'admin',
    ...options,
  });
  const { certificate_authority_bundle: bundle } = await packageIndexSettings();
  if (bundle) {
    const path = '/usr/local/share/ca-certificates/this-computer.crt';
    await host.rootShell(`cat > ${path} && update-ca-certificates 2>/dev/null`, readFileSync(bundle, 'utf8'));
  }
  return {
    ...host,
    keyFileFor(place) {
      const path = join(place.user.home, `${host.name}-key`);
      copyFileSync(host.keyFile as string, path);
      giveTo(place.user, path);
      return path;
    },
    knownHostsFileFor(place) {
      const path = join(place.user.home, `${host.name}-known-hosts`);
      writeFileSync(path, `${host.knownHostsLine}\n`);
      giveTo(place.user, path);
      return path;
    },
  };
}

export { openRehearsal };
