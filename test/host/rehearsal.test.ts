import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../lib/process.ts';
import { packageIndexSettings } from '../../lib/rehearsal/package-index.ts';
import { openRehearsal, type Rehearsal, type RehearsalHost } from '../../lib/rehearsal/rehearsal.ts';
import { checkRehearsal } from '../../lib/rehearsal/requirements.ts';
import {
  forwarding,
  machineDirectories,
  machineTraces,
  networkTraces,
  tracesAfter,
} from '../rehearsal/support/traces.ts';

/** Keeps runs apart that test on the same computer at the same time. */
const unique = (name: string) => `${name}-${process.pid}`;
const directory = mkdtempSync(join(tmpdir(), 'rehearsal-test-'));
const loader = createRequire(import.meta.url).resolve('tsx');
const sessionProgram = join(import.meta.dirname, '../rehearsal/support/session.ts');

async function ssh(host: RehearsalHost, command: string, input?: string) {
  const knownHosts = join(directory, `known_hosts-${host.name}`);
  writeFileSync(knownHosts, `${host.knownHostsLine}\n`);
  return run(
    'ssh',
    [
      ...['-F', 'none', '-i', host.keyFile ?? '', '-p', String(host.port), '-o', 'BatchMode=yes'],
      ...[
        '-o',
        'StrictHostKeyChecking=yes',
        '-o',
        `UserKnownHostsFile=${knownHosts}`,
        '-o',
        'LogLevel=ERROR',
      ],
      ...[`${host.user}@${host.address}`, command],
    ],
    { timeout: 300_000, ...(input !== undefined && { input }) },
  );
}

it('finds nothing missing on this computer', async () => {
  expect(await checkRehearsal()).toEqual([]);
});

describe('two hosts side by side', () => {
  let rehearsal: Rehearsal;
  let debian13: RehearsalHost;
  let debian12: RehearsalHost;
  const forwardingBefore = forwarding();
  const networkBefore = machineDirectories().length > 0;

  beforeAll(async () => {
    rehearsal = await openRehearsal();
    [debian13, debian12] = await Promise.all([
      rehearsal.startHost({ os: 'debian13', name: unique('test-13'), adminUser: 'admin' }),
      rehearsal.startHost({ os: 'debian12', name: unique('test-12'), adminUser: 'debian', memory: 1024 }),
    ]);
  });

  afterAll(async () => {
    await rehearsal?.close();
    rmSync(directory, { recursive: true });
    expect(machineTraces([unique('test-13'), unique('test-12'), unique('test-acme')])).toEqual([]);
    if (!networkBefore && machineDirectories().length === 0) {
      expect(networkTraces()).toEqual([]);
      expect(forwarding()).toBe(forwardingBefore);
    }
  });

  it('lets the administrator in by key and sudo without a password', async () => {
    for (const [host, version] of [
      [debian13, '13'],
      [debian12, '12'],
    ] as const) {
      const result = await ssh(
        host,
        'sudo -n id -u; hostname; . /etc/os-release; echo $VERSION_ID; systemctl is-system-running',
      );
      expect(result).toMatchObject({ exitCode: 0, stdout: `0\n${host.name}\n${version}\nrunning` });
    }
  });

  it('lets nobody in by another key', async () => {
    const stranger = { ...debian13, keyFile: debian12.keyFile ?? '' };
    const result = await ssh(stranger, 'true');
    expect(result.exitCode).toBe(255);
    expect(result.stderr).toContain('Permission denied');
  });

  it('keeps the processes of the hosts apart', async () => {
    await debian13.rootShell('systemd-run --unit=apart sleep 1000');
    await debian12.rootShell('systemd-run --unit=apart sleep 1000');
    await debian13.rootShell('systemctl kill --signal=KILL apart');
    expect((await debian12.rootShell('systemctl is-active apart')).stdout).toBe('active\n');
    await debian12.rootShell('systemctl stop apart');
  });

  it('connects the hosts with each other and can cut one off', async () => {
    const greet = `timeout 3 bash -c 'exec 3<>/dev/tcp/${debian12.address}/22 && head -c 4 <&3'`;
    expect((await debian13.rootShell(greet)).stdout).toBe('SSH-');
    await debian12.setNetwork(false);
    expect((await debian13.rootShell(greet)).exitCode).not.toBe(0);
    await debian12.setNetwork(true);
    expect((await debian13.rootShell(greet)).stdout).toBe('SSH-');
  });

  it('gives a root shell with input, status and both outputs', async () => {
    const result = await debian13.rootShell('cat; echo problem >&2; id -u; exit 7', 'text\n');
    expect(result).toEqual({ exitCode: 7, stdout: 'text\n0\n', stderr: 'problem\n' });
  });

  it('limits the memory of a host', async () => {
    const hog = `python3 -c 'x = bytearray(1500 * 1024 * 1024); print(len(x))'`;
    expect((await debian13.rootShell(hog)).exitCode).toBe(0);
    const unit = `systemd-run --quiet --pipe --wait ${hog}`;
    expect((await debian12.rootShell(unit)).exitCode).not.toBe(0);
    expect((await debian12.rootShell('systemctl is-active ssh')).stdout).toBe('active\n');
  });

  it('boots again with the same disk and identity', async () => {
    await debian12.rootShell('echo kept > /var/tmp/note');
    const before = (await debian12.rootShell('cat /etc/machine-id')).stdout;
    await debian12.reboot();
    expect((await debian12.rootShell('cat /var/tmp/note /etc/machine-id')).stdout).toBe(`kept\n${before}`);
    expect((await ssh(debian12, 'true')).exitCode).toBe(0);
  });

  it('installs packages, reaches the package index and gets a certificate by ACME', async () => {
    const acme = await rehearsal.startAcme({
      os: 'debian13',
      name: unique('test-acme'),
      domains: { 'shop.example.com': debian13.address },
    });
    const install = await ssh(
      debian13,
      'sudo -n apt-get -qq update && sudo -n DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends certbot nginx python3-pip >/dev/null',
    );
    expect(install).toMatchObject({ exitCode: 0 });

    const index = await packageIndexSettings();
    const settings = [
      ...(index.python_package_index_url ? [`PIP_INDEX_URL=${index.python_package_index_url}`] : []),
      ...(index.certificate_authority_bundle ? ['PIP_CERT=/var/tmp/bundle.pem'] : []),
    ];
    if (index.certificate_authority_bundle) {
      const bundle = readFileSync(index.certificate_authority_bundle, 'utf8');
      await debian13.rootShell('cat > /var/tmp/bundle.pem', bundle);
    }
    const download = await debian13.rootShell(
      `${settings.join(' ')} pip download --quiet --no-deps --dest /root sqlparse`,
    );
    expect(download).toMatchObject({ exitCode: 0 });

    await debian13.rootShell('cat > /var/tmp/acme.pem', readFileSync(acme.tlsAuthorityPath, 'utf8'));
    const issued = await debian13.rootShell(
      `REQUESTS_CA_BUNDLE=/var/tmp/acme.pem certbot certonly --non-interactive --agree-tos --register-unsafely-without-email --server ${acme.directoryUrl} --webroot --webroot-path /var/www/html --domain shop.example.com`,
    );
    expect(issued).toMatchObject({ exitCode: 0 });
    const chain = join(directory, 'chain.pem');
    writeFileSync(
      chain,
      (await debian13.rootShell('cat /etc/letsencrypt/live/shop.example.com/fullchain.pem')).stdout,
    );
    const verdict = execFileSync(
      'openssl',
      ['verify', '-CAfile', acme.rootCertificatePath, '-untrusted', chain, chain],
      { encoding: 'utf8' },
    );
    expect(verdict).toContain('OK');
    await acme.stop();
    expect(machineTraces([unique('test-acme')])).toEqual([]);
  });

  it('runs the ACME server of the older system, too', async () => {
    const acme = await rehearsal.startAcme({ os: 'debian12', name: unique('test-acme'), domains: {} });
    await debian13.rootShell('cat > /var/tmp/acme.pem', readFileSync(acme.tlsAuthorityPath, 'utf8'));
    const answer = await debian13.rootShell(
      `python3 -c "import ssl, urllib.request as u; print(u.urlopen('${acme.directoryUrl}', context=ssl.create_default_context(cafile='/var/tmp/acme.pem')).read().decode())"`,
    );
    expect(answer.stderr).toBe('');
    expect(JSON.parse(answer.stdout)).toHaveProperty('newOrder');
    await acme.stop();
  });

  it('refuses a name that is taken and leaves the host alone', async () => {
    const again = rehearsal.startHost({ os: 'debian13', name: unique('test-13'), adminUser: 'admin' });
    await expect(again).rejects.toThrow(`There is already a throwaway host named ${unique('test-13')}`);
    expect((await ssh(debian13, 'true')).exitCode).toBe(0);
  });

  it.each([
    [{ name: '../etc' }, '"../etc" cannot be the name of a throwaway host'],
    [{ os: 'ubuntu' as 'debian13' }, '"ubuntu" is not a system that can be rehearsed on'],
    [{ adminUser: 'a; reboot' }, '"a; reboot" cannot be the name of a user'],
    [{ memory: 12 }, '12 MiB is no memory limit'],
    [{ authorizedKey: 'nonsense' }, 'is not an SSH public key'],
  ])('refuses %j', async (wrong, message) => {
    const options = { os: 'debian13' as const, name: unique('test-wrong'), adminUser: 'admin', ...wrong };
    await expect(rehearsal.startHost(options)).rejects.toThrow(message);
    expect(machineTraces([unique('test-wrong')])).toEqual([]);
  });

  it('leaves nothing of a host that does not boot', async () => {
    // A user that the image has already cannot be added.
    const failing = rehearsal.startHost({ os: 'debian13', name: unique('test-fail'), adminUser: 'daemon' });
    await expect(failing).rejects.toThrow(/Adding the user daemon .* failed: .*already exists/);
    expect(machineTraces([unique('test-fail')])).toEqual([]);
  });
});

interface Session {
  process: ReturnType<typeof spawn>;
  ended: Promise<unknown>;
}

/** Runs a program of a user that boots a host, and returns when it prints that; the host is up unless told. */
async function startSession(
  name: string,
  { keep = false, until = `finished: Booting the throwaway host ${name}` } = {},
): Promise<Session> {
  const child = spawn(
    process.execPath,
    ['--import', loader, sessionProgram, name, ...(keep ? ['keep'] : [])],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
      // A group of its own, as a shell gives to each command.
      detached: true,
    },
  );
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const seen = new Promise((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith(until)) resolve(line);
    });
  });
  const line = await Promise.race([seen, ended]);
  if (typeof line !== 'string') throw new Error(`the session for ${name} ended before it printed "${until}"`);
  return { process: child, ended };
}

/** The helper's processes below a session: the guardian and its worker. */
function helperProcesses(session: Session): { guardian: number; worker: number } {
  const child = (pid: number) =>
    Number(
      execFileSync('pgrep', ['--parent', String(pid), '--full', 'root-helper'], { encoding: 'utf8' }).trim(),
    );
  const guardian = child(session.process.pid ?? 0);
  return { guardian, worker: child(guardian) };
}

describe('when a run ends in a bad way', () => {
  const name = unique('test-end');
  const before = forwarding();

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const)('leaves nothing after %s', async (signal) => {
    const session = await startSession(name);
    expect(machineTraces([name])).not.toEqual([]);
    // To the whole group, as a terminal does it.
    process.kill(-(session.process.pid ?? 0), signal);
    await session.ended;
    expect(await tracesAfter([name], 10_000)).toEqual([]);
    if (machineDirectories().length === 0) expect(forwarding()).toBe(before);
  });

  it.each(['SIGINT', 'SIGKILL'] as const)(
    'leaves nothing of a host that was booting at %s',
    async (signal) => {
      const session = await startSession(name, { until: 'started: Booting' });
      process.kill(-(session.process.pid ?? 0), signal);
      await session.ended;
      expect(await tracesAfter([name], 10_000)).toEqual([]);
    },
  );

  it('cleans up by the guardian when the worker is killed', async () => {
    const session = await startSession(name);
    process.kill(helperProcesses(session).worker, 'SIGKILL');
    expect(await tracesAfter([name], 10_000)).toEqual([]);
    process.kill(session.process.pid ?? 0, 'SIGKILL');
    await session.ended;
  });

  it('cleans up by the worker when the guardian is killed', async () => {
    const session = await startSession(name);
    process.kill(helperProcesses(session).guardian, 'SIGKILL');
    expect(await tracesAfter([name], 10_000)).toEqual([]);
    process.kill(session.process.pid ?? 0, 'SIGKILL');
    await session.ended;
  });

  it('finds what is left when everything was killed at once, and removes it at the next start', async () => {
    const session = await startSession(name);
    const { guardian, worker } = helperProcesses(session);
    for (const pid of [guardian, worker, session.process.pid ?? 0]) process.kill(pid, 'SIGKILL');
    await session.ended;
    expect(machineTraces([name])).not.toEqual([]);
    const rehearsal = await openRehearsal();
    expect(machineTraces([name])).toEqual([]);
    await rehearsal.close();
    expect(await tracesAfter([name], 0)).toEqual([]);
  });

  it('keeps a host on request, and removes it by name later', async () => {
    const session = await startSession(name, { keep: true, until: 'ready' });
    process.kill(-(session.process.pid ?? 0), 'SIGINT');
    await session.ended;
    const rehearsal = await openRehearsal();
    const kept = (await rehearsal.list()).find((machine) => machine.name === name);
    expect(kept).toMatchObject({ name, running: true, stale: false, keep: true });
    expect(await rehearsal.remove(name)).toBe(true);
    expect(await rehearsal.remove(name)).toBe(false);
    await rehearsal.close();
    expect(await tracesAfter([name], 0)).toEqual([]);
  });
});
