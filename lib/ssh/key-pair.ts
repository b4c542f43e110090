import { createPrivateKey, createPublicKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { usageError } from '../errors.ts';
import {
  decodeOpensshPrivateKey,
  ed25519PublicKey,
  encodeEd25519PrivateKey,
  isOpensshFormat,
} from './openssh-key.ts';
import { multiplePrecisionInteger, sshString } from './wire-format.ts';

export interface KeyPair {
  /** A private key file, with its final newline. */
  privateKey: string;
  /** One line as in authorized_keys, without a line break: type, key, comment. */
  publicKey: string;
}

/** What is written behind the public half of a site's deploy key, so that people know it in a list of keys. */
export function deployKeyComment(site: string): string {
  return `${site} deploy by GitHub`;
}

/** Makes the key with which GitHub deploys a site: Ed25519, without a passphrase, in memory alone. */
export function makeDeployKeyPair(site: string): KeyPair {
  const { d, x } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const [privateHalf, publicHalf] = [d, x].map((part) => Buffer.from(part as string, 'base64url')) as [
    Buffer,
    Buffer,
  ];
  const comment = deployKeyComment(site);
  return {
    privateKey: encodeEd25519PrivateKey({ privateKey: privateHalf, publicKey: publicHalf, comment }),
    publicKey: publicKeyLine('ssh-ed25519', ed25519PublicKey(publicHalf), comment),
  };
}

function publicKeyLine(type: string, key: Buffer, comment: string): string {
  return [type, key.toString('base64'), comment.trim()].filter(Boolean).join(' ');
}

const usableTypes = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
];

const makeOne = "Make one for this purpose alone: ssh-keygen -t ed25519 -N '' -f deploy_key";

/** What people hand over instead of a private key, by how it begins. */
const mistakenFiles: readonly { pattern: RegExp; message: string; remedy: string }[] = [
  {
    pattern: /^((ssh|ecdsa|sk)-[a-z0-9@.-]+ |---- BEGIN SSH2 PUBLIC KEY|-----BEGIN ([A-Z]+ )?PUBLIC KEY)/,
    message: 'is a public key',
    remedy: 'Give the private one, usually the file of the same name without .pub.',
  },
  {
    pattern: /^PuTTY-User-Key-File-/,
    message: 'is in the format of PuTTY',
    remedy: 'Convert it: puttygen KEY.ppk -O private-openssh -o deploy_key',
  },
  {
    pattern: /^---- BEGIN SSH2 /,
    message: 'is in the format of ssh.com',
    remedy: 'Convert it: ssh-keygen -i -f KEY > deploy_key',
  },
  {
    pattern: /^-----BEGIN ENCRYPTED PRIVATE KEY|^Proc-Type: 4,ENCRYPTED/m,
    message: 'has a passphrase, and nobody is there to type it when GitHub deploys',
    remedy: makeOne,
  },
];

/** Line ends of Unix, one at the end, no blanks around, and no mark that some editors of Windows put first. */
function normalizeLines(text: string): string {
  const lines = text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\r|\n/)
    .map((line) => line.trim());
  return `${lines.join('\n').trim()}\n`;
}

/**
 * The text of a private key as ssh-add takes it: line ends of Unix, a final newline, nothing around it.
 *
 * Throws a usage error, which never quotes the key, for whatever GitHub could not log in with: a key with a
 * passphrase, on a hardware token, damaged or of a type that OpenSSH has given up; a public key; PuTTY's format.
 */
export function normalizePrivateKey(text: string): string {
  const normalized = normalizeLines(text);
  readPrivateKey(normalized);
  return normalized;
}

/**
 * The public half of a private key as one line of authorized_keys, with the comment of the file unless another one is
 * given. Throws like `normalizePrivateKey`.
 */
export function publicKeyOf(privateKey: string, comment?: string): string {
  const key = readPrivateKey(normalizeLines(privateKey));
  return publicKeyLine(key.type, key.publicKey, comment ?? key.comment);
}

interface ReadKey {
  type: string;
  publicKey: Buffer;
  comment: string;
}

function readPrivateKey(text: string): ReadKey {
  const mistake = mistakenFiles.find(({ pattern }) => pattern.test(text));
  if (mistake) throw usageError(`The deploy key ${mistake.message}`, mistake.remedy);
  if (!/^-----BEGIN ([A-Z]+ )?PRIVATE KEY-----\n/.test(text)) {
    throw usageError('The deploy key is not a private SSH key', makeOne);
  }
  let key: ReadKey & { encrypted?: boolean };
  try {
    key = isOpensshFormat(text) ? decodeOpensshPrivateKey(text) : readPemKey(text);
  } catch {
    // The cause may quote the key, so it is not kept.
    throw usageError(
      'The deploy key is damaged',
      'Check the file: it may be cut short. ssh-keygen -y -f FILE must print its public half.',
    );
  }
  if (key.encrypted) {
    throw usageError(
      'The deploy key has a passphrase, and nobody is there to type it when GitHub deploys',
      makeOne,
    );
  }
  if (key.type.startsWith('sk-')) {
    throw usageError('The deploy key is on a hardware token, which GitHub cannot touch', makeOne);
  }
  if (!usableTypes.includes(key.type)) {
    throw usageError(`The deploy key is of the type ${key.type || 'DSA'}, which OpenSSH refuses`, makeOne);
  }
  return key;
}

/** Reads the formats that OpenSSH shares with TLS. Throws an Error where OpenSSL cannot. */
function readPemKey(text: string): ReadKey {
  const key = createPrivateKey(text);
  if (key.asymmetricKeyType === 'dsa') return { type: '', publicKey: Buffer.alloc(0), comment: '' };
  const [type, ...fields] = publicFields(createPublicKey(key).export({ format: 'jwk' }));
  return {
    type: String(type),
    publicKey: Buffer.concat([sshString(type as string), ...(fields as Buffer[])]),
    comment: '',
  };
}

/** The name of a type and the fields of a public key (RFC 4253, section 6.6; RFC 5656, 3.1; RFC 8709, 4). */
function publicFields(key: JsonWebKey): [type: string, ...fields: Buffer[]] {
  const bytes = (part: string | undefined) => Buffer.from(part ?? '', 'base64url');
  switch (key.kty) {
    case 'RSA':
      return ['ssh-rsa', multiplePrecisionInteger(bytes(key.e)), multiplePrecisionInteger(bytes(key.n))];
    case 'EC': {
      const curve = `nistp${key.crv?.replace('P-', '')}`;
      const point = Buffer.concat([Buffer.from([4]), bytes(key.x), bytes(key.y)]);
      return [`ecdsa-sha2-${curve}`, sshString(curve), sshString(point)];
    }
    default:
      return [`ssh-${key.crv?.toLowerCase()}`, sshString(bytes(key.x))];
  }
}
