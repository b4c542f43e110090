import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Names one process for good: its number is used again, its number and start time are not. */
export interface ProcessIdentity {
  pid: number;
  startTime: string;
  bootId: string;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Changes with every start of the computer. */
export function bootId(): string {
  return read('/proc/sys/kernel/random/boot_id').trim();
}

function startTime(pid: number): string {
  // The program's name, in brackets, may hold spaces; the fields after it are what can be split.
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? '' : (fields[19] ?? '');
}

export function identify(pid: number): ProcessIdentity {
  return { pid, startTime: startTime(pid), bootId: bootId() };
}

/** Whether that very process is still running. */
export function isAlive(process: ProcessIdentity): boolean {
  return (
    process.bootId === bootId() && process.startTime !== '' && startTime(process.pid) === process.startTime
  );
}

function processIds(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

/**
 * The processes of root that were started with exactly this argument. A machine is found by it without any
 * note of a process number, which a crash could have kept from being written.
 */
export function processesWithArgument(argument: string): number[] {
  return processIds().filter((pid) => {
    if (!read(`/proc/${pid}/cmdline`).split('\0').includes(argument)) return false;
    return /^Uid:\s+0\s/m.test(read(`/proc/${pid}/status`));
  });
}

function childrenByParent(): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (const pid of processIds()) {
    const parent = Number(/^PPid:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  return children;
}

/** The container's process number 1 below one of the given processes, as this computer numbers it. */
export function containerLeader(ancestors: number[]): number | undefined {
  const children = childrenByParent();
  const queue = [...ancestors];
  for (let pid = queue.shift(); pid !== undefined; pid = queue.shift()) {
    const numbers = /^NSpid:\s+(.+)$/m.exec(read(`/proc/${pid}/status`))?.[1]?.split(/\s+/) ?? [];
    if (numbers.length > 1 && numbers.at(-1) === '1') return pid;
    queue.push(...(children.get(pid) ?? []));
  }
  return undefined;
}

/** Sends a signal; a process that is already gone is fine. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Asks again and again until the answer is yes or the milliseconds are over; says which. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  milliseconds: number,
  signal?: AbortSignal,
): Promise<boolean> {
  const end = Date.now() + milliseconds;
  while (!(await condition())) {
    if (Date.now() > end || signal?.aborted) return false;
    await sleep(50);
  }
  return true;
}
