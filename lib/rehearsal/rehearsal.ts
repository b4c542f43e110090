import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { GobootError } from '../errors.ts';
import { runOrThrow } from '../process.ts';
import { connectHelper } from './helper-client.ts';
import type { RehearsalSystem } from './operating-systems.ts';
import {
  acmePorts,
  checkMachineName,
  type ListedMachine,
  type RehearsalProgress,
  type ShellResult,
  sshPort,
} from './protocol.ts';

export interface StartHostOptions {
  os: RehearsalSystem;
  /** Lower-case letters, digits and hyphens; also the host's own name. */
  name: string;
  /** The administrator's account; `root` is allowed. */
  adminUser: string;
  /** A line for authorized_keys; without it a key pair is made for this host. */
  authorizedKey?: string;
  /** Limit of the host's memory in MiB; none unless given. */
  memory?: number;
  /** The host stays when this program ends, until `remove`. */
  keep?: boolean;
}

/** A booted throwaway host. */
export interface RehearsalHost {
  name: string;
  address: string;
  port: number;
  user: string;
  /** The private key that `user` logs in with, unless the caller gave a public key of its own. */
  keyFile?: string;
  /** The host's entry for a known_hosts file, read from its disk and so known for sure. */
  knownHostsLine: string;
  /** Runs a command line as root on the host, without SSH. */
  rootShell(command: string, input?: string): Promise<ShellResult>;
  /** Shuts down in order and boots again. Returns when SSH answers. */
  reboot(): Promise<void>;
  /** Ends the host at once, as pulling its plug would; its name is taken until `stop`. */
  kill(): Promise<void>;
  /** Boots a killed host again with the same disk, without a limit of its memory. Returns when SSH answers. */
  boot(): Promise<void>;
  /** Cuts the host off from the network, or connects it again. */
  setNetwork(connected: boolean): Promise<void>;
  /** Lets the host stay when this program ends, until `remove`. */
  keep(): Promise<void>;
  /** Removes the host with everything that was made for it. */
  stop(): Promise<void>;
}

export interface StartAcmeOptions {
  /** Image to run it from; take a host's, and nothing needs to be built. */
  os: RehearsalSystem;
  /** `acme` unless given. */
  name?: string;
  /** ASCII domains and the addresses where the ACME server finds them. */
  domains: Record<string, string>;
  keep?: boolean;
}

/** A running ACME test server. */
export interface RehearsalAcme {
  directoryUrl: string;
  /** PEM file: the root of the certificates that it issues. */
  rootCertificatePath: string;
  /** PEM file: the authority that signed the server's own TLS certificate. */
  tlsAuthorityPath: string;
  /** Makes the server look for a domain at an address. */
  pointDomain(domain: string, address: string): Promise<void>;
  stop(): Promise<void>;
}

/** A session with the rights to make throwaway hosts. */
export interface Rehearsal {
  /** What the tools that run as root said. */
  logFile: string;
  startHost(options: StartHostOptions): Promise<RehearsalHost>;
  startAcme(options: StartAcmeOptions): Promise<RehearsalAcme>;
  list(): Promise<ListedMachine[]>;
  /** Removes a host by name, whoever started it; says whether there was one. */
  remove(name: string): Promise<boolean>;
  /** Removes all throwaway hosts of this computer, with the images on request; returns the hosts' names. */
  removeAll(options?: { images?: boolean }): Promise<string[]>;
  /** Removes what this session made and is not to be kept, and waits until it is gone. Safe to call twice. */
  close(): Promise<void>;
}

function userStateDirectory(): string {
  const base = process.env.XDG_STATE_HOME || join(homedir(), '.local/state');
  return join(base, 'goboot/rehearsal');
}

/** The files that the user's side keeps for a machine: keys, certificates. */
function userDirectory(name: string): string {
  checkMachineName(name);
  return join(userStateDirectory(), name);
}

/** Names the process that a directory belongs to as long as no machine stands for it. */
const ownerFile = 'owner';

/** Makes a machine's directory anew, for files that only this user may read. */
function makeUserDirectory(name: string): string {
  const directory = userDirectory(name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, ownerFile), String(process.pid));
  return directory;
}

function isProcessAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const keptLogs = 10;

/** Removes the directories of machines that are gone, of programs that could not do it, and old logs. */
function tidyUserState(machines: string[]): void {
  const base = userStateDirectory();
  const entries = existsSync(base) ? readdirSync(base, { withFileTypes: true }) : [];
  for (const entry of entries) {
    if (!entry.isDirectory() || machines.includes(entry.name)) continue;
    const file = join(base, entry.name, ownerFile);
    const owner = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
    if (!owner || !isProcessAlive(owner)) rmSync(join(base, entry.name), { recursive: true, force: true });
  }
  // Their names begin with the time.
  const logs = entries.map(({ name }) => name).filter((name) => name.endsWith('.log'));
  for (const name of logs.sort().slice(0, -keptLogs)) rmSync(join(base, name), { force: true });
}

async function makeKeyPair(name: string): Promise<{ keyFile: string; authorizedKey: string }> {
  const keyFile = join(makeUserDirectory(name), 'id_ed25519');
  await runOrThrow(
    'ssh-keygen',
    ['-q', '-t', 'ed25519', '-N', '', '-C', `rehearsal ${name}`, '-f', keyFile],
    { failure: 'Making the SSH key for the throwaway host failed' },
  );
  return { keyFile, authorizedKey: readFileSync(`${keyFile}.pub`, 'utf8').trim() };
}

async function download(url: string, authority: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(url, { ca: authority, timeout: 10_000 }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve(body));
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', reject);
  });
}

/**
 * Opens a session: gets root's rights (sudo may ask at the terminal) and removes what crashed runs left behind.
 *
 * Everything that the session makes is removed by `close`, and also when this program ends in any other way.
 * Throws a GobootError; call `checkRehearsal` first for the full list of what is missing.
 */
export async function openRehearsal(
  options: { onProgress?: (progress: RehearsalProgress) => void; logFile?: string } = {},
): Promise<Rehearsal> {
  const started = new Date().toISOString().replace(/[:.]/g, '-');
  const logFile = options.logFile ?? join(userStateDirectory(), `${started}-${process.pid}.log`);
  const helper = await connectHelper({ logFile, onProgress: options.onProgress ?? (() => {}) });
  tidyUserState((await helper.call('list', {})).map(({ name }) => name));
  /** Directories of this session on the user's side; those of kept machines are taken off. */
  const ownDirectories = new Set<string>();
  const forget = (name: string) => {
    rmSync(userDirectory(name), { recursive: true, force: true });
    ownDirectories.delete(name);
  };
  const remove = async (name: string) => {
    const existed = await helper.call('remove', { name });
    forget(name);
    return existed;
  };
  let closing: Promise<void> | undefined;

  /** Before the files of a running machine are overwritten here by those of a new one. */
  async function refuseTakenName(name: string): Promise<void> {
    const machines = await helper.call('list', {});
    if (machines.some((machine) => machine.name === name)) {
      throw new GobootError(`There is already a throwaway host named ${name}`, {
        remedy: 'Remove it first, or choose another name.',
      });
    }
  }

  async function startHost({ name, os, adminUser, memory, keep = false, authorizedKey }: StartHostOptions) {
    await refuseTakenName(name);
    const pair = authorizedKey ? { authorizedKey } : await makeKeyPair(name);
    ownDirectories.add(name);
    const host = await helper
      .call('startHost', { name, os, adminUser, keep, ...pair, ...(memory && { memory }) })
      .catch((error) => {
        forget(name);
        throw error;
      });
    if (keep) ownDirectories.delete(name);
    return {
      name,
      address: host.address,
      port: sshPort,
      user: adminUser,
      ...('keyFile' in pair && { keyFile: pair.keyFile }),
      knownHostsLine: `${host.address} ${host.hostKeys[0]}`,
      rootShell: (command: string, input?: string) =>
        helper.call('shell', { name, command, ...(input !== undefined && { input }) }),
      reboot: async () => void (await helper.call('reboot', { name })),
      kill: async () => void (await helper.call('kill', { name })),
      boot: async () => void (await helper.call('boot', { name })),
      setNetwork: async (connected: boolean) => void (await helper.call('setLink', { name, up: connected })),
      keep: async () => {
        await helper.call('keep', { name });
        ownDirectories.delete(name);
      },
      stop: async () => void (await remove(name)),
    };
  }

  async function startAcme({ os, name = 'acme', domains, keep = false }: StartAcmeOptions) {
    await refuseTakenName(name);
    const { address, tlsAuthority } = await helper.call('startAcme', { name, os, keep });
    ownDirectories.add(name);
    const pointDomain = async (domain: string, target: string) =>
      void (await helper.call('pointDomain', { acme: name, domain, address: target }));
    const directory = makeUserDirectory(name);
    const tlsAuthorityPath = join(directory, 'tls-authority.pem');
    const rootCertificatePath = join(directory, 'root-certificate.pem');
    try {
      for (const [domain, target] of Object.entries(domains)) await pointDomain(domain, target);
      writeFileSync(tlsAuthorityPath, tlsAuthority);
      const url = `https://${address}:${acmePorts.management}/roots/0`;
      const root = await download(url, tlsAuthority).catch((error) => {
        throw new GobootError(
          `The ACME test server's root certificate could not be read from ${url}: ${error.message}`,
          { cause: error },
        );
      });
      writeFileSync(rootCertificatePath, root);
    } catch (error) {
      await remove(name);
      throw error;
    }
    if (keep) ownDirectories.delete(name);
    return {
      directoryUrl: `https://${address}:${acmePorts.directory}/dir`,
      rootCertificatePath,
      tlsAuthorityPath,
      pointDomain,
      stop: async () => void (await remove(name)),
    };
  }

  return {
    logFile,
    startHost,
    startAcme,
    list: () => helper.call('list', {}),
    remove,
    async removeAll({ images = false } = {}) {
      const names = await helper.call('removeAll', { images });
      for (const name of names) forget(name);
      return names;
    },
    close() {
      closing ??= helper.close().then(() => {
        for (const name of ownDirectories) forget(name);
      });
      return closing;
    },
  };
}
