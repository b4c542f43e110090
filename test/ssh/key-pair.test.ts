import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../../lib/process.ts';
import { makeDeployKeyPair, normalizePrivateKey, publicKeyOf } from '../../lib/ssh/key-pair.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const manyKeys = 300;

/** What OpenSSH's own program finds in a private key file. */
function publicHalfForOpenssh(privateKey: string): string {
  const file = join(temporaryDirectory(), 'key');
  writeFileSync(file, privateKey, { mode: 0o600 });
  return execFileSync('ssh-keygen', ['-y', '-P', '', '-f', file], { encoding: 'utf8' }).trim();
}

/** A private key file, made by OpenSSH's own program. */
function keyOfOpenssh(...args: string[]): { privateKey: string; publicKey: string; file: string } {
  const file = join(temporaryDirectory(), 'key');
  const passphrase = args.includes('-N') ? [] : ['-N', ''];
  execFileSync('ssh-keygen', ['-q', '-C', 'ada@laptop', '-f', file, ...passphrase, ...args]);
  return {
    file,
    privateKey: readFileSync(file, 'utf8'),
    publicKey: readFileSync(`${file}.pub`, 'utf8').trim(),
  };
}

const typeAndKey = (line: string) => line.split(' ').slice(0, 2).join(' ');

describe('the deploy key of a site', () => {
  test('is a key whose public half OpenSSH reads as we say it', () => {
    const { privateKey, publicKey } = makeDeployKeyPair('shop-production');
    expect(publicKey).toMatch(/^ssh-ed25519 \S{68} shop-production deploy by GitHub$/);
    expect(publicHalfForOpenssh(privateKey)).toBe(publicKey);
  });

  test('is taken by an agent from its standard input, as the workflow hands it over', async () => {
    const { privateKey, publicKey } = makeDeployKeyPair('shop-production');
    const script =
      'eval "$(ssh-agent -s)" > /dev/null; trap "ssh-agent -k > /dev/null" EXIT; ssh-add -q -; ssh-add -L';
    const { stdout, stderr } = await run('bash', ['-ec', script], { input: privateKey });
    expect(stdout.trim(), stderr).toBe(publicKey);
  });

  test('is another one each time, and each can be read back', () => {
    const pairs = Array.from({ length: manyKeys }, (_, index) =>
      makeDeployKeyPair(`s${'x'.repeat(index % 30)}`),
    );
    expect(new Set(pairs.map(({ privateKey }) => privateKey)).size).toBe(manyKeys);
    for (const { privateKey, publicKey } of pairs) {
      expect(normalizePrivateKey(privateKey)).toBe(privateKey);
      expect(publicKeyOf(privateKey)).toBe(publicKey);
    }
  });
});

describe('a key that the user brings', () => {
  const kinds = {
    Ed25519: ['-t', 'ed25519'],
    RSA: ['-t', 'rsa', '-b', '2048'],
    'RSA as PEM': ['-t', 'rsa', '-b', '2048', '-m', 'PEM'],
    'RSA as PKCS#8': ['-t', 'rsa', '-b', '2048', '-m', 'PKCS8'],
    'ECDSA with 256 bits': ['-t', 'ecdsa', '-b', '256'],
    'ECDSA with 384 bits as PEM': ['-t', 'ecdsa', '-b', '384', '-m', 'PEM'],
    'ECDSA with 521 bits as PEM': ['-t', 'ecdsa', '-b', '521', '-m', 'PEM'],
  };

  test.each(Object.entries(kinds))('has the public half that OpenSSH sees: %s', (_, args) => {
    const { privateKey, publicKey } = keyOfOpenssh(...args);
    expect(normalizePrivateKey(privateKey)).toBe(privateKey);
    expect(typeAndKey(publicKeyOf(privateKey))).toBe(typeAndKey(publicKey));
    expect(publicKeyOf(privateKey, 'shop')).toBe(`${typeAndKey(publicKey)} shop`);
  });

  test.each([
    ['line ends of Windows', (text: string) => text.replaceAll('\n', '\r\n')],
    ['line ends of old Macs', (text: string) => text.replaceAll('\n', '\r')],
    ['no final newline', (text: string) => text.trimEnd()],
    ['blanks around it', (text: string) => `\n\n  ${text}  \n\t\n`],
    ['indented lines', (text: string) => text.replaceAll(/^/gm, '    ')],
    ['a byte order mark', (text: string) => `\uFEFF${text}`],
  ])('is put right: %s', (_, spoil) => {
    const { privateKey, publicKey } = keyOfOpenssh('-t', 'ed25519');
    const normalized = normalizePrivateKey(spoil(privateKey));
    expect(normalized).toBe(privateKey);
    expect(publicKeyOf(spoil(privateKey))).toBe(publicKey);
  });

  const refusal = (text: string) => {
    try {
      normalizePrivateKey(text);
    } catch (error) {
      return error;
    }
    throw new Error('it was taken');
  };

  test.each([
    ['OpenSSH', ['-t', 'ed25519']],
    ['PEM', ['-t', 'rsa', '-b', '2048', '-m', 'PEM']],
    ['PKCS#8', ['-t', 'rsa', '-b', '2048', '-m', 'PKCS8']],
  ])('is refused with a passphrase, in the format of %s', (_, args) => {
    const { privateKey } = keyOfOpenssh(...args, '-N', 'correct horse');
    expect(refusal(privateKey)).toMatchObject({
      code: 2,
      message: expect.stringContaining('has a passphrase'),
      remedy: expect.stringContaining("ssh-keygen -t ed25519 -N ''"),
    });
  });

  test('is refused when it is the public half, and the message says so', () => {
    const { publicKey } = keyOfOpenssh('-t', 'ed25519');
    const others = ['RFC4716', 'PKCS8'].map((format) =>
      execFileSync('ssh-keygen', ['-e', '-m', format, '-f', keyOfOpenssh('-t', 'rsa', '-b', '2048').file], {
        encoding: 'utf8',
      }),
    );
    for (const text of [publicKey, ...others]) {
      expect(refusal(text)).toMatchObject({ code: 2, message: 'The deploy key is a public key' });
    }
  });

  test('is refused in the format of PuTTY, with how to convert it', () => {
    expect(refusal('PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: none\r\n')).toMatchObject({
      message: 'The deploy key is in the format of PuTTY',
      remedy: expect.stringContaining('puttygen'),
    });
  });

  test('is refused when a byte is missing or wrong, and no message quotes it', () => {
    const { privateKey } = keyOfOpenssh('-t', 'ed25519');
    const lines = privateKey.split('\n');
    const damaged = [
      lines.slice(0, 3).join('\n'),
      [...lines.slice(0, 3), ...lines.slice(4)].join('\n'),
      [...lines.slice(0, 3), lines[3]?.replace(/^.{8}/, 'AAAAAAAA'), ...lines.slice(4)].join('\n'),
      '-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n',
    ];
    for (const text of damaged) {
      const error = refusal(text) as Error;
      expect(error, text).toMatchObject({ code: 2, message: 'The deploy key is damaged' });
      expect(error.cause).toBeUndefined();
    }
  });

  test.each(['', 'Buy milk.\n', '{"key": 1}'])('is refused when it is none: %j', (text) => {
    expect(refusal(text)).toMatchObject({ message: 'The deploy key is not a private SSH key' });
  });

  test('is refused when it is of a type that OpenSSH has given up', async (context) => {
    const file = join(temporaryDirectory(), 'dsa');
    const made = await run('ssh-keygen', ['-q', '-t', 'dsa', '-N', '', '-f', file]);
    if (made.exitCode !== 0) context.skip('this OpenSSH cannot even make one');
    const native = readFileSync(file, 'utf8');
    execFileSync('ssh-keygen', ['-q', '-p', '-N', '', '-P', '', '-m', 'PEM', '-f', file]);
    for (const text of [native, readFileSync(file, 'utf8')]) {
      expect(refusal(text)).toMatchObject({ message: expect.stringContaining('which OpenSSH refuses') });
    }
  });
});
