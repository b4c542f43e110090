import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { judgeKey } from '../../lib/preflight/ssh-key.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const passphrase = 'sesame';
// Made once: an RSA key takes its time.
const made = new Map<string, string>();

/** A real key made by ssh-keygen, in a directory of the test's own. */
function makeKey(type: string[], { encrypted = false } = {}): string {
  const path = join(temporaryDirectory(), 'key');
  const words = [...type, ...(encrypted ? ['-N', passphrase] : ['-N', ''])];
  const text = made.get(words.join(' '));
  if (text) {
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }
  execFileSync('ssh-keygen', ['-q', '-C', '', '-f', path, '-t', ...words]);
  made.set(words.join(' '), readFileSync(path, 'utf8'));
  rmSync(`${path}.pub`);
  return path;
}

const publicHalf = (path: string) =>
  execFileSync('ssh-keygen', ['-y', '-P', '', '-f', path], { encoding: 'utf8' });

/** Changes the text of a key. */
function rewrite(path: string, change: (text: string) => string): string {
  writeFileSync(path, change(readFileSync(path, 'utf8')));
  return path;
}

// The developer's own agent plays no part.
beforeEach(() => void vi.stubEnv('SSH_AUTH_SOCK', ''));
afterEach(() => vi.unstubAllEnvs());

/** A real SSH agent of the test's own. */
function startAgent(): void {
  const socket = join(temporaryDirectory(), 'agent');
  const said = execFileSync('ssh-agent', ['-s', '-a', socket], { encoding: 'utf8' });
  const process_ = Number(/SSH_AGENT_PID=(\d+)/.exec(said)?.[1]);
  onTestFinished(() => void process.kill(process_));
  vi.stubEnv('SSH_AUTH_SOCK', socket);
}

/** Gives a key to the agent, as somebody who types its passphrase. */
function addToAgent(path: string): void {
  const helper = join(temporaryDirectory(), 'askpass');
  writeFileSync(helper, `#!/bin/sh\necho ${passphrase}\n`, { mode: 0o700 });
  execFileSync('ssh-add', ['-q', path], {
    env: { ...process.env, SSH_ASKPASS: helper, SSH_ASKPASS_REQUIRE: 'force' },
  });
}

describe('a key that can be used', () => {
  test.each([['ed25519'], ['ecdsa'], ['rsa', '-b', '3072']])('is one of type %s', async (...type) => {
    const keyFile = makeKey(type.filter(Boolean));
    expect(await judgeKey({ keyFile })).toMatchObject({
      status: 'ok',
      detail: expect.stringMatching(/SHA256:[A-Za-z0-9+/]{43}/),
    });
  });

  test('may be in an older format, and have its public half beside it', async () => {
    const keyFile = makeKey(['rsa', '-b', '3072', '-m', 'PEM']);
    expect(readFileSync(keyFile, 'utf8')).toContain('BEGIN RSA PRIVATE KEY');
    writeFileSync(`${keyFile}.pub`, publicHalf(keyFile));
    expect(await judgeKey({ keyFile })).toMatchObject({
      status: 'ok',
      detail: expect.stringContaining('RSA 3072'),
    });
  });

  test('may have a passphrase when it is in the agent', async () => {
    const keyFile = makeKey(['ed25519'], { encrypted: true });
    startAgent();
    expect(await judgeKey({ keyFile })).toMatchObject({
      status: 'failed',
      remedy: `Run: ssh-add ${keyFile}`,
    });
    addToAgent(keyFile);
    expect(await judgeKey({ keyFile })).toMatchObject({
      status: 'ok',
      detail: expect.stringContaining('in the agent'),
    });
  });

  test('may be one of the agent’s, when no file is named', async () => {
    expect(await judgeKey({})).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining('no SSH agent'),
    });
    startAgent();
    expect(await judgeKey({})).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining('holds no key'),
    });
    addToAgent(makeKey(['ed25519']));
    expect(await judgeKey({})).toMatchObject({ status: 'ok' });
  });
});

describe('a key that is weak or untidy is a warning', () => {
  test('because RSA is short', async () => {
    expect(await judgeKey({ keyFile: makeKey(['rsa', '-b', '2048']) })).toMatchObject({
      status: 'warning',
      detail: expect.stringContaining('RSA 2048'),
    });
  });

  test('because ssh reads it in spite of its line ends, and other programs may not', async () => {
    const keyFile = rewrite(makeKey(['rsa', '-b', '3072', '-m', 'PEM']), (text) =>
      text.replaceAll('\n', '\r\n'),
    );
    const judged = await judgeKey({ keyFile });
    expect(judged).toMatchObject({ detail: expect.stringContaining('line ends of Windows') });
    expect(['warning', 'failed']).toContain(judged.status);
  });
});

describe('a key fails', () => {
  const fails = async (keyFile: string, detail: string, remedy: string) =>
    expect(await judgeKey({ keyFile })).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining(detail),
      remedy: expect.stringContaining(remedy),
    });

  test('when there is none', () => fails('/no/such/key', 'does not exist', '--key-file'));

  test('when it is a directory', () => fails(temporaryDirectory(), 'is not a file', '--key-file'));

  test('when it is the public half', async () => {
    const path = makeKey(['ed25519']);
    writeFileSync(`${path}.pub`, publicHalf(path));
    await fails(`${path}.pub`, 'is a public key', path);
  });

  test('when it is PuTTY’s', async () => {
    const path = join(temporaryDirectory(), 'shop.ppk');
    writeFileSync(
      path,
      'PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: x\nPublic-Lines: 2\n',
      {
        mode: 0o600,
      },
    );
    await fails(path, 'PuTTY', 'puttygen');
  });

  test('when it is something else', async () => {
    const path = join(temporaryDirectory(), 'notes');
    writeFileSync(path, 'My password is on the fridge\n', { mode: 0o600 });
    await fails(path, 'is not a private SSH key', 'ssh-keygen -t ed25519');
  });

  test('when others may read it', async () => {
    const path = makeKey(['ed25519']);
    chmodSync(path, 0o644);
    await fails(path, 'can be read by others', `chmod 600 ${path}`);
  });

  test('when its passphrase is nobody’s to give', async () => {
    const path = makeKey(['ed25519'], { encrypted: true });
    await fails(path, 'has a passphrase, and no SSH agent runs', 'ssh-agent');
    const old = makeKey(['rsa', '-b', '2048', '-m', 'PEM'], { encrypted: true });
    await fails(old, 'no public half', `ssh-add ${old}`);
  });

  test('when the public half beside it is another key’s', async () => {
    const path = makeKey(['ed25519']);
    writeFileSync(`${path}.pub`, publicHalf(makeKey(['ecdsa'])));
    await fails(path, 'is not the public half', `ssh-keygen -y -f ${path} > ${path}.pub`);
  });

  test('when it is DSA', async (context) => {
    const path = join(temporaryDirectory(), 'key');
    try {
      execFileSync('ssh-keygen', ['-q', '-t', 'dsa', '-N', '', '-f', path], { stdio: 'ignore' });
    } catch {
      context.skip('this ssh-keygen makes no DSA keys any more');
    }
    await fails(path, 'is a DSA key', 'ssh-keygen -t ed25519');
  });

  test('when its line ends are those of Windows, or the last one is missing', async () => {
    const windows = rewrite(makeKey(['ed25519']), (text) => text.replaceAll('\n', '\r\n'));
    await fails(windows, 'line ends of Windows', 'perl -pi');
    const cut = rewrite(makeKey(['ed25519']), (text) => text.trimEnd());
    await fails(cut, 'no line end at its end', 'perl -pi');
    for (const path of [windows, cut]) {
      const repair = (await judgeKey({ keyFile: path })).remedy?.replace('Repair it: ', '') ?? '';
      execFileSync('sh', ['-c', repair]);
      expect(await judgeKey({ keyFile: path })).toMatchObject({ status: 'ok' });
    }
  });

  test('when it was cut short', async () => {
    const path = rewrite(makeKey(['ed25519']), (text) => text.replace(/\n[^\n]*\n-----END/, '\n-----END'));
    await fails(path, 'ssh cannot read', 'copy it again');
  });

  test('when it may not be read', async (context) => {
    if (process.getuid?.() === 0) context.skip('root may read everything');
    const path = join(temporaryDirectory(), 'key');
    copyFileSync(makeKey(['ed25519']), path);
    chmodSync(path, 0);
    await fails(path, 'cannot be read', 'ls -l');
  });
});
