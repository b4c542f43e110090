import { readFile } from 'node:fs/promises';
import { run } from '../process.ts';
import type { Environment, SshTarget } from '../project.ts';
import { expandPath } from '../validate.ts';

/** The name under which known_hosts lists a host, as sshd(8) says. */
export function knownHostsName({ address, port }: SshTarget): string {
  return port === 22 ? address : `[${address}]:${port}`;
}

async function linesFor(target: SshTarget, file: string): Promise<string[]> {
  const name = knownHostsName(target);
  const { stdout } = await run('ssh-keygen', ['-F', name, '-f', expandPath(file)]);
  return stdout
    .split('\n')
    .filter((line) => line.trim() && !line.startsWith('#'))
    .map((line) => {
      // A user's own file may hold hashed names; a committed file is for people to read.
      const [, type, key] = line.split(' ');
      return `${name} ${type} ${key}`;
    });
}

/**
 * The lines that a known_hosts file has for the hosts of an environment, with plain names; empty when it does not
 * know all of them.
 */
export async function knownHostsFor(environment: Environment, file: string): Promise<string> {
  const targets = environment.jump ? [environment.jump, environment.host] : [environment.host];
  const lines = await Promise.all(targets.map((target) => linesFor(target, file)));
  return lines.every((found) => found.length > 0) ? `${lines.flat().join('\n')}\n` : '';
}

/** The SHA-256 fingerprint of each line of a known_hosts text, with the host's name and the type of the key. */
export async function fingerprints(knownHosts: string): Promise<string[]> {
  if (!knownHosts.trim()) return [];
  const { stdout } = await run('ssh-keygen', ['-l', '-f', '-'], { input: knownHosts });
  return stdout
    .trim()
    .split('\n')
    .map((line) => {
      const [, fingerprint, ...rest] = line.split(' ');
      return `${rest.join(' ')} ${fingerprint}`;
    });
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
