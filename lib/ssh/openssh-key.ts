import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { sshString, uint32, WireReader } from './wire-format.ts';

// Own code, because the libraries that write this format bring more than they give: one rests on packages that
// nobody maintains any more, one on a native module, one on a newer Node than we support. It is a page, and OpenSSH's
// file PROTOCOL.key describes it.

const magic = Buffer.from('openssh-key-v1\0');
const [firstLine, lastLine] = ['-----BEGIN OPENSSH PRIVATE KEY-----', '-----END OPENSSH PRIVATE KEY-----'];
const lineLength = 70;
/** Without a cipher the private part is padded to whole blocks of this size. */
const blockSize = 8;

const ed25519 = 'ssh-ed25519';
/** Before the 32 bytes of an Ed25519 private key in PKCS#8 (RFC 8410, section 7). */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The public half of an Ed25519 key, as SSH sends it. */
export function ed25519PublicKey(key: Uint8Array): Buffer {
  return Buffer.concat([sshString(ed25519), sshString(key)]);
}

/** The text of an unencrypted Ed25519 private key file. Both halves have 32 bytes. */
export function encodeEd25519PrivateKey(key: {
  privateKey: Uint8Array;
  publicKey: Uint8Array;
  comment: string;
}): string {
  const check = randomBytes(4);
  const secrets = Buffer.concat([
    check,
    check,
    ed25519PublicKey(key.publicKey),
    sshString(Buffer.concat([key.privateKey, key.publicKey])),
    sshString(key.comment),
  ]);
  const missing = (blockSize - (secrets.length % blockSize)) % blockSize;
  const padding = Buffer.from(Array.from({ length: missing }, (_, index) => index + 1));
  const file = Buffer.concat([
    magic,
    ...[sshString('none'), sshString('none'), sshString('')],
    uint32(1),
    sshString(ed25519PublicKey(key.publicKey)),
    sshString(Buffer.concat([secrets, padding])),
  ]);
  const lines = file.toString('base64').match(new RegExp(`.{1,${lineLength}}`, 'g')) ?? [];
  return `${[firstLine, ...lines, lastLine].join('\n')}\n`;
}

export interface DecodedPrivateKey {
  /** As SSH names it, for example `ssh-ed25519`. */
  type: string;
  encrypted: boolean;
  /** As SSH sends it. It is readable in an encrypted file, too. */
  publicKey: Buffer;
  /** Empty where the file is encrypted. */
  comment: string;
}

/** Whether a text begins as a file in OpenSSH's own format does. */
export function isOpensshFormat(text: string): boolean {
  return text.startsWith(firstLine);
}

/**
 * Reads a private key file in OpenSSH's own format. Throws an Error when it is damaged or its halves do not belong
 * together.
 */
export function decodeOpensshPrivateKey(text: string): DecodedPrivateKey {
  const end = text.indexOf(lastLine);
  if (end < 0) throw new Error('its last line is missing');
  const file = Buffer.from(text.slice(firstLine.length, end), 'base64');
  const reader = new WireReader(file);
  if (!reader.bytes(magic.length).equals(magic)) throw new Error('it is not in the format of OpenSSH');
  const cipher = reader.string().toString();
  reader.string();
  reader.string();
  if (reader.uint32() !== 1) throw new Error('it holds more than one key');
  const publicKey = Buffer.from(reader.string());
  const type = new WireReader(publicKey).string().toString();
  const secrets = reader.string();
  if (cipher !== 'none') return { type, encrypted: true, publicKey, comment: '' };
  return { type, encrypted: false, publicKey, comment: readSecrets(secrets, type, publicKey) };
}

/** How many fields a private key of each type has, public ones included, after the name of its type. */
const fieldCounts: Record<string, number> = {
  [ed25519]: 2,
  'ssh-rsa': 6,
  'ecdsa-sha2-nistp256': 3,
  'ecdsa-sha2-nistp384': 3,
  'ecdsa-sha2-nistp521': 3,
};

/** Looks at the private part and returns the comment; for a type that is not known here there is none. */
function readSecrets(secrets: Buffer, type: string, publicKey: Buffer): string {
  const reader = new WireReader(secrets);
  const [check, repeated] = [reader.uint32(), reader.uint32()];
  if (check !== repeated || reader.string().toString() !== type) {
    throw new Error('its private half is damaged');
  }
  const fields = Array.from({ length: fieldCounts[type] ?? 0 }, () => reader.string());
  if (fields.length === 0) return '';
  if (type === ed25519) {
    const derived = ed25519PublicKey(publicHalf(fields[1]?.subarray(0, 32) ?? Buffer.alloc(0)));
    if (!derived.equals(publicKey)) throw new Error('its halves do not belong together');
  }
  return reader.string().toString();
}

function publicHalf(privateKey: Buffer): Buffer {
  const der = Buffer.concat([pkcs8Prefix, privateKey]);
  const key = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  return Buffer.from(key.export({ format: 'jwk' }).x as string, 'base64url');
}
