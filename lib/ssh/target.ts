import type { SshTarget } from '../project.ts';

/** `user@host`, with the port where it is not the usual one. */
export function describeTarget({ user, address, port }: SshTarget): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return `${user}@${host}${port === 22 ? '' : `:${port}`}`;
}
