import { usageError } from '../errors.ts';
import type { RehearsalSystem } from './operating-systems.ts';

/** Something that the user waits for, which starts and ends after a number of seconds, or should know of. */
export interface RehearsalProgress {
  message: string;
  status: 'started' | 'finished' | 'warning';
  /** Only when finished. */
  seconds?: number;
}

export interface StartHostParameters {
  name: string;
  os: RehearsalSystem;
  adminUser: string;
  /** One line of an authorized_keys file. */
  authorizedKey: string;
  /** Limit of the host's memory in MiB; none unless given. */
  memory?: number;
  keep: boolean;
}

/** A throwaway machine as the state directory describes it. */
export interface MachineDescription {
  name: string;
  kind: 'host' | 'acme';
  os: RehearsalSystem;
  address: string;
  adminUser: string;
  /** The public host keys, `ssh-ed25519 AAAA…` first. */
  hostKeys: string[];
  /** Stays when the program that started it ends. */
  keep: boolean;
  /** ISO 8601. */
  createdAt: string;
}

export interface ListedMachine extends MachineDescription {
  running: boolean;
  /** Left by a run that died, or by a computer that was restarted. */
  stale: boolean;
}

export interface ShellResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface AcmeDescription {
  name: string;
  address: string;
  /** PEM of the authority that signed the ACME server's own TLS certificate. */
  tlsAuthority: string;
}

/** What the helper does as root, by name: parameters and result. */
export interface HelperMethods {
  startHost: { parameters: StartHostParameters; result: MachineDescription };
  startAcme: { parameters: { name: string; os: RehearsalSystem; keep: boolean }; result: AcmeDescription };
  pointDomain: { parameters: { acme: string; domain: string; address: string }; result: null };
  shell: { parameters: { name: string; command: string; input?: string }; result: ShellResult };
  reboot: { parameters: { name: string }; result: null };
  kill: { parameters: { name: string }; result: null };
  boot: { parameters: { name: string }; result: null };
  setLink: { parameters: { name: string; up: boolean }; result: null };
  keep: { parameters: { name: string }; result: null };
  remove: { parameters: { name: string }; result: boolean };
  removeAll: { parameters: { images: boolean }; result: string[] };
  list: { parameters: Record<string, never>; result: ListedMachine[] };
}

export type HelperMethod = keyof HelperMethods;

export interface HelperRequest<Method extends HelperMethod = HelperMethod> {
  id: number;
  method: Method;
  parameters: HelperMethods[Method]['parameters'];
}

export type HelperMessage =
  | { type: 'ready' }
  | { type: 'result'; id: number; result: unknown }
  | { type: 'error'; id: number; message: string; remedy?: string }
  | { type: 'progress'; progress: RehearsalProgress }
  | { type: 'log'; text: string };

/** Port of SSH on a throwaway host. */
export const sshPort = 22;

/** Ports of the ACME server and of what tells it and its name server about the test. */
export const acmePorts = { directory: 14000, management: 15000, names: 8055 } as const;

/**
 * Throws a GobootError unless the value can name a throwaway machine. Names become host names, unit names and
 * directories, with root's rights and with the user's: both sides check them.
 */
export function checkMachineName(name: unknown): void {
  if (typeof name === 'string' && /^[a-z][a-z0-9-]{0,39}$/.test(name)) return;
  throw usageError(
    `"${name}" cannot be the name of a throwaway host`,
    'Use lower-case letters, digits and hyphens, at most 40, beginning with a letter.',
  );
}

/** Names of admin accounts: what Debian's `useradd` accepts, without the special endings. */
export const userNamePattern = /^[a-z_][a-z0-9_-]{0,30}$/;
