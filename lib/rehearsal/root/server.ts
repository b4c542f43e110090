import { createInterface } from 'node:readline';
import { GobootError, toGobootError } from '../../errors.ts';
import { rehearsalSystemNames } from '../operating-systems.ts';
import {
  checkMachineName,
  type HelperMessage,
  type HelperMethod,
  type HelperMethods,
  type HelperRequest,
  userNamePattern,
} from '../protocol.ts';
import { pointDomain, startAcme } from './acme.ts';
import type { StepContext } from './commands.ts';
import { removeUnusedImages } from './image.ts';
import { withLock } from './lock.ts';
import {
  boot,
  killMachine,
  reboot,
  removeMachines,
  removeStaleMachines,
  setLink,
  shell,
  startHost,
} from './machine.ts';
import { rootPaths } from './paths.ts';
import { isRunning, isStale, machineNames, readMachine, writeMachine } from './state.ts';

function send(message: HelperMessage): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

const interruption = new AbortController();

const context: StepContext = {
  signal: interruption.signal,
  log: (text) => send({ type: 'log', text }),
  warn: (message) => send({ type: 'progress', progress: { message, status: 'warning' } }),
  async progress(message, step) {
    const start = performance.now();
    send({ type: 'progress', progress: { message, status: 'started' } });
    const result = await step();
    const seconds = Math.round(performance.now() - start) / 1000;
    send({ type: 'progress', progress: { message, status: 'finished', seconds } });
    return result;
  },
};

/** What this process made and has to take away again when it ends. */
function ownMachines(): string[] {
  return machineNames().filter((name) => {
    const state = readMachine(name);
    return state?.owner.pid === process.pid && !state.keep;
  });
}

/** The helper has root's rights: whatever it builds paths and commands from is checked here, once. */
function checkParameters(parameters: Record<string, unknown>): void {
  for (const name of [parameters.name, parameters.acme]) {
    if (name !== undefined) checkMachineName(name);
  }
  const { os, adminUser, authorizedKey, memory, domain } = parameters;
  if (os !== undefined && !rehearsalSystemNames.some((name) => name === os)) {
    throw new GobootError(`"${os}" is not a system that can be rehearsed on`, {
      remedy: `Choose one of: ${rehearsalSystemNames.join(', ')}.`,
    });
  }
  if (adminUser !== undefined && !userNamePattern.test(String(adminUser))) {
    throw new GobootError(`"${adminUser}" cannot be the name of a user`);
  }
  if (authorizedKey !== undefined && !/^(ssh|ecdsa|sk)-\S+ \S+[^\n]*$/.test(String(authorizedKey).trim())) {
    throw new GobootError('The public key for the throwaway host is not an SSH public key');
  }
  if (memory !== undefined && !(Number.isInteger(memory) && Number(memory) >= 128)) {
    throw new GobootError(`${memory} MiB is no memory limit that a host can boot with`, {
      remedy: 'Use a whole number of at least 128.',
    });
  }
  if (domain !== undefined && !/^[a-z0-9.-]{1,253}$/i.test(String(domain))) {
    throw new GobootError(`"${domain}" is not a domain name`);
  }
}

type Handlers = {
  [Method in HelperMethod]: (
    parameters: HelperMethods[Method]['parameters'],
  ) => Promise<HelperMethods[Method]['result']>;
};

const handlers: Handlers = {
  startHost: (parameters) => startHost(context, parameters),
  startAcme: (parameters) => startAcme(context, parameters),
  pointDomain: ({ acme, domain, address }) => pointDomain(acme, domain, address).then(() => null),
  shell: ({ name, command, input }) => shell(name, command, input),
  reboot: ({ name }) => reboot(context, name).then(() => null),
  kill: ({ name }) => killMachine(context, name).then(() => null),
  boot: ({ name }) => boot(context, name).then(() => null),
  setLink: ({ name, up }) => setLink(context, name, up).then(() => null),
  async keep({ name }) {
    const state = readMachine(name);
    if (!state) throw new GobootError(`There is no throwaway host named ${name}`);
    writeMachine({ ...state, keep: true });
    return null;
  },
  async remove({ name }) {
    const existed = machineNames().includes(name);
    await removeMachines(context, [name]);
    return existed;
  },
  async removeAll({ images }) {
    const names = machineNames();
    await removeMachines(context, names);
    if (images) await withLock(rootPaths.lock, () => removeUnusedImages(context));
    return names;
  },
  async list() {
    return machineNames().flatMap((name) => {
      const state = readMachine(name);
      return state ? [{ ...state, running: isRunning(name), stale: isStale(name) }] : [];
    });
  },
};

async function answer(line: string): Promise<void> {
  const { id, method, parameters } = JSON.parse(line) as HelperRequest;
  try {
    checkParameters(parameters as Record<string, unknown>);
    const handler = handlers[method] as (parameters: unknown) => Promise<unknown>;
    send({ type: 'result', id, result: await handler(parameters) });
  } catch (error) {
    const { message, remedy } = toGobootError(error);
    send({ type: 'error', id, message, ...(remedy && { remedy }) });
  }
}

/**
 * Serves requests from standard input until it closes, which is how the death of the user's program shows, or
 * until a signal says so; then everything that was made here and is not to be kept is removed.
 */
export async function serve(): Promise<void> {
  // Nobody may be listening any more while the machines are taken down.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  process.umask(0o022);
  const lines = createInterface({ input: process.stdin });
  const running = new Set<Promise<void>>();
  await removeStaleMachines(context);
  send({ type: 'ready' });
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
    lines.on('close', resolve);
    lines.on('line', (line) => {
      const task = answer(line).finally(() => running.delete(task));
      running.add(task);
    });
  });
  interruption.abort();
  await Promise.all(running);
  await removeMachines(context, ownMachines());
}

/** Removes what a helper that was killed has left behind. */
export async function sweep(): Promise<void> {
  process.stdout.on('error', () => {});
  await removeStaleMachines(context);
}
