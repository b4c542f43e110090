import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { runChecks } from '../../lib/preflight/check.ts';
import { hostKeyCheck, knownHostsCheck } from '../../lib/preflight/known-hosts.ts';
import { examine } from '../../lib/preflight/run.ts';
import { fingerprints, knownHostsFor } from '../../lib/ssh/known-hosts.ts';
import type { TrustedHost } from '../../lib/trust.ts';
import { goodFacts } from '../support/host-facts.ts';
import { sampleEnvironment } from '../support/sample.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const environment = sampleEnvironment();
const { address } = environment.host;
let home: string;

beforeEach(() => {
  home = temporaryDirectory();
  mkdirSync(join(home, '.ssh'));
  vi.stubEnv('HOME', home);
});
afterEach(() => vi.unstubAllEnvs());

function newKey(): string {
  const file = join(temporaryDirectory(), 'key');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file]);
  return readFileSync(`${file}.pub`, 'utf8').trim();
}

const own = (text: string) => writeFileSync(join(home, '.ssh/known_hosts'), text);

/** A project that has committed these lines. */
function projectWith(text: string): string {
  const root = temporaryDirectory();
  mkdirSync(join(root, '.ansible'));
  writeFileSync(join(root, '.ansible/known_hosts'), text);
  return root;
}

async function judge(projectRoot = '/nowhere', knownHostsFile?: string) {
  const context = { projectRoot, projectName: 'shop', environment };
  const [result] = await runChecks([knownHostsCheck], {
    ...context,
    ...(knownHostsFile && { knownHostsFile }),
  });
  return result;
}

describe('known_hosts', () => {
  test('names the file that knows the host', async () => {
    expect(await judge()).toMatchObject({ status: 'ok', detail: `no file knows ${address} yet` });
    own(`${address} ${newKey()}\n`);
    expect(await judge()).toMatchObject({ status: 'ok', detail: `~/.ssh/known_hosts knows ${address}` });
    expect(await judge(projectWith(`${address} ${newKey()}\n`))).toMatchObject({
      detail: `.ansible/known_hosts knows ${address}`,
    });
  });

  test('with a line that is none fails where the project keeps it, and is a warning in one’s own', async () => {
    expect(await judge(projectWith('Good morning, everybody\n'))).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('.ansible/known_hosts has a line that is none: "Good morning'),
    });
    own('Good morning, everybody\n');
    expect(await judge()).toMatchObject({ status: 'warning' });
  });

  test('that revokes the only key of the host fails', async () => {
    own(`@revoked ${address} ${newKey()}\n`);
    expect(await judge()).toMatchObject({
      status: 'failed',
      detail: `~/.ssh/known_hosts has revoked a key of ${address}`,
    });
    own(`@revoked ${address} ${newKey()}\n${address} ${newKey()}\n`);
    expect(await judge()).toMatchObject({ status: 'warning' });
  });

  test('keeps its markers where it is handed on, so that ssh heeds them', async () => {
    const [revoked, good] = [newKey(), newKey()];
    own(`@revoked ${address} ${revoked}\n${address} ${good}\n`);
    const lines = await knownHostsFor(environment, join(home, '.ssh/known_hosts'));
    expect(lines).toBe(`@revoked ${address} ${revoked}\n${address} ${good}\n`);
    expect(await fingerprints(lines)).toHaveLength(1);
    own(`@cert-authority ${address} ${good}\n`);
    expect(await knownHostsFor(environment, join(home, '.ssh/known_hosts'))).toBe(
      `@cert-authority ${address} ${good}\n`,
    );
  });
});

test('a host key that is seen for the first time is shown, with how to compare it', async () => {
  const judgeKey = async (firstSeen: boolean) => {
    const host = { firstSeen, fingerprints: ['SHA256:abc'] } as unknown as TrustedHost;
    const [result] = await runChecks([hostKeyCheck], {
      ...{ projectRoot: '/nowhere', projectName: 'shop', environment },
      host: Promise.resolve(host),
      hostFacts: Promise.resolve(goodFacts()),
    });
    return result;
  };
  expect(await judgeKey(true)).toMatchObject({
    status: 'warning',
    detail: 'seen for the first time: SHA256:abc',
    remedy: expect.stringContaining('ssh-keygen -lf'),
  });
  expect(await judgeKey(false)).toMatchObject({ status: 'ok', detail: 'SHA256:abc' });
});

test.each([
  ['a deploy', 'known', false, 'ssh login'],
  ['a deploy through a jump host', 'known', true, 'ssh login'],
  ['a new site', 'examined', false, 'ssh login'],
  ['a new site through a jump host', 'examined', true, 'jump host login'],
] as const)(
  '%s fails once when the given file does not know the host',
  async (_, host, throughJump, name) => {
    const given = join(home, 'given');
    writeFileSync(given, `other.example.com ${newKey()}\n`);
    const jump = { address: '192.0.2.1', user: 'hop', port: 22 };
    const { results } = await examine({
      projectRoot: home,
      project: { name: 'shop' },
      environment: sampleEnvironment(throughJump ? { jump } : {}),
      knownHostsFile: given,
      scaffolds: true,
      host,
    });
    const failed = results.filter(({ status, name: check }) => status === 'failed' && check !== 'directory');
    expect(failed).toMatchObject([
      { name, detail: `The known_hosts file ${JSON.stringify(given)} has no key for every host on the way` },
    ]);
  },
);
