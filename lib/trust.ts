import { exitCodes, GobootError } from './errors.ts';
import { type HostFacts, type HostFactsDepth, readHostFacts } from './preflight/host-facts.ts';
import { type Environment, jumpHosts } from './project.ts';
import { openConnection, type SshConnection } from './ssh/connection.ts';
import { fingerprints, knownHostsFor } from './ssh/known-hosts.ts';
import { otherFileRemedy } from './ssh/login-failure.ts';
import { quoted } from './validate.ts';

/** A connection to a host, the keys that identify it, and what it says of itself. */
export interface TrustedHost {
  connection: SshConnection;
  knownHosts: string;
  /** Whether the host showed its key for the first time; then the user should compare the fingerprints. */
  firstSeen: boolean;
  fingerprints: string[];
  facts: Promise<HostFacts>;
  /** Whether the jump host lets its user in; tried only where everything is asked of the host. */
  jumpLogin: Promise<void>;
}

export interface HostKeySources {
  /** Path of the project's committed known_hosts file, which need not exist. */
  committed: string;
  /** Path of a known_hosts file that the user vouches for. */
  given?: string;
  /** Path of the user's own known_hosts file. */
  own: string;
}

/** The keys of the machines on the way, and the file that they are in unless it is the project's. */
async function knownKeys(
  environment: Environment,
  { committed, given, own }: HostKeySources,
): Promise<{ keys: string; file?: string }> {
  const keys = await knownHostsFor(environment, committed);
  if (keys) return { keys };
  if (given) {
    const givenKeys = await knownHostsFor(environment, given);
    if (givenKeys) return { keys: givenKeys, file: given };
    throw new GobootError(`The known_hosts file ${quoted(given)} has no key for every host on the way`, {
      exitCode: exitCodes.preflight,
      remedy: `Add the key of ${[...jumpHosts(environment), environment.host].map(({ address }) => address).join(' and ')}.`,
    });
  }
  return { keys: await knownHostsFor(environment, own), file: own };
}

/**
 * Logs in to the host of an environment. Its key must be one that the project, the given file or the user's own
 * known_hosts file holds; only when none of them knows the host is the key that it shows accepted, and reported.
 *
 * `onConnecting` gets the connection before the login, for what can be got ready meanwhile.
 *
 * A failed login rejects `facts` and `jumpLogin`, not this function, so that it can be reported among other checks.
 */
export async function connectToHost(
  environment: Environment,
  sources: HostKeySources,
  depth: HostFactsDepth = 'short',
  onConnecting: (connection: SshConnection) => void = () => {},
): Promise<TrustedHost> {
  const { keys: known, file } = await knownKeys(environment, sources);
  const connection = await openConnection(environment, known, {
    ...(file && { changedKeyRemedy: (target) => otherFileRemedy(file, target) }),
  });
  onConnecting(connection);
  const jumpLogin = depth === 'full' ? connection.tryJump() : Promise.resolve();
  // One after the other: servers lock out whoever fails to log in several times, and two logins at once would each
  // write down a key that nobody knows yet.
  const facts = jumpLogin.then(() => readHostFacts(connection, environment.site, depth));
  await Promise.allSettled([jumpLogin, facts]);
  const knownHosts = await connection.knownHosts();
  return {
    connection,
    knownHosts,
    firstSeen: !known,
    fingerprints: await fingerprints(knownHosts),
    facts,
    jumpLogin,
  };
}
