import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { runOrThrow } from '../../lib/process.ts';
import type { RehearsalSystem } from '../../lib/rehearsal/operating-systems.ts';
import { packageIndexSettings } from '../../lib/rehearsal/package-index.ts';
import type { Rehearsal, RehearsalAcme } from '../../lib/rehearsal/rehearsal.ts';
import { type InstalledGenerator, userEnvironment } from '../../test/support/installed-generator.ts';
import { giveTo, makeDirectoryFor, type NormalUser } from '../../test/support/normal-user.ts';
import { type ProbePlace, ProbeSite } from '../../test/support/probe-site.ts';
import { type DistantHost, distantHost } from '../../test/support/slow-network.ts';
import { startTestHost, type TestHost } from '../../test/support/test-host.ts';

/** What all measurements need. */
export interface Workshop {
  session: Rehearsal;
  os: RehearsalSystem;
  directory: string;
  user: NormalUser;
  installed: InstalledGenerator;
  /** Says what is being done, beside the table on standard output. */
  say(text: string): void;
}

/** A project of its own user, and the host that it is for. */
export interface Station {
  place: ProbePlace;
  host: TestHost;
  site: ProbeSite;
  acme: RehearsalAcme;
  /** Where visitors are: next to the host. */
  visit: { domain: string; address: string };
  close(): Promise<void>;
}

const distantPort = 8322;
let stations = 0;

/** The round trip of a visitor and of a developer who are on the same continent as the server. */
export const roundTrip = 40;

/**
 * Boots a host and scaffolds a project for it. `yo` runs on the newest Node that the tests know; with a distance, it
 * reaches the host through a slow line.
 */
export async function openStation(workshop: Workshop, { distant = false } = {}): Promise<Station> {
  stations += 1;
  const name = `bench-${stations}`;
  const host = await startTestHost(workshop.session, name, workshop.os);
  const root = makeDirectoryFor(workshop.user, join(workshop.directory, name));
  const user = { ...workshop.user, home: makeDirectoryFor(workshop.user, join(root, 'home')) };
  const temporary = makeDirectoryFor(workshop.user, join(root, 'tmp'));
  const place: ProbePlace = {
    user,
    cwd: makeDirectoryFor(workshop.user, join(root, 'work')),
    environment: () => ({
      ...userEnvironment(user, workshop.installed, { newerNode: true }),
      TMPDIR: temporary,
      UV_CACHE_DIR: join(workshop.directory, 'uv-cache'),
    }),
  };
  const far: DistantHost | undefined = distant
    ? await distantHost(
        host.address,
        [
          { here: distantPort, there: host.port },
          { here: 443, there: 443 },
        ],
        roundTrip,
      )
    : undefined;
  const knownHostsFile = host.knownHostsFileFor(place);
  if (far) {
    const key = readFileSync(knownHostsFile, 'utf8').split(' ').slice(1).join(' ');
    writeFileSync(knownHostsFile, `[${far.address}]:${distantPort} ${key}`);
  }
  const site = new ProbeSite(place);
  const acme = await workshop.session.startAcme({
    os: workshop.os,
    name: `${host.name}-acme`,
    domains: { [site.domain]: host.address },
  });
  await site.scaffold({
    address: far?.address ?? host.address,
    port: far ? distantPort : host.port,
    user: host.user,
    keyFile: host.keyFileFor(place),
    knownHostsFile,
  });
  const authority = join(user.home, 'acme-authority.pem');
  cpSync(acme.tlsAuthorityPath, authority);
  giveTo(user, authority);
  const index = await packageIndexSettings();
  await site.setVariables({
    acme_directory_url: acme.directoryUrl,
    acme_certificate_authority_file: authority,
    python_package_index_url: index.python_package_index_url,
    certificate_authority_bundle: index.certificate_authority_bundle,
  });
  return {
    place,
    host,
    site,
    acme,
    visit: { domain: site.domain, address: host.address },
    async close() {
      await far?.close();
      await acme.stop();
      await host.stop();
    },
  };
}

/** Directories that all stations share. */
export function prepareDirectory({ directory, user }: Workshop): void {
  mkdirSync(directory, { recursive: true });
  makeDirectoryFor(user, join(directory, 'uv-cache'));
}

/** Runs a line as root on the station's host. Throws with its output when it fails. */
export async function onHost({ host }: Station, command: string, input?: string): Promise<string> {
  const { exitCode, stdout, stderr } = await host.rootShell(command, input);
  if (exitCode !== 0) throw new Error(`${command}: ${stderr || stdout}`);
  return stdout.trim();
}

/** This computer's processor and system, the Node of the run, and how busy it is, for whoever reads the figures. */
export async function describeComputer(pathOfNode: string): Promise<string> {
  const [{ stdout: model }, { stdout: count }, { stdout: kernel }, { stdout: node }] = await Promise.all([
    runOrThrow('sh', ['-c', "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1"], {
      failure: 'The processor is unknown',
    }),
    runOrThrow('nproc', [], { failure: 'The number of processors is unknown' }),
    runOrThrow('uname', ['-r'], { failure: 'The kernel is unknown' }),
    runOrThrow(pathOfNode, ['--version'], { failure: 'Node is missing' }),
  ]);
  return `${count.trim()} × ${model.trim() || 'unknown processor'}, Linux ${kernel.trim()}, Node ${node.trim()}, load average of the last quarter of an hour ${loadavg()[2]?.toFixed(1)}`;
}
