import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type CheckResult, summarize } from '../../lib/preflight/check.ts';
import { examine, type PreflightOptions } from '../../lib/preflight/run.ts';
import type { Environment } from '../../lib/project.ts';
import { openRehearsal, type Rehearsal } from '../../lib/rehearsal/rehearsal.ts';
import { startNameServer } from '../support/name-server.ts';
import { sampleEnvironment } from '../support/sample.ts';
import { startTestHost, type TestHost } from '../support/test-host.ts';
import { Workplace } from '../support/workplace.ts';

// One host, broken in one way after the other, and repaired after each.

const site = 'shop-production';

let session: Rehearsal;
let host: TestHost;
let place: Workplace;

beforeAll(async () => {
  session = await openRehearsal();
  // With as much memory as the smallest servers have: enough to begin with, and worth a warning.
  host = await startTestHost(session, 'preflight', undefined, { memory: 700 });
  place = new Workplace();
  // Tests log in more often than people do, and some of them in vain.
  await onHost(
    'echo "PerSourcePenalties no" > /etc/ssh/sshd_config.d/tests.conf; sshd -t && systemctl reload ssh || rm /etc/ssh/sshd_config.d/tests.conf',
  );
  await onHost('apt-get update -qq');
});
afterAll(async () => {
  await session?.close();
  console.log(`${found} of ${breakages.length} breakages of the host found, and nothing else`);
});

/** Runs a command as root on the host. */
async function onHost(command: string): Promise<void> {
  const result = await host.rootShell(command);
  expect(result, command).toMatchObject({ exitCode: 0 });
}

/** Every check, as `yo goboot` makes them; by name, those that are not well. */
async function lookAt(
  changes: Partial<Environment> = {},
  options: Partial<PreflightOptions> = {},
): Promise<{ others: Record<string, CheckResult>; seconds: number; summary: string }> {
  const started = performance.now();
  const target = { address: host.address, user: host.user, port: host.port, keyFile: host.keyFile as string };
  const { results, host: trusted } = await examine({
    projectRoot: '/nowhere/shop',
    project: { name: 'shop' },
    environment: sampleEnvironment({ site, host: target, ...changes }),
    knownHostsFile: host.knownHostsFileFor(place),
    scaffolds: false,
    host: 'examined',
    ...options,
  });
  await trusted?.connection.close();
  const seconds = (performance.now() - started) / 1000;
  const others = results.filter(({ status }) => status !== 'ok').map((result) => [result.name, result]);
  return { others: Object.fromEntries(others), seconds, summary: summarize(results) };
}

// Found on every run here: there is no project, the domain is an example's, and the host is small.
const always = ['vault password', 'domain', 'memory'];
const beyond = (others: Record<string, CheckResult>) =>
  Object.keys(others).filter((name) => !always.includes(name));

interface Breakage {
  what: string;
  breaking: string;
  repair: string;
  check: string;
  status: 'failed' | 'warning';
  detail: string;
}

/** Puts a program before the host's own. */
const fake = (program: string, line: string) => ({
  breaking: `printf '#!/bin/sh\\n%s\\n' '${line}' > /usr/local/bin/${program} && chmod 755 /usr/local/bin/${program}`,
  repair: `rm /usr/local/bin/${program}`,
});
const nginxFile = '/etc/nginx/sites-enabled/old.conf';
const aptSettings = '/etc/apt/apt.conf.d/99test';

const breakages: Breakage[] = [
  {
    what: 'too little memory',
    breaking:
      "sed 's/^MemTotal.*/MemTotal: 300000 kB/' /proc/meminfo > /run/meminfo && mount --bind /run/meminfo /proc/meminfo",
    repair: 'umount /proc/meminfo',
    ...{ check: 'memory', status: 'failed', detail: '292 MiB' },
  },
  {
    what: 'a full disk',
    breaking: 'mount -t tmpfs -o size=100M tmpfs /srv',
    repair: 'umount /srv',
    ...{ check: 'disk', status: 'failed', detail: '0.1 GiB free on /srv' },
  },
  {
    what: 'no inodes',
    breaking: 'mount -t tmpfs -o size=3G,nr_inodes=500 tmpfs /srv',
    repair: 'umount /srv',
    ...{ check: 'disk', status: 'failed', detail: 'inodes free on /srv' },
  },
  {
    what: 'a clock that is ahead',
    ...fake('date', 'exec /bin/date --date "+10 minutes" "$@"'),
    ...{ check: 'clock', status: 'failed', detail: 'ahead of this computer’s' },
  },
  {
    what: 'a clock that is a little behind',
    ...fake('date', 'exec /bin/date --date "-2 minutes" "$@"'),
    ...{ check: 'clock', status: 'warning', detail: 'behind this computer’s' },
  },
  {
    what: 'another architecture',
    ...fake('uname', 'echo riscv64'),
    ...{ check: 'architecture', status: 'failed', detail: 'riscv64 is not supported' },
  },
  {
    what: 'no Python',
    breaking: 'chmod 0 /usr/bin/python3',
    repair: 'chmod 755 /usr/bin/python3',
    ...{ check: 'python on the host', status: 'failed', detail: 'there is no python3' },
  },
  {
    what: 'another operating system',
    breaking:
      'cp /usr/lib/os-release /var/tmp/ && sed -i s/^ID=.*/ID=devuan/ /usr/lib/os-release && sed -i "s/^PRETTY_NAME=.*/PRETTY_NAME=Devuan/" /usr/lib/os-release',
    repair: 'cp /var/tmp/os-release /usr/lib/os-release',
    ...{ check: 'operating system', status: 'failed', detail: 'Devuan is not supported' },
  },
  {
    what: 'no source of packages that answers',
    breaking: `echo 'Acquire::http::Proxy "http://127.0.0.1:9";' > ${aptSettings}`,
    repair: `rm ${aptSettings}`,
    ...{ check: 'apt source', status: 'failed', detail: 'apt cannot fetch from http' },
  },
  {
    what: 'a run of apt',
    breaking: `cat > /usr/local/bin/holder <<'X'
import fcntl, time
lock = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
time.sleep(60)
X
systemd-run --quiet --unit holder python3 /usr/local/bin/holder && sleep 0.5`,
    repair: 'systemctl stop holder',
    ...{ check: 'packages', status: 'warning', detail: 'python3 (process' },
  },
  {
    what: 'a package that is installed by half',
    breaking: 'cd /var/tmp && apt-get download -qq hello && dpkg --unpack hello_*.deb',
    repair: 'dpkg --purge hello',
    ...{ check: 'packages', status: 'warning', detail: 'hello is installed by half' },
  },
  {
    what: 'Apache on port 80',
    breaking: 'apt-get install -qq apache2 >/dev/null 2>&1 && systemctl is-active apache2',
    repair: 'systemctl disable --now apache2',
    ...{ check: 'web ports', status: 'failed', detail: 'apache2 (process' },
  },
  {
    what: 'another site for the domain',
    breaking: `mkdir -p /etc/nginx/sites-enabled && printf 'server {\\n  listen 80; # shop\\n  server_name www.shop.example.com\\n    shop.example.com;\\n}\\n' > ${nginxFile}`,
    repair: 'rm -r /etc/nginx',
    ...{ check: 'other sites', status: 'failed', detail: `in ${nginxFile}` },
  },
  {
    what: 'a site of the same name',
    breaking: `install -d -m 0750 /etc/${site} && printf '{\\n  "domain": "other.example.se"\\n}\\n' > /etc/${site}/release.json && chmod 600 /etc/${site}/release.json`,
    repair: `rm -r /etc/${site}`,
    ...{ check: 'site name', status: 'failed', detail: 'for other.example.se' },
  },
];
let found = 0;

test('a host that is as it should be passes, within three seconds', async () => {
  const { others, seconds, summary } = await lookAt();
  expect(others, JSON.stringify(others)).toMatchObject({
    memory: { status: 'warning', detail: expect.stringContaining('700 MiB') },
  });
  expect(beyond(others)).toEqual([]);
  console.log(`All checks of a host: ${seconds.toFixed(2)} s (${summary})`);
  expect(seconds).toBeLessThan(3);
  const deploy = await lookAt({}, { host: 'known' });
  console.log(`The checks of a deploy: ${deploy.seconds.toFixed(2)} s (${deploy.summary})`);
});

test.each(breakages)(
  '$what is found, and nothing else',
  async ({ breaking, repair, check, status, detail }) => {
    await onHost(breaking);
    try {
      const { others } = await lookAt();
      expect(others[check], JSON.stringify(others)).toMatchObject({
        status,
        detail: expect.stringContaining(detail),
        remedy: expect.any(String),
      });
      expect(beyond(others).filter((name) => name !== check)).toEqual([]);
      found += 1;
    } finally {
      await onHost(repair);
    }
  },
);

test('the host is as it was: checks and repairs have left nothing', async () => {
  expect(beyond((await lookAt()).others)).toEqual([]);
  await onHost('! ls -d /dev/shm/goboot.* /tmp/goboot.* /run/goboot.*');
});

test('many breakages are told at once, and one that is ignored is a warning', async () => {
  const chosen = breakages
    .filter(({ check }) => ['clock', 'site name', 'architecture'].includes(check))
    .slice(1);
  for (const { breaking } of chosen) await onHost(breaking);
  try {
    const { others } = await lookAt({}, { ignored: new Set(['architecture']) });
    expect(others).toMatchObject({
      clock: { status: 'warning' },
      'site name': { status: 'failed' },
      architecture: { status: 'warning' },
    });
  } finally {
    for (const { repair } of chosen) await onHost(repair);
  }
});

test('a domain is compared with where the host is', async () => {
  const domain = 'shop.goboot-test.se';
  const nameServer = await startNameServer({
    [domain]: { A: [host.address] },
    'goboot-test.se': { CAA: [] },
  });
  onTestFinished(() => nameServer.close());
  const { others } = await lookAt({ domain }, { nameServers: [nameServer.address] });
  expect(others.domain).toMatchObject({
    status: 'warning',
    detail: expect.stringContaining('private address'),
  });
});

describe('the way to the host', () => {
  const self = () => ({
    address: host.address,
    user: host.user,
    port: host.port,
    keyFile: host.keyFile as string,
  });

  test('through a jump host is tried hop by hop', async () => {
    expect(beyond((await lookAt({ jump: self() })).others)).toEqual([]);
  });

  test('ends at a jump host that does not let in, and only that is told', async () => {
    const { others, summary } = await lookAt({ jump: { ...self(), user: 'nobody' } });
    expect(others['jump host login']).toMatchObject({
      status: 'failed',
      detail: `nobody@${host.address} did not accept the key`,
    });
    expect(
      Object.values(others).filter(({ status, skipped }) => status === 'failed' && !skipped),
    ).toHaveLength(2);
    expect(summary).toMatch(/16 not made/);
  });

  test('ends at a jump host that forbids to go on', async () => {
    await onHost(
      'echo "AllowTcpForwarding no" > /etc/ssh/sshd_config.d/forwarding.conf; systemctl reload ssh; sleep 0.5',
    );
    try {
      expect((await lookAt({ jump: self() })).others['jump host login']).toMatchObject({
        status: 'failed',
        detail: expect.stringContaining(`${host.user}@${host.address} lets you in, but forbids to go on to `),
      });
    } finally {
      await onHost('rm /etc/ssh/sshd_config.d/forwarding.conf; systemctl reload ssh; sleep 0.5');
    }
  });
});

describe('yo goboot:doctor', () => {
  beforeAll(async () => {
    const { exitCode, stderr } = await place.yo([
      ...[
        'goboot',
        'shop',
        '--yes',
        '--skip-github',
        '--skip-deploy',
        '--domain=shop.example.com',
        '--author=Ada Example',
      ],
      ...['--email=ada@example.com', `--host=${host.address}`, `--user=${host.user}`],
      ...[`--key-file=${host.keyFileFor(place)}`, `--known-hosts-file=${host.knownHostsFileFor(place)}`],
    ]);
    expect(exitCode, stderr).toBe(0);
  });
  const doctor = (...flags: string[]) => place.yo(['goboot:doctor', ...flags], { cwd: 'shop' });

  test('lists every check of a project and changes nothing', async () => {
    const before = place.listing();
    const { exitCode, stdout, stderr } = await doctor();
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toMatch(/^ok {6}ssh login: admin@/m);
    expect(stdout).toMatch(/^warning memory: 700 MiB/m);
    expect(stdout).toMatch(/^24 checks, \d warnings\.$/m);
    expect(place.listing()).toEqual(before);
  });

  test('tells programs the same', async () => {
    const { stdout } = await doctor('--json');
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const checks = events.filter(({ event }) => event === 'check');
    expect(checks).toHaveLength(24);
    for (const check of checks) {
      expect(check).toMatchObject({
        name: expect.any(String),
        status: expect.stringMatching(/^(ok|warning|failed)$/),
        detail: expect.any(String),
        seconds: expect.any(Number),
      });
    }
    expect(events.at(-1)).toMatchObject({ event: 'result', status: 'checked' });
  });

  test('shows all failures at once, each with its remedy, and ends with exit status 3', async () => {
    await place.run(['sh', '-c', 'chmod 644 ~/*-key && rm .ansible/vault_password'], { cwd: 'shop' });
    const { exitCode, stdout, stderr } = await doctor();
    expect(exitCode).toBe(3);
    expect(stdout).toMatch(/^failed {2}ssh key: .* can be read by others[\s\S]*chmod 600/m);
    expect(stdout).toMatch(/^failed {2}vault password: [\s\S]*Get the password/m);
    expect(stdout).toMatch(/^warning not checked: host key, sudo, /m);
    expect(stderr).toMatch(/3 of 24 checks failed: vault password, ssh key, ssh login/);
  });
});
