import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { deploymentValues, jumpHostAuthorizedKeys } from '../../lib/github/deployment-settings.ts';
import { run } from '../../lib/process.ts';
import { openRehearsal, type Rehearsal } from '../../lib/rehearsal/rehearsal.ts';
import { renderProject } from '../../lib/render.ts';
import { makeDeployKeyPair } from '../../lib/ssh/key-pair.ts';
import { giveTo } from '../support/normal-user.ts';
import { sampleEnvironment, sampleProject } from '../support/sample.ts';
import { startTestHost, type TestHost } from '../support/test-host.ts';
import { connectScript, settingsAsVariables } from '../support/workflows.ts';
import { Workplace } from '../support/workplace.ts';

let session: Rehearsal;
let host: TestHost;

beforeAll(async () => {
  session = await openRehearsal();
  host = await startTestHost(session, 'refusals');
});
afterAll(() => session?.close());

/** Flags that lead to the host, each of which a test may replace. */
function flagsFor(place: Workplace, replaced: Record<string, string> = {}): string[] {
  const flags = {
    domain: 'shop.example.com',
    author: 'Ada Example',
    email: 'ada@example.com',
    host: host.address,
    user: host.user,
    'key-file': host.keyFileFor(place),
    'known-hosts-file': host.knownHostsFileFor(place),
    ...replaced,
  };
  return Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
}

/** A key pair that opens nothing, for the user of a place. */
function strangeKey(place: Workplace, passphrase = ''): string {
  const path = join(place.user.home, 'strange');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', passphrase, '-C', 'strange', '-f', path]);
  giveTo(place.user, path);
  return path;
}

/** Runs `yo goboot shop`, which must refuse with exit status 3 and leave the user's files and the host alone. */
async function refusal(place: Workplace, replaced: Record<string, string> = {}): Promise<string> {
  const flags = flagsFor(place, replaced);
  const before = place.listing();
  const { exitCode, stderr } = await place.yo(['goboot', 'shop', '--yes', '--skip-github', ...flags]);
  expect(stderr).not.toMatch(/^\s+at .*:\d+:\d+/m);
  expect(exitCode, stderr).toBe(3);
  expect(place.listing()).toEqual(before);
  expect((await host.rootShell('ls /srv')).stdout.trim()).toBe('');
  return stderr;
}

test('a host that is as it should be passes every check, and --check changes nothing', async () => {
  const place = new Workplace();
  const flags = flagsFor(place);
  const before = place.listing();
  const { exitCode, stdout } = await place.yo([
    'goboot',
    'shop',
    '--yes',
    '--skip-github',
    '--check',
    ...flags,
  ]);
  expect(exitCode).toBe(0);
  expect(stdout).toContain('Nothing was changed.');
  expect(place.listing()).toEqual(before);
});

describe('a connection that fails', () => {
  test('to a port where nothing listens names host and port', async () => {
    const place = new Workplace();
    const message = await refusal(place, {
      port: '2',
      'known-hosts-file': knownHostsFor(place, `[${host.address}]:2`),
    });
    expect(message).toContain(`admin@${host.address}:2 refused the connection`);
    expect(message).toContain('--port');
  });

  test('to an address where nobody is says so within the time limit', async () => {
    const place = new Workplace();
    const nobody = host.address.replace(/\.\d+$/, '.250');
    const message = await refusal(place, { host: nobody, 'known-hosts-file': knownHostsFor(place, nobody) });
    expect(message).toContain(`admin@${nobody} does not answer`);
  });

  test('because the name does not exist says that the DNS does not know it', async () => {
    const place = new Workplace();
    const message = await refusal(place, {
      host: 'no-such-host.invalid',
      'known-hosts-file': knownHostsFor(place, 'no-such-host.invalid'),
    });
    expect(message).toContain('no-such-host.invalid is not known to the DNS');
  });

  test('because the key is the wrong one names the key', async () => {
    const place = new Workplace();
    const key = strangeKey(place);
    expect(await refusal(place, { 'key-file': key })).toMatch(
      new RegExp(`did not accept the key[\\s\\S]*${key}`),
    );
  });

  test('because the key needs a passphrase says how to give it', async () => {
    const place = new Workplace();
    expect(await refusal(place, { 'key-file': strangeKey(place, 'sesame') })).toContain('ssh-add');
  });

  test('because the host key changed says so and what it may mean', async () => {
    const place = new Workplace();
    const key = readFileSync(`${strangeKey(place)}.pub`, 'utf8')
      .split(' ')
      .slice(0, 2)
      .join(' ');
    const message = await refusal(place, { 'known-hosts-file': knownHostsFor(place, host.address, key) });
    expect(message).toMatch(
      new RegExp(
        `admin@${host.address} has shown another host key than the known one: ED25519 SHA256:\\S+ instead of ED25519 SHA256:`,
      ),
    );
    expect(message).toContain('ssh-keygen -f ');
  });

  test('because the given known_hosts file does not know the host names both', async () => {
    const place = new Workplace();
    const file = knownHostsFor(place, 'other.example.com');
    const message = await refusal(place, { 'known-hosts-file': file });
    expect(message).toContain(file);
    expect(message).toContain(host.address);
  });
});

function knownHostsFor(
  place: Workplace,
  name: string,
  key = host.knownHostsLine.split(' ').slice(1).join(' '),
): string {
  const path = join(place.user.home, 'some-known-hosts');
  writeFileSync(path, `${name} ${key}\n`);
  giveTo(place.user, path);
  return path;
}

describe('a jump host', () => {
  let jump: TestHost;

  beforeAll(async () => {
    jump = await startTestHost(session, 'jump');
  });

  /** Flags that lead through the jump host, with a key of its own. */
  function throughJump(place: Workplace): Record<string, string> {
    const file = knownHostsFor(place, host.address);
    appendFileSync(file, `${jump.knownHostsLine}\n`);
    return {
      'jump-host': jump.address,
      'jump-user': jump.user,
      'jump-key-file': jump.keyFileFor(place),
      'known-hosts-file': file,
    };
  }

  test('with its own user and key leads to the host behind it', async () => {
    const place = new Workplace();
    const flags = flagsFor(place, throughJump(place));
    const { exitCode, stderr } = await place.yo([
      'goboot',
      'shop',
      '--yes',
      '--skip-github',
      '--check',
      ...flags,
    ]);
    expect(exitCode, stderr).toBe(0);
    expect((await jump.rootShell('journalctl --no-pager --unit ssh')).stdout).toContain(
      'Accepted publickey for admin',
    );
  });

  test('that does not accept its key is named, and not the host behind it', async () => {
    const place = new Workplace();
    const message = await refusal(place, { ...throughJump(place), 'jump-key-file': strangeKey(place) });
    expect(message).toContain(`${jump.user}@${jump.address} did not accept the key`);
  });

  test('lets the deploy key of GitHub through to the host behind it, and to nothing else', async () => {
    const { publicKey, privateKey } = makeDeployKeyPair('shop-production');
    const target = ({ address, user }: TestHost) => ({ address, user, port: 22 });
    const environment = sampleEnvironment({ host: target(host), jump: target(jump) });
    const authorized = `/home/${jump.user}/.ssh/authorized_keys`;
    await jump.rootShell(
      `cat >> ${authorized}`,
      `${jumpHostAuthorizedKeys(environment, publicKey)[0]?.line}\n`,
    );
    // The host is not provisioned, so it has no account "deploy"; that one's key is told apart in the journey.
    await host.rootShell(`cat >> /home/${host.user}/.ssh/authorized_keys`, `${publicKey}\n`);

    const values = deploymentValues(
      {
        environment,
        deployPrivateKey: privateKey,
        vaultPassword: 'open sesame',
        knownHosts: `${jump.knownHostsLine}\n${host.knownHostsLine}\n`,
      },
      'environment',
    );
    const runner = mkdtempSync(join(tmpdir(), 'runner-'));
    onTestFinished(() => rmSync(runner, { recursive: true, force: true }));
    const files = await renderProject(sampleProject(), [environment]);
    const connect = join(runner, 'connect.sh');
    writeFileSync(connect, String(files.find(({ path }) => path === connectScript)?.contents));
    const asRunner = (command: string) =>
      run('bash', ['-euo', 'pipefail', '-c', `source ${connect}\n${command}`], {
        env: {
          ...settingsAsVariables(values),
          ...{ DEPLOY_USER: host.user, RUNNER_TEMP: runner },
          ...{ SITE: environment.site, ENVIRONMENT: environment.name },
        },
      });
    const ssh = 'ssh -F "$RUNNER_TEMP/ssh_config"';
    expect(await asRunner(`${ssh} shop-production hostname`)).toMatchObject({
      exitCode: 0,
      stdout: host.name,
    });

    const elsewhere = await asRunner(`${ssh} -W ${jump.address}:22 shop-production-jump`);
    expect(elsewhere.exitCode).not.toBe(0);
    expect(elsewhere.stderr).toContain('administratively prohibited');
    for (const command of ['id', '']) {
      const shell = await asRunner(`${ssh} shop-production-jump ${command}`);
      expect(shell, command).toMatchObject({ exitCode: 1, stdout: '' });
    }
  });

  test('whose host key is not known is refused', async () => {
    const place = new Workplace();
    const message = await refusal(place, {
      ...throughJump(place),
      'known-hosts-file': knownHostsFor(place, host.address),
    });
    expect(message).toContain(jump.address);
  });
});

describe('a host that does not fit', () => {
  /** Changes the host for one refusal and brings it back. */
  async function refusalWhile(change: string, undo: string): Promise<string> {
    expect(await host.rootShell(change)).toMatchObject({ exitCode: 0 });
    try {
      return await refusal(new Workplace());
    } finally {
      await host.rootShell(undo);
    }
  }

  test('because sudo asks for a password says how to change that', async () => {
    const message = await refusalWhile(
      'mv /etc/sudoers.d /etc/sudoers.d.away',
      'mv /etc/sudoers.d.away /etc/sudoers.d',
    );
    expect(message).toContain(`sudo asks admin for a password on ${host.address}`);
    expect(message).toContain('NOPASSWD');
  });

  test('because of its operating system names it and those that fit', async () => {
    const message = await refusalWhile(
      'cp /usr/lib/os-release /var/tmp/os-release && printf \'ID=fedora\\nVERSION_ID=42\\nPRETTY_NAME="Fedora Linux 42"\\n\' > /usr/lib/os-release',
      'cp /var/tmp/os-release /usr/lib/os-release',
    );
    expect(message).toContain('Fedora Linux 42 is not supported');
    expect(message).toContain('Debian 13');
  });

  test('in two ways is told both at once', async () => {
    const message = await refusalWhile(
      'mv /etc/sudoers.d /etc/sudoers.d.away && chmod 0 /usr/bin/python3',
      'mv /etc/sudoers.d.away /etc/sudoers.d; chmod 755 /usr/bin/python3',
    );
    expect(message).toContain('2 checks failed');
    expect(message).toContain('sudo asks');
    expect(message).toContain('there is no python3');
  });
});
