import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type HostFacts,
  parseHostFacts,
  readHostFacts,
  supportedSystems,
} from '../../lib/preflight/host-facts.ts';
import { run } from '../../lib/process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** Asks this computer, as a host is asked over SSH, with some programs replaced by a line of shell. */
function askHere(programs: Record<string, string> = {}): Promise<HostFacts> {
  const directory = temporaryDirectory();
  const all = {
    // Nothing of this test is root's business.
    sudo: 'exit 1',
    // Asks the network.
    'apt-get': 'exit 1',
    ...programs,
  };
  for (const [name, line] of Object.entries(all)) {
    writeFileSync(join(directory, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  }
  return readHostFacts(
    {
      execute: (command, input = '') =>
        run('sh', ['-c', command], { input, env: { PATH: `${directory}:${process.env.PATH}` } }),
    },
    'shop-production',
    'full',
  );
}

test('a computer tells all about itself in one answer', async () => {
  const { survey, ...facts } = await askHere();
  expect(facts.operatingSystem).toMatch(/^[a-z]+ [\d.]*$/);
  expect(survey?.memory).toBeGreaterThan(100);
  expect(survey?.disks[0]).toMatchObject({
    mountPoint: expect.stringMatching(/^\//),
    free: expect.any(Number),
  });
  expect(survey?.clockAhead).toBe(0);
  expect(survey?.siteDomain).toBeUndefined();
});

test('without a full look there is nothing but what a deploy needs', async () => {
  const connection = { execute: (command: string, input = '') => run('sh', ['-c', command], { input }) };
  expect(await readHostFacts(connection, 'shop-production')).not.toHaveProperty('survey');
});

describe('what the programs of a host say is understood:', () => {
  const survey = async (programs: Record<string, string>) => (await askHere(programs)).survey;

  test('the architecture', async () => {
    expect(await survey({ uname: 'echo armv7l', dpkg: 'echo armhf' })).toMatchObject({
      kernelArchitecture: 'armv7l',
      packageArchitecture: 'armhf',
    });
  });

  test('the certificate of the site that is there', async () => {
    const openssl = `printf 'notBefore=Nov 21 03:40:29 2026 GMT\\nnotAfter=Feb 19 03:40:28 2027 GMT\\n'
      echo 'issuer=C = US, CN = R11'; echo subject=`;
    const sudo = 'shift; case $1 in true | test) ;; *) exec "$@" ;; esac';
    const normalUser = { id: 'echo 1000', sudo };
    expect(await survey({ ...normalUser, openssl })).toMatchObject({
      certificate: {
        validFrom: 'Nov 21 03:40:29 2026 GMT',
        validUntil: 'Feb 19 03:40:28 2027 GMT',
        selfSigned: false,
      },
    });
    expect(await survey({ ...normalUser, openssl: 'exit 1' })).not.toHaveProperty('certificate');
  });

  test('free space and inodes', async () => {
    const df = `case $1 in
      -Pk) printf 'Filesystem 1024-blocks Used Available Capacity Mounted on\\n/dev/vda1 1000 400 600 40%% /\\n' ;;
      -Pi) printf 'Filesystem Inodes IUsed IFree IUse%% Mounted on\\n/dev/vda1 90 80 10 89%% /\\n' ;;
    esac`;
    expect(await survey({ df })).toMatchObject({
      disks: expect.arrayContaining([{ mountPoint: '/', total: 1000 * 1024, free: 600 * 1024 }]),
      inodes: expect.arrayContaining([{ mountPoint: '/', total: 90, free: 10 }]),
    });
  });

  test('who listens on the ports of the web, and on no other', async () => {
    const ss = `cat <<'X'
LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("apache2",pid=41,fd=4),("apache2",pid=40,fd=4))
LISTEN 0 511 [::]:443 [::]:* users:(("docker-proxy",pid=7,fd=4))
LISTEN 0 511 0.0.0.0:8080 0.0.0.0:* users:(("java",pid=9,fd=4))
LISTEN 0 511 127.0.0.1:80 0.0.0.0:*
X`;
    expect((await survey({ ss }))?.listeners).toEqual([
      { port: 80, program: 'apache2', process: 41 },
      { port: 80, program: 'apache2', process: 40 },
      { port: 443, program: 'docker-proxy', process: 7 },
      { port: 80, program: '' },
    ]);
  });

  test('packages that are installed by half', async () => {
    const query = `printf 'ii  base-files\\niF  postgresql\\nrc  old\\niU  nginx\\n'`;
    expect((await survey({ 'dpkg-query': query }))?.unfinishedPackages).toEqual(['postgresql', 'nginx']);
  });

  test('addresses, without their masks', async () => {
    const ip = `printf '2: eth0    inet 192.0.2.7/24 brd x scope global eth0\\n2: eth0    inet6 2001:db8::7/64 scope global\\n'`;
    expect((await survey({ ip }))?.addresses).toEqual(['192.0.2.7', '2001:db8::7']);
  });

  test('a clock that is wrong', async () => {
    const ahead = await survey({ date: 'exec /bin/date -d "+400 seconds" "$@"' });
    expect(ahead?.clockAhead).toBeGreaterThan(395);
    const behind = await survey({ date: 'exec /bin/date -d "-90 seconds" "$@"' });
    expect(behind?.clockAhead).toBeLessThan(-85);
  });
});

test('an answer that is cut short leaves out what is missing, and breaks nothing', () => {
  const facts = parseHostFacts('Last login: never\nsudo=yes\ntime=100\ndisk=/ x\nlistener=\nnginx=', {
    asked: 100,
    answered: 101,
  });
  expect(facts).toMatchObject({ sudo: true, operatingSystem: 'unknown' });
  expect(facts.survey).toMatchObject({
    disks: [],
    listeners: [],
    nginx: [],
    memory: undefined,
    clockAhead: 0,
  });
});

test('a slow login does not count as a wrong clock', () => {
  const at = (time: number) =>
    parseHostFacts(`time=${time}`, { asked: 100, answered: 160 }).survey?.clockAhead;
  expect([at(100), at(130), at(160)]).toEqual([0, 0, 0]);
  expect([at(220), at(49)]).toEqual([60, -50]);
});

test('the supported systems are those of the playbooks', async () => {
  expect([...(await supportedSystems()).keys()]).toEqual(
    expect.arrayContaining(['debian 12', 'debian 13', 'ubuntu 24.04', 'ubuntu 26.04']),
  );
});
