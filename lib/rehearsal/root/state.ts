import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { MachineDescription } from '../protocol.ts';
import { machinePaths, rootPaths } from './paths.ts';
import { bootId, isAlive, type ProcessIdentity, processesWithArgument } from './processes.ts';

/** A machine as it is written down before anything of it is made. */
export interface MachineState extends MachineDescription {
  owner: ProcessIdentity;
  image: string;
}

/** What the shared network changed on this computer, written down before it is changed. */
export interface NetworkState {
  bootId: string;
  subnet: string;
  /** Content of /proc/sys/net/ipv4/ip_forward before the first machine. */
  previousForwarding: string;
  /** Whether accepting rules were put into a forwarding chain of this computer's firewall. */
  firewallRules: boolean;
}

/** Writes a file so that a crash leaves the old content or the new one, never a half. */
export function writeJson(file: string, content: unknown): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
  const temporary = `${file}.new`;
  writeFileSync(temporary, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o644 });
  renameSync(temporary, file);
}

/** Reads a file that `writeJson` wrote; nothing when it is missing or not JSON. */
export function readJson<Content>(file: string): Content | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Content;
  } catch {
    return undefined;
  }
}

/** Names of the machines that have a directory, complete or not. */
export function machineNames(): string[] {
  try {
    return readdirSync(rootPaths.machines);
  } catch {
    return [];
  }
}

export function readMachine(name: string): MachineState | undefined {
  return readJson<MachineState>(machinePaths(name).description);
}

export function writeMachine(state: MachineState): void {
  writeJson(machinePaths(state.name).description, state);
}

/** The argument that every process which holds a machine was started with. */
export function machineArgument(name: string): string {
  return `--directory=${machinePaths(name).root}`;
}

export function isRunning(name: string): boolean {
  return processesWithArgument(machineArgument(name)).length > 0;
}

/**
 * Whether nothing needs this machine any more: the computer was restarted since, or the program that owned it is
 * gone and it was not to be kept, or it was to be kept but is not running.
 */
export function isStale(name: string): boolean {
  const state = readMachine(name);
  if (!state || state.owner.bootId !== bootId()) return true;
  if (isAlive(state.owner)) return false;
  return !state.keep || !isRunning(name);
}
