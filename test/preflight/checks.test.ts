import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runChecks, throwOnFailures } from '../../lib/preflight/check.ts';
import { hostChecks } from '../../lib/preflight/host.ts';
import type { HostFacts } from '../../lib/preflight/host-facts.ts';
import { projectDirectoryCheck } from '../../lib/preflight/project-directory.ts';
import { toolChecks } from '../../lib/preflight/tools.ts';
import { sampleEnvironment } from '../support/sample.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const context = { projectRoot: '/nowhere', projectName: 'shop', environment: sampleEnvironment() };
const goodHost: HostFacts = {
  operatingSystem: 'debian 13',
  operatingSystemName: 'Debian GNU/Linux 13 (trixie)',
  sudo: true,
  python: 'Python 3.13.5',
  systemd: true,
  provisioned: '',
};
const judgeHost = (facts: Partial<HostFacts>) =>
  runChecks(hostChecks, { ...context, hostFacts: Promise.resolve({ ...goodHost, ...facts }) });

describe('a missing tool', () => {
  test.each(['git', 'ssh', 'uv'])('%s is named with how to get it', async (tool) => {
    const empty = temporaryDirectory();
    const path = process.env.PATH;
    process.env.PATH = empty;
    try {
      const results = await runChecks(toolChecks, context);
      expect(results.find(({ name }) => name === tool)).toMatchObject({
        status: 'failed',
        detail: `${tool} is not installed or not on the PATH`,
        remedy: expect.stringContaining('Install'),
      });
    } finally {
      process.env.PATH = path;
    }
  });

  test('and one that does not run are told apart', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'uv'), '#!/bin/sh\nexit 7\n');
    chmodSync(join(directory, 'uv'), 0o755);
    const path = process.env.PATH;
    process.env.PATH = `${directory}:${path}`;
    try {
      const results = await runChecks(toolChecks, context);
      expect(results.find(({ name }) => name === 'uv')).toMatchObject({
        status: 'failed',
        detail: 'uv does not run (exit status 7)',
      });
    } finally {
      process.env.PATH = path;
    }
  });
});

describe('the directory of a project', () => {
  const judge = async (projectRoot: string) =>
    (await runChecks([projectDirectoryCheck], { ...context, projectRoot }))[0];

  test('may be new, empty or an earlier project', async () => {
    const directory = temporaryDirectory();
    expect(await judge(join(directory, 'new'))).toMatchObject({ status: 'ok' });
    expect(await judge(directory)).toMatchObject({ status: 'ok', detail: 'empty' });
    writeFileSync(join(directory, '.yo-rc.json'), '{}');
    expect(await judge(directory)).toMatchObject({ status: 'ok' });
  });

  test('may not hold somebody’s files or be a file', async () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, 'theirs'));
    writeFileSync(join(directory, 'theirs', 'thesis.txt'), '');
    expect(await judge(join(directory, 'theirs'))).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('thesis.txt'),
    });
    expect(await judge(join(directory, 'theirs', 'thesis.txt'))).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('is a file'),
    });
  });
});

describe('a host', () => {
  test('that is as it should be passes every check', async () => {
    expect((await judgeHost({})).map(({ status }) => status)).toEqual(hostChecks.map(() => 'ok'));
  });

  test.each([
    ['sudo', { sudo: false }, 'sudo asks admin for a password on 192.0.2.10'],
    [
      'operating system',
      { operatingSystem: 'fedora 42', operatingSystemName: 'Fedora Linux 42' },
      'Fedora Linux 42 is not supported',
    ],
    ['operating system', { systemd: false }, 'systemd does not run there'],
    ['python on the host', { python: '' }, 'there is no python3'],
  ])('fails the check of %s with %j', async (check, facts, detail) => {
    const failed = (await judgeHost(facts)).filter(({ status }) => status === 'failed');
    expect(failed).toMatchObject([{ name: check, detail, remedy: expect.any(String) }]);
  });

  test.each(['debian 12', 'debian 13', 'ubuntu 24.04', 'ubuntu 26.04'])(
    'with %s is supported',
    async (operatingSystem) => {
      expect((await judgeHost({ operatingSystem })).every(({ status }) => status === 'ok')).toBe(true);
    },
  );

  test('that cannot be reached fails once, not once per check', async () => {
    const hostFacts = Promise.reject(new Error('192.0.2.10 does not answer'));
    const results = await runChecks(hostChecks, { ...context, hostFacts });
    expect(results.filter(({ status }) => status === 'failed')).toMatchObject([
      { name: 'ssh login', detail: '192.0.2.10 does not answer' },
    ]);
  });
});

test('every failure is shown at once, with exit status 3', () => {
  const results = [
    { name: 'git', status: 'failed' as const, detail: 'is missing', remedy: 'Install it.' },
    { name: 'uv', status: 'ok' as const, detail: '' },
    { name: 'sudo', status: 'failed' as const, detail: 'asks for a password' },
  ];
  expect(() => throwOnFailures(results)).toThrowError(
    expect.objectContaining({
      code: 3,
      message: expect.stringMatching(
        /2 checks failed[\s\S]*git: is missing[\s\S]*Install it\.[\s\S]*sudo: asks/,
      ),
    }),
  );
  expect(() => throwOnFailures(results.slice(1, 2))).not.toThrow();
});
