import { keyIdentity } from '../ansible/deploy-public-keys.ts';

/** The public key in a line of authorized_keys, up to its end: type, key and comment. Options may come before it. */
const publicKeyPattern = /(?:ssh|ecdsa|sk)-\S+\s+AAAA[A-Za-z0-9+/]+=*.*$/;

function linesOf(text: string): string[] {
  return text.split(/(?<=\n)/);
}

function isFor(line: string, keys: readonly string[]): boolean {
  return !/^\s*(#|$)/.test(line) && keys.some((key) => keyIdentity(key) === keyIdentity(line));
}

/** Whether a file lets a key in. */
export function hasAuthorizedKey(text: string, key: string): boolean {
  return linesOf(text).some((line) => isFor(line, [key]));
}

/**
 * The text of an authorized_keys file that lets a new key do what an old one may: the same options, in a line of its own
 * behind the old one's. Where none of the old keys is there, the given line is added.
 */
export function withAuthorizedKey(
  text: string,
  { oldKeys, newKey, line }: { oldKeys: readonly string[]; newKey: string; line: string },
): string {
  if (hasAuthorizedKey(text, newKey)) return text;
  const lines = linesOf(text);
  const place = lines.findIndex((candidate) => isFor(candidate, oldKeys));
  const end = text === '' || text.endsWith('\n') ? '' : '\n';
  if (place < 0) return `${text}${end}${line}\n`;
  const old = (lines[place] as string).trimEnd();
  const added = `${old.replace(publicKeyPattern, () => newKey)}\n`;
  const before = lines.slice(0, place + 1).join('');
  return `${before}${before.endsWith('\n') ? '' : '\n'}${added}${lines.slice(place + 1).join('')}`;
}

/** The text of an authorized_keys file without the lines of some keys; all else stays as it is. */
export function withoutAuthorizedKeys(text: string, keys: readonly string[]): string {
  return linesOf(text)
    .filter((line) => !isFor(line, keys))
    .join('');
}
