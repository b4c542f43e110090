import { describe, expect, test } from 'vitest';
import { ChangedHostKeyError, leavesFingerprintOut, loginFailure } from '../../lib/ssh/login-failure.ts';
import { sampleEnvironment } from '../support/sample.ts';

// What OpenSSH 9.2 writes; test/host/refusals.test.ts and replacement.test.ts hold it against real servers.

const key = 'AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl';
const committed = 'SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU';
const shown = 'SHA256:ZeyOX5TncYEHETLkWaI+HZhMJYvK43S4XzqFIeQGtLE';

const changed = (host: string) => `@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
The fingerprint for the ED25519 key sent by the remote host is
${shown}.
Please contact your system administrator.
Add correct host key in /tmp/known_hosts to get rid of this message.
Host key for ${host} has changed and you have requested strict checking.
Host key verification failed.
`;

const first = { address: '192.0.2.1', user: 'gate', port: 22 };
const second = { address: '192.0.2.10', user: 'door', port: 2222, jump: first };
const host = { address: '10.0.0.5', user: 'admin', port: 22 };
const environment = sampleEnvironment({ host, jump: second });
const knownHosts = `192.0.2.1 ssh-ed25519 ${key}\n[192.0.2.10]:2222 ssh-ed25519 ${key}\n10.0.0.5 ssh-ed25519 ${key}\n`;
const failure = (stderr: string, tried?: Parameters<typeof loginFailure>[2]) =>
  loginFailure(stderr, { environment, knownHosts }, tried);

describe('a host key that has changed', () => {
  test.each([
    ['192.0.2.1', 'gate@192.0.2.1'],
    ['[192.0.2.10]:2222', 'door@192.0.2.10:2222'],
    ['10.0.0.5', 'admin@10.0.0.5'],
  ])('of %s is told with both fingerprints, whichever machine on the way it is', (name, target) => {
    const error = failure(changed(name));
    expect(error).toBeInstanceOf(ChangedHostKeyError);
    expect(error).toMatchObject({ host: name, shown });
    expect(error.message).toBe(
      `${target} has shown another host key than the known one: ED25519 ${shown} instead of ED25519 ${committed}`,
    );
    expect(error.remedy).toContain(`yo goboot:host --accept-host-key ${shown}`);
  });

  test('says how to correct another file than the project’s', () => {
    const error = loginFailure(changed('10.0.0.5'), {
      environment,
      knownHosts,
      changedKeyRemedy: ({ address }) => `ssh-keygen -R ${address}`,
    });
    expect(error.remedy).toBe('ssh-keygen -R 10.0.0.5');
  });

  test('of another type is told as soon as ssh is asked for the fingerprint, too', () => {
    const stderr =
      'No ECDSA host key is known for 10.0.0.5 and you have requested strict checking.\nHost key verification failed.\n';
    expect(leavesFingerprintOut(stderr)).toBe(true);
    const told = `debug1: Server host key: ssh-ed25519 SHA256:x\ndebug1: Server host key: ecdsa-sha2-nistp256 ${shown}\n${stderr}`;
    expect(leavesFingerprintOut(told)).toBe(false);
    expect(failure(told).message).toContain(`ECDSA ${shown} instead of ED25519 ${committed}`);
  });
});

describe('what fails behind a jump host is told apart:', () => {
  const through = (reason: string) => `channel 0: open failed: ${reason}\nstdio forwarding failed\n`;
  test.each([
    [
      'connect failed: Connection refused',
      'admin@10.0.0.5 refused the connection that came from door@192.0.2.10:2222',
    ],
    ['connect failed: No route to host', 'admin@10.0.0.5 does not answer door@192.0.2.10:2222'],
    ['connect failed: Connection timed out', 'admin@10.0.0.5 does not answer door@192.0.2.10:2222'],
    [
      'connect failed: Name or service not known',
      'door@192.0.2.10:2222 does not know the name of admin@10.0.0.5',
    ],
    [
      'administratively prohibited: open failed',
      'door@192.0.2.10:2222 lets you in, but forbids to go on to admin@10.0.0.5',
    ],
  ])('%s', (reason, message) => {
    expect(failure(through(reason), second).message).toBe(message);
  });

  test('the machine before is named, and not one whose address begins alike', () => {
    expect(failure(through('connect failed: Connection refused'), first).message).toBe(
      'door@192.0.2.10:2222 refused the connection that came from gate@192.0.2.1',
    );
    expect(failure('ssh: connect to host 192.0.2.10 port 2222: Connection refused\n').message).toBe(
      'door@192.0.2.10:2222 refused the connection',
    );
    expect(failure('gate@192.0.2.1: Permission denied (publickey).\n').message).toBe(
      'gate@192.0.2.1 did not accept the key',
    );
  });
});
