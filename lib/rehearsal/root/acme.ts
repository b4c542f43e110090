import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { GobootError } from '../../errors.ts';
import type { RehearsalSystem } from '../operating-systems.ts';
import { type AcmeDescription, acmePorts } from '../protocol.ts';
import { command, lastLines, type StepContext } from './commands.ts';
import { createMachine, launch, undoing } from './machine.ts';
import { machinePaths } from './paths.ts';
import { waitUntil } from './processes.ts';
import { isRunning, readMachine, writeMachine } from './state.ts';

const directory = 'opt/acme';

function configuration(address: string): string {
  return JSON.stringify({
    pebble: {
      listenAddress: `${address}:${acmePorts.directory}`,
      managementListenAddress: `${address}:${acmePorts.management}`,
      certificate: `/${directory}/server.pem`,
      privateKey: `/${directory}/server.key`,
      httpPort: 80,
      tlsPort: 443,
      ocspResponderURL: '',
      externalAccountBindingRequired: false,
    },
  });
}

/** The machine has an own address instead of this computer's, so that no firewall here stands between. */
function script(address: string): string {
  const names = `pebble-challtestsrv -defaultIPv4 "" -defaultIPv6 "" -dns01 127.0.0.1:8053 -management ${address}:${acmePorts.names} -http01 "" -https01 "" -tlsalpn01 ""`;
  return `set -e
ip link set lo up
ip address add ${address}/24 dev host0
ip link set host0 up
pebble-challtestsrv -help 2>&1 | grep -q -- -doh && set -- -doh ""
${names} "$@" &
export PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=0
exec pebble -config /${directory}/pebble.json -dnsserver 127.0.0.1:8053
`;
}

/** Makes a certificate for the server's address and the authority that signed it, whose key is thrown away. */
async function makeCertificate(context: StepContext, root: string, address: string): Promise<string> {
  const failure = "Making the ACME test server's certificate failed";
  const openssl = (...args: string[]) => command(context, failure, ['chroot', root, 'openssl', ...args]);
  const file = (name: string) => `/${directory}/${name}`;
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await openssl(
    ...['req', '-x509', ...key, '-days', '365', '-subj', '/CN=Rehearsal authority'],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    ...['-keyout', file('authority.key'), '-out', file('authority.pem')],
  );
  await openssl(
    'req',
    ...key,
    '-subj',
    `/CN=${address}`,
    '-keyout',
    file('server.key'),
    '-out',
    file('server.csr'),
  );
  writeFileSync(
    join(root, directory, 'server.ext'),
    `subjectAltName=IP:${address}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\n`,
  );
  await openssl(
    ...['x509', '-req', '-in', file('server.csr'), '-days', '365', '-extfile', file('server.ext')],
    ...['-CA', file('authority.pem'), '-CAkey', file('authority.key'), '-CAcreateserial'],
    ...['-out', file('server.pem')],
  );
  rmSync(join(root, directory, 'authority.key'));
  return readFileSync(join(root, directory, 'authority.pem'), 'utf8');
}

async function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port, timeout: 1000 });
    const finish = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => finish(true));
    for (const event of ['error', 'timeout']) socket.once(event, () => finish(false));
  });
}

async function isListening(address: string): Promise<boolean> {
  const answers = await Promise.all(Object.values(acmePorts).map((port) => accepts(address, port)));
  return answers.every(Boolean);
}

/** Starts the ACME test server on a machine of its own; when it fails, nothing of it is left. */
export async function startAcme(
  context: StepContext,
  { name, os, keep }: { name: string; os: RehearsalSystem; keep: boolean },
): Promise<AcmeDescription> {
  return undoing(context, name, async (created) => {
    const { state } = await createMachine(context, { name, os, adminUser: 'root', kind: 'acme', keep });
    created();
    const { address } = state;
    const { root, console } = machinePaths(name);
    const tlsAuthority = await context.progress(`Starting the ACME test server (${address})`, async () => {
      mkdirSync(join(root, directory), { recursive: true });
      const authority = await makeCertificate(context, root, address);
      writeFileSync(join(root, directory, 'pebble.json'), configuration(address));
      const program = join(root, directory, 'run');
      writeFileSync(program, script(address));
      chmodSync(program, 0o755);
      await launch(context, name, { program: ['/bin/sh', `/${directory}/run`] });
      await waitUntil(() => isRunning(name), 5000, context.signal);
      const listening = await waitUntil(
        async () => !isRunning(name) || (await isListening(address)),
        15_000,
        context.signal,
      );
      if (!listening || !isRunning(name)) {
        throw new GobootError(
          `Starting the ACME test server failed: ${lastLines(readFileSync(console, 'utf8')) || 'no answer'}`,
        );
      }
      return authority;
    });
    state.keep = keep;
    writeMachine(state);
    return { name, address, tlsAuthority };
  });
}

/** Lets the ACME server, and it alone, find a domain at an address and at no other. */
export async function pointDomain(acme: string, domain: string, address: string): Promise<void> {
  const state = readMachine(acme);
  if (!state) throw new GobootError(`There is no ACME test server named ${acme}`);
  const host = `${domain}.`;
  // Adding an address keeps those that are there.
  const requests = { 'clear-a': { host }, 'add-a': { host, addresses: [address] } };
  for (const [path, body] of Object.entries(requests)) {
    const response = await fetch(`http://${state.address}:${acmePorts.names}/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(5000),
    });
    if (!response.ok) {
      throw new GobootError(
        `The ACME test server refused to point ${domain} to ${address} (${path}: ${response.status})`,
      );
    }
  }
}
