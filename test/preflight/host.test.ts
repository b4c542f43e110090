import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Check, type NamedResult, runChecks, withSkippedTogether } from '../../lib/preflight/check.ts';
import { checksFor } from '../../lib/preflight/checks.ts';
import type { HostFacts, HostSurvey } from '../../lib/preflight/host-facts.ts';
import { goodFacts, goodSurvey } from '../support/host-facts.ts';
import { sampleEnvironment } from '../support/sample.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const local = [
  'git',
  'ssh',
  'uv',
  'node',
  'directory',
  'ssh key',
  'known_hosts',
  'host key',
  'domain',
  'CAA records',
];
const hostChecks: readonly Check[] = (
  await checksFor({
    scaffolds: true,
    host: 'examined',
    throughJump: false,
  })
).filter(({ name }) => !local.includes(name));

const context = { projectRoot: '/nowhere', projectName: 'shop', environment: sampleEnvironment() };
const judge = (facts: Promise<HostFacts>, projectRoot = context.projectRoot) =>
  runChecks(hostChecks, { ...context, projectRoot, hostFacts: facts });
const others = (results: NamedResult[]) => results.filter(({ status }) => status !== 'ok');

test('a host that is as it should be passes every check', async () => {
  expect(others(await judge(Promise.resolve(goodFacts())))).toEqual([]);
});

test.each(['debian 12', 'debian 13', 'ubuntu 24.04', 'ubuntu 26.04'])(
  '%s is supported',
  async (operatingSystem) => {
    expect(others(await judge(Promise.resolve(goodFacts({ operatingSystem }))))).toEqual([]);
  },
);

test.each<[string, Partial<HostFacts>, string]>([
  ['sudo', { sudo: false }, 'sudo asks admin for a password on 192.0.2.10'],
  [
    'operating system',
    { operatingSystem: 'fedora 42', operatingSystemName: 'Fedora Linux 42' },
    'Fedora Linux 42 is not supported',
  ],
  ['operating system', { systemd: false }, 'systemd does not run there'],
  ['python on the host', { python: '' }, 'there is no python3'],
])('%s fails with %j', async (name, facts, detail) => {
  expect(others(await judge(Promise.resolve(goodFacts(facts))))).toMatchObject([
    { name, status: 'failed', detail, remedy: expect.any(String) },
  ]);
});

const disk = (free: number) => [{ mountPoint: '/srv', total: 10 ** 12, free }];
const listens = (program: string, port = 80) => [{ port, program, process: 41 }];
const nginx = (file: string, ...names: string[]) => [{ file, names, defaultServer: names.length === 0 }];
const gibibyte = 1024 ** 3;

test.each<[string, 'failed' | 'warning', Partial<HostSurvey>, detail: string, remedy: string]>([
  ['architecture', 'failed', { kernelArchitecture: 'riscv64' }, 'riscv64 is not supported', 'aarch64'],
  [
    'architecture',
    'failed',
    { kernelArchitecture: 'aarch64', packageArchitecture: 'armhf' },
    'the system is armhf on an aarch64 machine',
    'x86_64',
  ],
  ['memory', 'failed', { memory: 240 }, '240 MiB', '1 GB'],
  ['memory', 'warning', { memory: 480 }, '480 MiB', 'swap'],
  ['disk', 'failed', { disks: disk(1.5 * gibibyte) }, '1.5 GiB free on /srv', 'apt-get clean'],
  ['disk', 'failed', { inodes: disk(900) }, '900 inodes free on /srv', 'du --inodes'],
  ['clock', 'warning', { clockAhead: -90 }, '1 min 30 s behind', 'set-ntp'],
  ['clock', 'failed', { clockAhead: 400 }, '6 min 40 s ahead of', 'set-ntp'],
  [
    'apt source',
    'failed',
    { apt: { source: 'http://deb.example/dists/x/', problem: 'Could not resolve' } },
    'http://deb.example/dists/x/ (Could not resolve)',
    'apt-get update',
  ],
  ['apt source', 'failed', { apt: { source: '', problem: undefined } }, 'no source', 'sources.list.d'],
  ['packages', 'warning', { aptLocks: [{ process: 9, program: 'apt-get' }] }, 'apt-get (process 9)', 'Wait'],
  ['packages', 'warning', { unfinishedPackages: ['nginx', 'x'] }, 'nginx and 1 more', 'dpkg --configure -a'],
  ['web ports', 'failed', { listeners: listens('apache2') }, 'apache2 (process 41) listens on 80', 'apache2'],
  [
    'web ports',
    'failed',
    { listeners: [...listens('caddy', 443), ...listens('caddy')] },
    'caddy (process 41) listens on 80 and 443',
    'disable --now caddy',
  ],
  [
    'web ports',
    'failed',
    { listeners: listens('docker-proxy', 443) },
    'listens on 443',
    'docker ps --filter publish=443',
  ],
  ['web ports', 'failed', { listeners: [{ port: 80, program: '' }] }, 'a program listens on 80', 'sudo ss'],
  [
    'other sites',
    'failed',
    { nginx: nginx('/etc/nginx/sites-enabled/old.conf', 'www.shop.example.com', 'shop.example.com') },
    'nginx has another site for shop.example.com, in /etc/nginx/sites-enabled/old.conf',
    'sudo rm /etc/nginx/sites-enabled/old.conf',
  ],
  [
    'other sites',
    'failed',
    { nginx: nginx('/etc/nginx/sites-enabled/blog-production.conf', '.shop.example.com') },
    'blog-production.conf',
    'another domain',
  ],
  [
    'other sites',
    'failed',
    { nginx: nginx('/etc/nginx/nginx.conf', 'blog.se') },
    'nginx.conf holds',
    'conf.d',
  ],
  [
    'other sites',
    'failed',
    { nginx: nginx('/etc/nginx/conf.d/blog.conf') },
    'is nginx’s default_server',
    'Take the word default_server out',
  ],
  [
    'site name',
    'failed',
    { siteDomain: 'old.example.se' },
    'the host has a site shop-production already, for old.example.se',
    'another name',
  ],
])('%s: %s with %j', async (name, status, survey, detail, remedy) => {
  expect(others(await judge(Promise.resolve(goodFacts({ survey: goodSurvey(survey) }))))).toMatchObject([
    { name, status, detail: expect.stringContaining(detail), remedy: expect.stringContaining(remedy) },
  ]);
});

test.each<[string, Partial<HostSurvey>]>([
  ['nginx has the ports', { listeners: [...listens('nginx'), ...listens('nginx', 443)] }],
  [
    'the site itself is in nginx',
    { nginx: nginx('/etc/nginx/sites-enabled/shop-production.conf', 'shop.example.com') },
  ],
  [
    'another site has another domain',
    { nginx: nginx('/etc/nginx/sites-enabled/blog.conf', 'myshop.example.com', '_') },
  ],
  ['the distribution’s sample is there', { nginx: nginx('/etc/nginx/sites-enabled/default') }],
  ['the file system counts no inodes', { inodes: [{ mountPoint: '/', total: 0, free: 0 }] }],
  ['a server of 1 GB says a little less', { memory: 909 }],
  ['the clock is some seconds off', { clockAhead: 20 }],
])('all is well when %s', async (_, survey) => {
  expect(others(await judge(Promise.resolve(goodFacts({ survey: goodSurvey(survey) }))))).toEqual([]);
});

test('a site that has the name of www already is told from one that has the domain', async () => {
  const survey = goodSurvey({ nginx: nginx('/etc/nginx/sites-enabled/old.conf', 'www.shop.example.com') });
  const facts = Promise.resolve(goodFacts({ survey }));
  expect(others(await judge(facts))).toMatchObject([
    { name: 'other sites', status: 'failed', remedy: expect.stringContaining('--www none') },
  ]);
  const environment = sampleEnvironment({ www: 'none' });
  expect(others(await runChecks(hostChecks, { ...context, environment, hostFacts: facts }))).toEqual([]);
});

describe('a site of that name on the host', () => {
  const judgeIn = async (siteDomain: string) => {
    const projectRoot = temporaryDirectory();
    const stored = { project: {}, environments: { production: {} } };
    writeFileSync(join(projectRoot, '.yo-rc.json'), JSON.stringify({ 'generator-goboot': stored }));
    return others(
      await judge(Promise.resolve(goodFacts({ survey: goodSurvey({ siteDomain }) })), projectRoot),
    );
  };

  test('is not free for an environment that the project does not have yet', async () => {
    const environment = sampleEnvironment({ name: 'staging', site: 'shop-staging' });
    const facts = Promise.resolve(goodFacts({ survey: goodSurvey({ siteDomain: 'other.example.com' }) }));
    const results = await runChecks(hostChecks, { ...context, environment, hostFacts: facts });
    expect(others(results)).toMatchObject([
      { name: 'site name', status: 'failed', detail: expect.stringContaining('for other.example.com') },
    ]);
  });

  test('is the project’s own, once the project is there', async () => {
    expect(await judgeIn('shop.example.com')).toEqual([]);
  });

  test('is doubtful when it has another domain', async () => {
    expect(await judgeIn('other.example.com')).toMatchObject([{ name: 'site name', status: 'warning' }]);
  });
});

describe('a host that cannot be reached', () => {
  const lost = () => judge(Promise.reject(new Error('192.0.2.10 does not answer')));

  test('fails once, not once per check', async () => {
    expect((await lost()).filter(({ status }) => status === 'failed')).toMatchObject([
      { name: 'ssh login', detail: '192.0.2.10 does not answer' },
    ]);
  });

  test('leaves one line for people about all that was not looked at', async () => {
    const results = await lost();
    expect(withSkippedTogether(results)).toMatchObject([
      { name: 'ssh login' },
      {
        name: 'not checked',
        status: 'warning',
        detail: expect.stringMatching(/^sudo, .*certificate: the host/),
      },
    ]);
    expect(results).toHaveLength(hostChecks.length);
  });
});
