import { Vault } from 'ansible-vault';

/**
 * What Ansible Vault has encrypted, in a text: a whole file, or a value behind `!vault |`. Its lines are all indented alike.
 * https://docs.ansible.com/ansible/latest/vault_guide/vault_encrypting_content.html
 */
const sealedPattern =
  /^([ \t]*)\$ANSIBLE_VAULT;1\.[12];AES256(?:;([^\s;]+))?[ \t]*\r?\n(?:\1[0-9a-f]+[ \t]*\r?\n?)+/gm;

/** Something encrypted in a text. */
export interface SealedPart {
  /** From and to which character it stands. */
  place: [start: number, end: number];
  indent: string;
  /** Without indentation, as a file of its own would be. */
  sealed: string;
  /** The vault id that it bears. */
  label: string;
}

/** Everything that Ansible Vault has encrypted in a text. */
export function sealedParts(text: string): SealedPart[] {
  return [...text.matchAll(sealedPattern)].map((match) => {
    const [whole, indent = '', label = ''] = match;
    const lines = whole.trimEnd().split(/\r?\n/);
    return {
      place: [match.index, match.index + whole.trimEnd().length],
      indent,
      sealed: lines.map((line) => line.trim()).join('\n'),
      label,
    };
  });
}

/** Opens what Ansible Vault has encrypted; undefined where the password is another one. */
export async function open(sealed: string, password: string): Promise<string | undefined> {
  try {
    return (await new Vault({ password }).decrypt(sealed, '')) ?? undefined;
  } catch {
    return undefined;
  }
}

/** The same text with another part in the place of each that is given. */
export function withParts(text: string, parts: readonly SealedPart[]): string {
  return parts.toReversed().reduce((result, { place: [start, end], indent, sealed }) => {
    const lines = sealed.trim().split('\n');
    return `${result.slice(0, start)}${lines.map((line) => `${indent}${line}`).join('\n')}${result.slice(end)}`;
  }, text);
}

/** Encrypts a text; an empty label is none. */
export async function seal(text: string, password: string, label: string): Promise<string> {
  return (await new Vault({ password }).encrypt(text, label)).trim();
}
