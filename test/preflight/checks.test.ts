import { describe, expect, test } from 'vitest';
import {
  type Check,
  ignoredChecks,
  runChecks,
  summarize,
  throwOnFailures,
} from '../../lib/preflight/check.ts';
import { checksFor } from '../../lib/preflight/checks.ts';
import { sampleEnvironment } from '../support/sample.ts';

const context = { projectRoot: '/nowhere', projectName: 'shop', environment: sampleEnvironment() };
const names = (checks: readonly Check[]) => checks.map(({ name }) => name);

describe('the list of checks', () => {
  test('of a deploy is short, so that it starts at once', async () => {
    const checks = await checksFor({ scaffolds: false, host: 'known', throughJump: true });
    expect(names(checks)).toEqual([
      ...['git', 'ssh', 'uv', 'vault password'],
      ...['ssh login', 'sudo', 'operating system', 'python on the host'],
    ]);
  });

  test('of a new site has every check, each once', async () => {
    const checks = names(await checksFor({ scaffolds: true, host: 'examined', throughJump: false }));
    expect(new Set(checks).size).toBe(checks.length);
    expect(checks).toEqual(
      expect.arrayContaining(['directory', 'ssh key', 'host key', 'disk', 'CAA records']),
    );
  });

  test('knows of the jump host only where there is one', async () => {
    const jump = ['jump host key', 'jump host login'];
    const list = async (throughJump: boolean) =>
      names(await checksFor({ scaffolds: true, host: 'examined', throughJump })).filter((name) =>
        jump.includes(name),
      );
    expect([await list(true), await list(false)]).toEqual([jump, []]);
  });

  test('asks nothing of a host that is left alone', async () => {
    expect(names(await checksFor({ scaffolds: true, host: 'none', throughJump: true }))).toEqual([
      ...['git', 'ssh', 'uv', 'directory'],
    ]);
  });
});

describe('a failure that the user knows better about', () => {
  const failing: Check = {
    name: 'web ports',
    ignorable: true,
    run: async () => ({ status: 'failed', detail: 'taken' }),
  };

  test('is a warning when it is named, by its words or with hyphens', async () => {
    for (const typed of ['web ports', 'web-ports', 'Web-Ports,domain']) {
      expect(await runChecks([failing], context, await ignoredChecks(typed))).toMatchObject([
        { status: 'warning', detail: 'taken' },
      ]);
    }
    expect(await runChecks([failing], context, await ignoredChecks(undefined))).toMatchObject([
      { status: 'failed' },
    ]);
  });

  test.each(['nonsense', 'ssh-login', 'sudo'])('cannot be called %s', async (name) => {
    await expect(ignoredChecks(name)).rejects.toThrowError(
      expect.objectContaining({ code: 2, message: expect.stringContaining(`"${name}"`) }),
    );
  });
});

test('each result tells how long its check took', async () => {
  const slow: Check = {
    name: 'slow',
    run: async () => {
      await new Promise((resolve) => setTimeout(resolve, 60));
      return { status: 'ok', detail: '' };
    },
  };
  const [result] = await runChecks([slow], context);
  expect(result?.seconds).toBeGreaterThan(0.05);
});

describe('every failure is shown at once, with exit status 3,', () => {
  const results = [
    { name: 'git', status: 'failed' as const, detail: 'is missing', remedy: 'Install it.' },
    { name: 'uv', status: 'ok' as const, detail: '' },
    { name: 'sudo', status: 'failed' as const, detail: 'asks for a password' },
    { name: 'clock', status: 'warning' as const, detail: 'is late' },
  ];

  test('with what to do about each', () => {
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

  test('and nothing goes on when a check was skipped and no other tells why', () => {
    const skipped = { name: 'sudo', status: 'warning' as const, detail: 'lost', skipped: true as const };
    expect(() => throwOnFailures([skipped])).toThrowError(expect.objectContaining({ code: 3 }));
    expect(() => throwOnFailures([skipped, ...results.slice(0, 1)])).toThrowError('git: is missing');
  });

  test('and only by name where the user has seen the list', () => {
    expect(() => throwOnFailures(results, { listed: true })).toThrowError(
      expect.objectContaining({ code: 3, message: '2 of 4 checks failed: git, sudo' }),
    );
    expect(summarize(results)).toBe('4 checks, 1 warning, 2 failed');
  });
});
