import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { run } from '../process.ts';
import { keyKind } from './file-formats.ts';

/** A private key that has been looked at. */
export interface PrivateKey {
  encrypted: boolean;
  /** Type and Base64 of the public half; undefined where only the passphrase would tell. */
  publicHalf: string | undefined;
  /** ssh-keygen's reason for not reading the file; undefined when it reads it, or would with the passphrase. */
  problem: string | undefined;
}

const magic = Buffer.from('openssh-key-v1\0');

/** Reads what OpenSSH's format (PROTOCOL.key) tells without the passphrase. */
function readOpenSsh(text: string): { encrypted: boolean; publicHalf: string } | undefined {
  const body = Buffer.from(text.replace(/-----[^-]+-----/g, '').replace(/\s/g, ''), 'base64');
  if (!body.subarray(0, magic.length).equals(magic)) return undefined;
  let offset = magic.length;
  const next = () => {
    const length = body.readUInt32BE(offset);
    offset += 4 + length;
    return body.subarray(offset - length, offset);
  };
  try {
    const cipher = next().toString();
    next(); // The key derivation function,
    next(); // its options,
    offset += 4; // and the number of keys.
    const key = next();
    const type = key.subarray(4, 4 + key.readUInt32BE(0)).toString();
    return { encrypted: cipher !== 'none', publicHalf: `${type} ${key.toString('base64')}` };
  } catch {
    return undefined;
  }
}

/** Looks at a file that holds a private key, without its passphrase. ssh-keygen refuses a file that others may read. */
export async function readPrivateKey(path: string, text: string): Promise<PrivateKey> {
  const openSsh = keyKind(text) === 'openssh' ? readOpenSsh(text) : undefined;
  const encrypted = openSsh?.encrypted ?? /ENCRYPTED/.test(text.slice(0, 300));
  if (encrypted) return { encrypted, publicHalf: openSsh?.publicHalf, problem: undefined };
  // The empty passphrase, so that nobody is asked for one.
  const { exitCode, stdout, stderr } = await run('ssh-keygen', ['-y', '-P', '', '-f', path]);
  if (exitCode === 0) return { encrypted, publicHalf: withoutComment(stdout), problem: undefined };
  const reason = stderr.trim().split('\n')[0] ?? '';
  return {
    encrypted,
    publicHalf: openSsh?.publicHalf,
    problem: reason.split(': ').at(-1) || `exit status ${exitCode}`,
  };
}

function withoutComment(publicKey: string): string {
  return publicKey.trim().split(/\s+/).slice(0, 2).join(' ');
}

/** The public half that lies beside a private key; undefined without one. */
export async function publicHalfBeside(path: string): Promise<string | undefined> {
  try {
    return withoutComment(await readFile(`${path}.pub`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Size in bits, fingerprint and type (as `ED25519`) of a public key. */
export async function describePublicKey(
  publicKey: string,
): Promise<{ bits: number; fingerprint: string; type: string }> {
  const { stdout } = await run('ssh-keygen', ['-l', '-f', '-'], { input: `${publicKey}\n` });
  const [bits, fingerprint = '', ...rest] = stdout.trim().split(/\s+/);
  return { bits: Number(bits), fingerprint, type: rest.at(-1)?.replace(/[()]/g, '') ?? '' };
}

/** Whether others than its owner may use a file; ssh refuses such a key. */
export function isOpenToOthers(path: string): boolean {
  const { uid, mode } = statSync(path);
  // As ssh does: it judges only files of its own user.
  return uid === process.getuid?.() && (mode & 0o077) !== 0;
}

/** The public keys that the SSH agent holds; undefined where there is no agent. */
export async function agentKeys(): Promise<string[] | undefined> {
  const { exitCode, stdout } = await run('ssh-add', ['-L'], { timeout: 5000 });
  if (exitCode === 0) return stdout.trim().split('\n').map(withoutComment);
  // 1: there are none. 2: there is no agent.
  return exitCode === 1 ? [] : undefined;
}
