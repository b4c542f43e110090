import { join } from 'node:path';
import { GobootError, usageError } from './errors.ts';
import { projectPaths } from './paths.ts';
import { type Environment, jumpHosts } from './project.ts';
import { openConnection } from './ssh/connection.ts';
import { fingerprints, knownHostsFor, readIfExists } from './ssh/known-hosts.ts';
import { ChangedHostKeyError } from './ssh/login-failure.ts';
import { quoted } from './validate.ts';

/** Reads fingerprints as `ssh-keygen -l` prints them, separated by commas. Throws a usage error. */
export function acceptedFingerprints(text: string): string[] {
  return text.split(',').map((part) => {
    const fingerprint = part.trim().replace(/=+$/, '');
    if (/^SHA256:[A-Za-z0-9+/]{43}$/.test(fingerprint)) return fingerprint;
    throw usageError(
      `${quoted(part.trim())} is not the fingerprint of a host key`,
      'Give it as goboot or ssh-keygen -l shows it: SHA256: and 43 characters.',
    );
  });
}

/**
 * The project's known_hosts file with the new keys of machines on the way to an environment that show another key than
 * the known one, if their fingerprints are accepted. Each machine is logged in to; nothing is written.
 *
 * Throws a ChangedHostKeyError for a machine whose new key is not accepted, and a GobootError where no machine shows a
 * new key, or the project knows none.
 */
export async function withAcceptedKeys(
  projectRoot: string,
  environment: Environment,
  accepted: readonly string[],
): Promise<string> {
  const file = join(projectRoot, projectPaths.knownHosts);
  const machines = [...jumpHosts(environment), environment.host];
  let known = await knownHostsFor(environment, file);
  if (!known) {
    throw new GobootError(`${projectPaths.knownHosts} does not know all machines on the way yet`, {
      remedy: 'There is nothing to replace: the next run shows their keys.',
    });
  }
  let text = await readIfExists(file);
  // Each attempt is one connection or two: firewalls limit how many may come within half a minute.
  for (const _ of machines) {
    const changed = await changedKey(environment, known);
    if (!changed) break;
    if (!accepted.includes(changed.shown)) throw changed;
    const { line, letIn } = await shownLine(environment, withoutHost(known, changed.host), changed);
    known = withKey(known, changed.host, line);
    text = withKey(text, changed.host, line);
    if (letIn) break;
  }
  if (text !== (await readIfExists(file))) return text;
  throw new GobootError(
    `${machines.map(({ address }) => address).join(' and ')} show the keys that ${projectPaths.knownHosts} has`,
    { remedy: 'There is nothing to accept.' },
  );
}

/** The first machine on the way that shows another key than the known one; undefined where none does. */
async function changedKey(environment: Environment, known: string): Promise<ChangedHostKeyError | undefined> {
  const connection = await openConnection(environment, known);
  try {
    await connection.execute('true');
    return undefined;
  } catch (error) {
    if (error instanceof ChangedHostKeyError) return error;
    throw error;
  } finally {
    await connection.close();
  }
}

/**
 * The line of known_hosts for the key that a machine shows, and whether the login through it came to its end. Throws if
 * it shows yet another key now.
 */
async function shownLine(
  environment: Environment,
  others: string,
  { host, shown }: ChangedHostKeyError,
): Promise<{ line: string; letIn: boolean }> {
  const connection = await openConnection(environment, others, { hostKeyChecking: 'accept-new' });
  try {
    // That what is behind it shows another key, too, is the next question.
    const letIn = await connection.execute('true').then(
      () => true,
      () => false,
    );
    const lines = (await connection.knownHosts()).split('\n').filter((line) => line.split(' ')[0] === host);
    for (const line of lines) {
      if ((await fingerprints(line)).some((text) => text.endsWith(` ${shown}`))) return { line, letIn };
    }
    throw new GobootError(`${host} shows one key now and another one then`, {
      remedy: 'Somebody may be listening in: ask its administrator.',
    });
  } finally {
    await connection.close();
  }
}

const isOf = (line: string, host: string) => line.split(/\s+/)[0] === host;

function withoutHost(text: string, host: string): string {
  return text
    .split('\n')
    .filter((line) => !isOf(line, host))
    .join('\n');
}

/** A text in which one key stands in the place of all that a host had; all else stays as it is. */
export function withKey(text: string, host: string, line: string): string {
  const lines = text.split('\n');
  const first = lines.findIndex((each) => isOf(each, host));
  if (first < 0) return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${line}\n`;
  return lines
    .flatMap((each, index) => (index === first ? [line] : isOf(each, host) ? [] : [each]))
    .join('\n');
}
