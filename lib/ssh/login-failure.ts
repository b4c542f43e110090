import { createHash } from 'node:crypto';
import { GobootError } from '../errors.ts';
import { type Environment, jumpHosts, type SshTarget } from '../project.ts';
import { quoted } from '../validate.ts';
import { knownHostsName } from './known-hosts.ts';
import { describeTarget } from './target.ts';

interface Symptom {
  pattern: RegExp;
  message: (target: string, next: string) => string;
  remedy: string | ((failed: SshTarget) => string);
}

const symptoms: readonly Symptom[] = [
  {
    pattern: /REVOKED HOST KEY|is marked as revoked/i,
    message: (target) => `The host key of ${target} is revoked in a known_hosts file`,
    remedy: 'Do not trust that server: install it anew, or get its new key from its administrator.',
  },
  {
    pattern: /open failed: administratively prohibited|forwarding is disabled/i,
    message: (target, next) => `${target} lets you in, but forbids to go on to ${next}`,
    remedy:
      'On that jump host, sshd must allow it: AllowTcpForwarding yes (or local), and no restriction of your key in authorized_keys. Then: sudo systemctl reload ssh',
  },
  {
    pattern: /open failed: connect failed: Connection refused/,
    message: (target, next) => `${next} refused the connection that came from ${target}`,
    remedy: 'Check --port, and that the SSH server runs there and listens on that address.',
  },
  {
    pattern: /open failed: connect failed: (Name or service not known|.*name resolution|.*No address)/i,
    message: (target, next) => `${target} does not know the name of ${next}`,
    remedy: 'Check the spelling of --host, or give the address that the jump host reaches it by.',
  },
  {
    pattern: /open failed: connect failed/,
    message: (target, next) => `${next} does not answer ${target}`,
    remedy:
      'Check --host and --port, that the server runs, and that its firewall lets in the jump host, by the address that this one reaches it by.',
  },
  {
    pattern: /stdio forwarding failed|administratively prohibited/i,
    message: (target, next) => `${target} does not lead to ${next}`,
    remedy:
      'Check --host and --port, that the jump host can reach them, and that its sshd allows it (AllowTcpForwarding).',
  },
  {
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED|host key .* has changed/i,
    message: (target) => `The host key of ${target} is not the one in known_hosts`,
    remedy:
      'If the server was installed anew, put its new key into .ansible/known_hosts (or your own known_hosts) and try again; otherwise somebody may be listening in.',
  },
  {
    pattern: /Host key verification failed|No .* host key is known/i,
    message: (target) => `The host key of ${target} is not in the known_hosts file`,
    remedy: 'Add the line that the server’s administrator gives you, or leave --known-hosts-file out.',
  },
  {
    pattern: /UNPROTECTED PRIVATE KEY FILE/,
    message: () => 'The key file can be read by others, and ssh refuses it',
    remedy: ({ keyFile }) => `Run: chmod 600 ${keyFile ?? 'KEY_FILE'}`,
  },
  {
    pattern: /invalid format|error in libcrypto|no start line/i,
    message: () => 'ssh cannot read the key file',
    remedy:
      'Check the file: it may be cut short or have Windows line ends. ssh-keygen -y -f FILE must print its public half.',
  },
  {
    pattern: /Could not resolve hostname/,
    message: (target) => `The name of ${target} is not known to the DNS`,
    remedy: 'Check the spelling of --host.',
  },
  {
    pattern: /Connection refused/,
    message: (target) => `${target} refused the connection`,
    remedy: 'Check --port, and that the SSH server runs.',
  },
  {
    pattern: /Connection (reset|closed) by (?!UNKNOWN)/,
    message: (target) => `${target} closes the connection before anybody can log in`,
    remedy:
      'It may have locked you out after failed logins (fail2ban, PerSourcePenalties of sshd). Wait some minutes and try again.',
  },
  {
    pattern: /timed out|No route to host|Network is unreachable/i,
    message: (target) => `${target} does not answer`,
    remedy: 'Check --host and --port, that the server runs, and that its firewall lets you in.',
  },
  {
    pattern: /Permission denied|Too many authentication failures|No more authentication methods/,
    message: (target) => `${target} did not accept the key`,
    remedy: ({ keyFile }) =>
      `Add the public half of ${keyFile ?? 'a key of your agent'} to ~/.ssh/authorized_keys of that account, or give another key or user. A key with a passphrase must be in your agent: ssh-add ${keyFile ?? ''}`.trim(),
  },
];

/** A machine has shown another host key than the one that is known of it. */
export class ChangedHostKeyError extends GobootError {
  /** The name of the machine in known_hosts. */
  readonly host: string;
  /** SHA-256, as `SHA256:…`. */
  readonly shown: string;

  constructor(failed: SshTarget, known: readonly HostKey[], shown: HostKey, remedy?: string) {
    const name = knownHostsName(failed);
    const words = known.map(describeHostKey).join(' or ');
    super(
      `${describeTarget(failed)} has shown another host key than the known one: ${describeHostKey(shown)} instead of ${words}`,
      { remedy: remedy ?? acceptanceRemedy(shown.fingerprint) },
    );
    this.host = name;
    this.shown = shown.fingerprint;
  }
}

/** Type, as `ED25519`, and SHA-256 fingerprint. */
interface HostKey {
  type: string;
  fingerprint: string;
}

function describeHostKey({ type, fingerprint }: HostKey): string {
  return `${type} ${fingerprint}`;
}

function acceptanceRemedy(fingerprint: string): string {
  return `Somebody may be listening in. If the server was installed anew, compare the shown fingerprint with what its provider shows, or on the server: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub. To accept it: yo goboot:host --accept-host-key ${fingerprint}`;
}

/** What to do about a changed key that a known_hosts file of the user's holds, and not the project. */
export function otherFileRemedy(file: string, target: SshTarget): string {
  return `Somebody may be listening in. If the server was installed anew, and its provider shows the same fingerprint: ssh-keygen -f ${file} -R ${quoted(knownHostsName(target))}`;
}

/** What ssh says of a key that is not the known one; undefined where it says something else. */
function shownKey(stderr: string): (HostKey & { host: string }) | undefined {
  const changed = stderr.match(
    /fingerprint for the (\S+) key sent by the remote host is\s+(SHA256:\S+?)\.?\s[\s\S]*Host key for (\S+) has changed/,
  );
  if (changed) {
    const [, type = '', fingerprint = '', host = ''] = changed;
    return { type, fingerprint, host };
  }
  // Only keys of other types are known. With -v ssh tells the fingerprint of each that it is shown, the last one last.
  const unknown = stderr.match(/No (\S+) host key is known for (\S+) and/);
  const fingerprint = [...stderr.matchAll(/Server host key: \S+ (SHA256:\S+)/g)].at(-1)?.[1];
  if (!unknown || !fingerprint) return undefined;
  const [, type = '', host = ''] = unknown;
  return { type, fingerprint, host };
}

/** Whether ssh, asked again with -v, would tell more. */
export function leavesFingerprintOut(stderr: string): boolean {
  return /No \S+ host key is known for/.test(stderr) && !shownKey(stderr);
}

/** The keys of a machine in a text with plain names. */
function keysOf(name: string, knownHosts: string): HostKey[] {
  return knownHosts.split('\n').flatMap((line) => {
    const [names, type = '', key = ''] = line.trim().split(/\s+/);
    if (!names?.split(',').includes(name)) return [];
    const digest = createHash('sha256').update(Buffer.from(key, 'base64')).digest('base64');
    return [{ type: keyTypes[type] ?? type, fingerprint: `SHA256:${digest.replace(/=+$/, '')}` }];
  });
}

/** As ssh-keygen calls them. */
const keyTypes: Record<string, string> = {
  'ssh-ed25519': 'ED25519',
  'ssh-rsa': 'RSA',
  'ecdsa-sha2-nistp256': 'ECDSA',
  'ecdsa-sha2-nistp384': 'ECDSA',
  'ecdsa-sha2-nistp521': 'ECDSA',
};

export interface LoginContext {
  environment: Environment;
  /** The lines of known_hosts that were used, with plain names. */
  knownHosts: string;
  /** What to do about a changed host key, where the project does not hold the known one. */
  changedKeyRemedy?: (target: SshTarget) => string;
}

/**
 * The error of a login, by what ssh has said: of the machine that was tried, or else of the one that ssh tells of.
 */
export function loginFailure(
  stderr: string,
  { environment, knownHosts, changedKeyRemedy }: LoginContext,
  tried?: SshTarget,
): GobootError {
  const { host, jump } = environment;
  const jumps = jumpHosts(environment);
  const changed = shownKey(stderr);
  if (changed) {
    const machine =
      [host, ...jumps].find((target) => knownHostsName(target) === changed.host) ?? tried ?? host;
    const known = keysOf(changed.host, knownHosts);
    return new ChangedHostKeyError(machine, known, changed, changedKeyRemedy?.(machine));
  }
  // ssh tells of a jump host under its own name; whatever names none of them concerns the host behind them.
  const named = jumps.find(({ address }) => mentions(stderr, address));
  const lastJump = /stdio forwarding failed|UNKNOWN port/.test(stderr) ? jump : undefined;
  const failed = tried ?? named ?? lastJump ?? host;
  const next = machineAfter(failed, environment);
  const symptom = symptoms.find(({ pattern }) => pattern.test(stderr));
  if (!symptom) {
    const detail = stderr.trim().split('\n').at(-1) ?? 'ssh gave no reason';
    return new GobootError(`The connection to ${describeTarget(failed)} failed: ${detail}`, {
      remedy: 'Try the same with ssh -v.',
    });
  }
  const remedy = typeof symptom.remedy === 'string' ? symptom.remedy : symptom.remedy(failed);
  return new GobootError(symptom.message(describeTarget(failed), describeTarget(next)), { remedy });
}

/** The next machine on the way to the host. */
function machineAfter(machine: SshTarget, environment: Environment): SshTarget {
  const jumps: SshTarget[] = jumpHosts(environment);
  return jumps[jumps.indexOf(machine) + 1] ?? environment.host;
}

function mentions(text: string, address: string): boolean {
  const literal = address.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`(?<![\\w.:-])${literal}(?![\\w-]|\\.\\w)`).test(text);
}
