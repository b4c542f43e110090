import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { projectPaths } from '../paths.ts';
import { jumpHosts } from '../project.ts';
import { wrongKnownHostsLine } from '../ssh/file-formats.ts';
import { knownHostsLines } from '../ssh/known-hosts.ts';
import { expandPath, quoted } from '../validate.ts';
import type { Check } from './check.ts';
import { notReached } from './host-check.ts';

/** The known_hosts files that count, each named as the user knows it. */
function filesOf(projectRoot: string, given: string | undefined): { name: string; path: string }[] {
  return [
    { name: projectPaths.knownHosts, path: join(projectRoot, projectPaths.knownHosts) },
    ...(given ? [{ name: given, path: expandPath(given) }] : []),
    { name: '~/.ssh/known_hosts', path: join(homedir(), '.ssh', 'known_hosts') },
  ].filter(({ path }) => existsSync(path));
}

/** The known_hosts files can be read, and none of them revokes a key of the hosts. */
export const knownHostsCheck: Check = {
  name: 'known_hosts',
  async run({ projectRoot, environment, knownHostsFile }) {
    const files = filesOf(projectRoot, knownHostsFile);
    const targets = [...jumpHosts(environment), environment.host];
    for (const { name, path } of files) {
      const wrong = wrongKnownHostsLine(readFileSync(path, 'utf8'));
      if (wrong !== undefined) {
        return {
          // ssh passes over such lines in a file that people have had for years.
          status: name.startsWith('~') ? 'warning' : 'failed',
          detail: `${name} has a line that is none: ${quoted(wrong.slice(0, 60))}`,
          remedy: 'Each line is: host key-type key. Correct it or take it out.',
        };
      }
      for (const target of targets) {
        const lines = await knownHostsLines(target, path);
        if (lines.some(({ marker }) => marker === '@revoked')) {
          return {
            status: lines.some(({ marker }) => marker !== '@revoked') ? 'warning' : 'failed',
            detail: `${name} has revoked a key of ${target.address}`,
            remedy:
              'If the server shows that key it is not to be trusted: install it anew, or get its new key from its administrator.',
          };
        }
      }
    }
    const knows = await Promise.all(
      files.map(async ({ name, path }) => ({
        name,
        all: (await Promise.all(targets.map((target) => knownHostsLines(target, path)))).every(
          (lines) => lines.length > 0,
        ),
      })),
    );
    const source = knows.find(({ all }) => all);
    const hosts = targets.map(({ address }) => address).join(' and ');
    return source
      ? { status: 'ok', detail: `${source.name} knows ${hosts}` }
      : { status: 'ok', detail: `no file knows ${hosts} yet` };
  },
};

/** The keys by which the hosts show who they are; new ones are for the user to compare. */
export const hostKeyCheck: Check = {
  name: 'host key',
  async run({ host, hostFacts }) {
    try {
      await hostFacts;
      const { fingerprints = [], firstSeen = false } = (await host) ?? {};
      return firstSeen
        ? {
            status: 'warning',
            detail: `seen for the first time: ${fingerprints.join(', ')}`,
            remedy:
              'Compare it with what the provider shows, or on the server: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub',
          }
        : { status: 'ok', detail: fingerprints.join(', ') };
    } catch {
      return notReached;
    }
  },
};
