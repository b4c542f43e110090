import { readFile } from 'node:fs/promises';
import { run } from '../process.ts';
import { type Environment, jumpHosts, type SshTarget } from '../project.ts';
import { expandPath } from '../validate.ts';

/** The name under which known_hosts lists a host, as sshd(8) says. */
export function knownHostsName({ address, port }: SshTarget): string {
  return port === 22 ? address : `[${address}]:${port}`;
}

/** One line of a known_hosts file. */
export interface KnownHostsLine {
  /** `@revoked` or `@cert-authority`; empty for an ordinary key. */
  marker: string;
  /** Type and Base64. */
  key: string;
}

/** The lines that a known_hosts file has for a host. */
export async function knownHostsLines(target: SshTarget, file: string): Promise<KnownHostsLine[]> {
  const { stdout } = await run('ssh-keygen', ['-F', knownHostsName(target), '-f', expandPath(file)]);
  return stdout
    .split('\n')
    .filter((line) => line.trim() && !line.startsWith('#'))
    .map((line) => {
      const words = line.split(' ');
      const marker = words[0]?.startsWith('@') ? (words.shift() ?? '') : '';
      return { marker, key: words.slice(1, 3).join(' ') };
    });
}

/**
 * The lines that a known_hosts file has for the hosts of an environment, with plain names; empty when it does not
 * know all of them.
 */
export async function knownHostsFor(environment: Environment, file: string): Promise<string> {
  const targets = [...jumpHosts(environment), environment.host];
  const found = await Promise.all(targets.map((target) => knownHostsLines(target, file)));
  // A host of which only a revoked key is known counts as known, so that none of its keys is accepted unseen.
  if (!found.every((lines) => lines.length > 0)) return '';
  const lines = found.flatMap((ofTarget, index) => {
    // A user's own file may hold hashed names; a committed file is for people to read.
    const name = knownHostsName(targets[index] as SshTarget);
    return ofTarget.map(({ marker, key }) => `${marker ? `${marker} ` : ''}${name} ${key}`);
  });
  return `${lines.join('\n')}\n`;
}

/** The SHA-256 fingerprint of each line of a known_hosts text, with the host's name and the type of the key. */
export async function fingerprints(knownHosts: string): Promise<string[]> {
  const lines = knownHosts.split('\n').filter((line) => line.trim() && !line.startsWith('@revoked'));
  if (lines.length === 0) return [];
  // ssh-keygen takes a marker for the name of a host.
  const input = lines.map((line) => line.replace(/^@\S+\s+/, '')).join('\n');
  const { stdout } = await run('ssh-keygen', ['-l', '-f', '-'], { input: `${input}\n` });
  const described = stdout
    .trim()
    .split('\n')
    .map((line) => {
      const [, fingerprint, ...rest] = line.split(' ');
      return `${rest.join(' ')} ${fingerprint}`;
    });
  return [...new Set(described)];
}

/** Reads a file that may not exist; its absence is the empty text. */
export async function readIfExists(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
