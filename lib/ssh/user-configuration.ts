import { existsSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import SSHConfig, { LineType } from 'ssh-config';
import { GobootError } from '../errors.ts';
import { run } from '../process.ts';
import type { SshTarget } from '../project.ts';
import { expandPath, quoted } from '../validate.ts';
import { readIfExists } from './known-hosts.ts';

/** What the user's own ssh configuration says of a machine; it need not say all. */
export interface ConfiguredHost {
  address: string;
  user?: string;
  port?: number;
  keyFile?: string;
  /** The machines to go through, the first one first. */
  jumps: SshTarget[];
  /** Whether a program of this computer makes the connection, which nobody else has. */
  proxyCommand: boolean;
}

/** A name that no configuration means. */
const nobody = 'goboot-asks.invalid';
/** More than anybody has; a configuration whose jump hosts lead to each other would never end. */
const maximalJumps = 8;

/** Runs OpenSSH, which alone knows what `Include`, `Match` and patterns mean. The file is for tests. */
async function askOpenSsh(args: readonly string[], file: string | undefined) {
  const { exitCode, stdout, stderr } = await run('ssh', [...(file ? ['-F', file] : []), ...args]);
  if (exitCode === 0) return { stdout, stderr };
  // The last line only says how many there were.
  const [reason = ''] = stderr.trim().split('\n');
  throw new GobootError(`ssh cannot read your configuration: ${reason}`, {
    remedy: 'Repair ~/.ssh/config; "ssh -G HOST" must print settings.',
  });
}

/**
 * The names that the user's ssh configuration has for machines, in its order, from all files that it includes. Patterns
 * are no names. Empty where ssh cannot read the configuration.
 */
export async function configuredHostNames(file?: string): Promise<string[]> {
  // What it includes and reads, OpenSSH tells best itself.
  const told = await askOpenSsh(['-v', '-G', nobody], file).catch(() => undefined);
  const files = [...(told?.stderr ?? '').matchAll(/Reading configuration data (.+?)\r?$/gm)].map(
    ([, path = '']) => path,
  );
  const texts = await Promise.all([...new Set(files)].map((path) => readIfExists(path).catch(() => '')));
  return [...new Set(texts.flatMap(namesIn))];
}

/** The names that the `Host` lines of a text have for machines; patterns are none. */
export function namesIn(configuration: string): string[] {
  return parse(configuration).flatMap((line) => {
    if (line.type !== LineType.DIRECTIVE || line.param.toLowerCase() !== 'host') return [];
    const values = typeof line.value === 'string' ? [line.value] : line.value.map(({ val }) => val);
    return values.filter((value) => !/[*?!]/.test(value));
  });
}

function parse(configuration: string): SSHConfig {
  try {
    return SSHConfig.parse(configuration);
  } catch {
    return new SSHConfig();
  }
}

/**
 * What the user's ssh configuration says of a name or address, as OpenSSH itself reads it.
 *
 * Throws a GobootError for a configuration that ssh refuses, and for jump hosts that lead in a circle.
 */
export async function configuredHost(name: string, file?: string): Promise<ConfiguredHost> {
  const { target, plain, ...way } = await lookUp(name, [], file, 0);
  const { address, user, port, keyFile } = target;
  return {
    address,
    ...(user !== plain.user && { user }),
    ...(port !== plain.port && { port }),
    ...(keyFile && { keyFile }),
    ...way,
  };
}

/** The same as a source of answers: undefined where ssh is missing or refuses the configuration, which goboot does not use. */
export async function lookUpHost(name: string): Promise<ConfiguredHost | undefined> {
  return configuredHost(name).catch(() => undefined);
}

interface Found extends Pick<ConfiguredHost, 'jumps' | 'proxyCommand'> {
  target: SshTarget;
  /** What ssh would take without a configuration. */
  plain: SshTarget;
}

async function lookUp(
  name: string,
  options: readonly string[],
  file: string | undefined,
  depth: number,
): Promise<Found> {
  if (depth > maximalJumps) {
    throw new GobootError(`The jump hosts of ${quoted(name)} in your ssh configuration lead in a circle`, {
      remedy: 'Repair ProxyJump in ~/.ssh/config.',
    });
  }
  const [settings, usual] = await Promise.all(
    [file, '/dev/null'].map(
      async (source) => new Settings((await askOpenSsh([...options, '-G', name], source)).stdout),
    ) as [Promise<Settings>, Promise<Settings>],
  );
  const command = settings.one('proxycommand');
  const target = targetIn(settings, name);
  const keyFile = chosenKeyFile(settings, usual, name, target);
  return {
    target: { ...target, ...(keyFile && { keyFile }) },
    plain: targetIn(usual, name),
    proxyCommand: command !== undefined && command !== 'none',
    jumps: await jumpsOf(settings.one('proxyjump'), file, depth),
  };
}

function targetIn(settings: Settings, name: string): SshTarget {
  return {
    address: settings.one('hostname') ?? name,
    user: settings.one('user') ?? userInfo().username,
    port: Number(settings.one('port') ?? 22),
  };
}

async function jumpsOf(
  proxyJump: string | undefined,
  file: string | undefined,
  depth: number,
): Promise<SshTarget[]> {
  if (!proxyJump || proxyJump === 'none') return [];
  const hops = await Promise.all(
    proxyJump.split(',').map((hop) => {
      const { user, host, port } = readHop(hop);
      const options = [...(user ? ['-l', user] : []), ...(port ? ['-p', port] : [])];
      return lookUp(host, options, file, depth + 1);
    }),
  );
  // OpenSSH heeds what the configuration says of the way to the first one; the others are reached from the one before.
  return [...(hops[0]?.jumps ?? []), ...hops.map(({ target }) => target)];
}

/** `[user@]host[:port]` or `ssh://…`, with IPv6 addresses in brackets, as ssh_config(5) has it. */
function readHop(hop: string): { user?: string; host: string; port?: string } {
  const found = hop
    .replace(/^ssh:\/\//, '')
    .match(/^(?:(.+)@)?(?:\[(.+)\]|([^:]+|[^:]*:.*:[^:]*))(?::(\d+))?$/);
  const [, user, bracketed, plain, port] = found ?? [];
  return { host: bracketed ?? plain ?? hop, ...(user && { user }), ...(port && { port }) };
}

/** The first key file that the configuration names and this computer has; none where ssh would try the usual ones. */
function chosenKeyFile(
  settings: Settings,
  usual: Settings,
  name: string,
  { address, user }: SshTarget,
): string | undefined {
  const files = settings.all('identityfile');
  if (files.join('\n') === usual.all('identityfile').join('\n')) return undefined;
  const tokens: Record<string, string> = {
    '%': '%',
    d: homedir(),
    h: address,
    n: name,
    r: user,
    u: userInfo().username,
  };
  // A public half says which key of the agent to take, which is of no use elsewhere.
  return files
    .filter((path) => !path.endsWith('.pub'))
    .map((path) => path.replaceAll(/%(.)/g, (all, token: string) => tokens[token] ?? all))
    .find((path) => existsSync(expandPath(path)));
}

/** What `ssh -G` prints: a setting and its value on each line. */
class Settings {
  readonly #lines: [string, string][];

  constructor(output: string) {
    this.#lines = output.split('\n').map((line) => {
      const [name = '', value = ''] = line.trim().split(/ (.*)/s, 2);
      return [name, value];
    });
  }

  all(name: string): string[] {
    return this.#lines.filter(([key]) => key === name).map(([, value]) => value);
  }

  one(name: string): string | undefined {
    return this.all(name)[0];
  }
}
