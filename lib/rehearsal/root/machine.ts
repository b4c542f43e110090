import { spawn } from 'node:child_process';
import { appendFileSync, chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { GobootError } from '../../errors.ts';
import type { MachineDescription, ShellResult, StartHostParameters } from '../protocol.ts';
import { sshPort } from '../protocol.ts';
import { hostFiles } from '../recipe.ts';
import { freeAddress, gatewayAddress } from '../subnet.ts';
import { hasSystemd, makeControlGroups, removeControlGroups } from './cgroup.ts';
import { command, lastLines, type StepContext } from './commands.ts';
import { ensureImage, removeAbandonedBuilds, removeTree, writeFiles } from './image.ts';
import { withLock } from './lock.ts';
import { bridge, ensureNetwork, nameServers, removeUnusedNetwork } from './network.ts';
import { machinePaths, rootPaths } from './paths.ts';
import { containerLeader, identify, processesWithArgument, signalProcess, waitUntil } from './processes.ts';
import {
  isRunning,
  isStale,
  type MachineState,
  machineArgument,
  machineNames,
  readMachine,
  writeMachine,
} from './state.ts';

const bootTimeout = 90_000;
const stopTimeout = 15_000;
/** What a container's system returns to ask for a reboot, when nspawn was told not to do it itself. */
const rebootStatus = 133;

function unitName(name: string): string {
  return `goboot-rehearsal-${name}.service`;
}

/** Root file systems that are mounted for a machine, the innermost first. */
function mountsBelow(directory: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((mountPoint) => mountPoint === directory || mountPoint.startsWith(`${directory}/`))
    .reverse();
}

/** Process number, on this computer, of the machine's own process number 1. */
export function leaderOf(name: string): number {
  const leader = containerLeader(processesWithArgument(machineArgument(name)));
  if (leader === undefined) throw new GobootError(`The throwaway host ${name} is not running`);
  return leader;
}

/**
 * Reserves a name and an address, makes the shared network and lays a throwaway layer over the image. The
 * description is on disk before anything else is, so that whatever happens next can be undone.
 */
export async function createMachine(
  context: StepContext,
  description: Omit<MachineDescription, 'address' | 'hostKeys' | 'createdAt'>,
): Promise<{ state: MachineState; gateway: string }> {
  const image = await ensureImage(context, description.os);
  return withLock(rootPaths.lock, async () => {
    const { name } = description;
    if (isExisting(name)) {
      throw new GobootError(`There is already a throwaway host named ${name}`, {
        remedy: 'Remove it first, or choose another name.',
      });
    }
    const paths = machinePaths(name);
    const state: MachineState = {
      ...description,
      // Kept only once it runs: a machine that never came up is of no use to anybody.
      keep: false,
      address: '',
      hostKeys: [],
      createdAt: new Date().toISOString(),
      owner: identify(process.pid),
      image,
    };
    writeMachine(state);
    const subnet = await ensureNetwork(context);
    const used = machineNames().map((other) => readMachine(other)?.address ?? '');
    const address = freeAddress(subnet, used);
    if (!address) throw new GobootError(`The network ${subnet} has no free address for ${name}`);
    state.address = address;
    writeMachine(state);
    for (const directory of [paths.root, paths.changes, paths.work])
      mkdirSync(directory, { recursive: true });
    const layers = `lowerdir=${image},upperdir=${paths.changes},workdir=${paths.work}`;
    await command(context, `Laying a throwaway file system over the image failed`, [
      ...['mount', '-t', 'overlay', 'overlay', '-o', layers, paths.root],
    ]);
    return { state, gateway: gatewayAddress(subnet) };
  });
}

function isExisting(name: string): boolean {
  return existsSync(machinePaths(name).directory);
}

/** Starts the container of a prepared machine; it outlives this program. */
export async function launch(
  context: StepContext,
  name: string,
  options: { memory?: number | undefined; program?: string[] },
): Promise<void> {
  const paths = machinePaths(name);
  const nspawn = [
    'systemd-nspawn',
    '--quiet',
    '--register=no',
    '--keep-unit',
    `--machine=goboot-${name}`,
    `--hostname=${name}`,
    machineArgument(name),
    `--network-bridge=${bridge}`,
    '--resolv-conf=off',
    '--timezone=off',
    '--link-journal=no',
    '--console=pipe',
    ...(options.program ? ['--as-pid2', '--', ...options.program] : ['--boot']),
  ];
  // nspawn's own /tmp has a size limit that no server has.
  const environment = { SYSTEMD_NSPAWN_TMPFS_TMP: '0' };
  if (hasSystemd()) {
    await command(context, `Starting the throwaway host ${name} failed`, [
      'systemd-run',
      '--quiet',
      '--collect',
      `--unit=${unitName(name)}`,
      `--description=Throwaway host ${name}`,
      '--slice=machine.slice',
      '--property=Delegate=yes',
      '--property=KillMode=mixed',
      '--property=OOMPolicy=continue',
      `--property=RestartForceExitStatus=${rebootStatus}`,
      `--property=SuccessExitStatus=${rebootStatus}`,
      `--property=StandardOutput=append:${paths.console}`,
      `--property=StandardError=append:${paths.console}`,
      ...(options.memory ? [`--property=MemoryMax=${options.memory}M`] : []),
      ...Object.entries(environment).map(([key, value]) => `--setenv=${key}=${value}`),
      '--',
      ...nspawn,
    ]);
    return;
  }
  // The inner shell enters the control groups and becomes nspawn; the outer one starts it again on a reboot.
  const enter = makeControlGroups(name, options.memory)
    .map((file) => `echo $$ > '${file}'`)
    .join(' && ');
  const script = `while :; do sh -c "$0" "$@"; [ $? = ${rebootStatus} ] || exit 1; done`;
  const console = openSync(paths.console, 'a');
  try {
    // Node's own spawn: execa ties a child's output to this process, and this child stays longer.
    spawn('sh', ['-c', script, `${enter} && exec "$0" "$@"`, ...nspawn], {
      detached: true,
      stdio: ['ignore', console, console],
      env: { ...process.env, ...environment },
    }).unref();
  } finally {
    closeSync(console);
  }
}

/** Ends a machine's processes at once, as pulling the plug would. */
export async function killMachine(context: Pick<StepContext, 'log'>, name: string): Promise<void> {
  const argument = machineArgument(name);
  const holders = processesWithArgument(argument);
  const leader = containerLeader(holders);
  // The restarting shell must not see the end of the container; nspawn should, to clean up after itself.
  for (const pid of holders.filter(isShell)) signalProcess(pid, 'SIGKILL');
  if (leader !== undefined) signalProcess(leader, 'SIGKILL');
  if (leader === undefined || !(await waitUntil(() => !isRunning(name), 5000))) {
    for (const pid of processesWithArgument(argument)) signalProcess(pid, 'SIGKILL');
    await waitUntil(() => !isRunning(name), stopTimeout);
  }
  if (hasSystemd()) await execa('systemctl', ['stop', unitName(name)], { reject: false });
  context.log(`${name}: ${isRunning(name) ? 'still running' : 'ended'}\n`);
}

function isShell(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'sh';
  } catch {
    return false;
  }
}

/**
 * Takes a machine down and removes every trace of it, whatever state it is in. Call it under the lock.
 *
 * Throws a GobootError when something cannot be removed; the description stays then, for another try.
 */
export async function destroyMachine(context: Pick<StepContext, 'log'>, name: string): Promise<void> {
  const paths = machinePaths(name);
  await killMachine(context, name);
  for (const mountPoint of mountsBelow(paths.directory)) {
    await command(context, `Unmounting ${mountPoint} failed`, ['umount', mountPoint]).catch(async () => {
      // Somebody's shell may stand in it; detached, it goes when the last user does.
      await command(context, `Unmounting ${mountPoint} failed`, ['umount', '--lazy', mountPoint]);
    });
  }
  if (!hasSystemd()) await waitUntil(() => tryRemoveControlGroups(name), 2000);
  // The description goes last: what is left without it could not be found again.
  for (const part of [paths.root, paths.changes, paths.work, paths.directory])
    await removeTree(context, part);
}

function tryRemoveControlGroups(name: string): boolean {
  try {
    removeControlGroups(name);
    return true;
  } catch (error) {
    // The kernel lets go of a group a moment after its last process.
    if ((error as NodeJS.ErrnoException).code === 'EBUSY') return false;
    throw error;
  }
}

/** Removes what earlier runs left behind. */
export async function removeStaleMachines(context: Pick<StepContext, 'log'>): Promise<void> {
  await withLock(rootPaths.lock, async () => {
    const stale = machineNames().filter(isStale);
    for (const name of stale) await destroyMachine(context, name);
    await removeUnusedNetwork(context);
    await removeAbandonedBuilds(context);
  });
}

/** Removes machines, and the network with the last one. */
export async function removeMachines(context: Pick<StepContext, 'log'>, names: string[]): Promise<void> {
  await withLock(rootPaths.lock, async () => {
    const problems: unknown[] = [];
    for (const name of names.filter(isExisting)) {
      await destroyMachine(context, name).catch((error) => problems.push(error));
    }
    await removeUnusedNetwork(context).catch((error) => problems.push(error));
    if (problems.length > 0) throw problems[0];
  });
}

async function answers(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: address, port, timeout: 1000 });
    const finish = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('data', () => finish(true));
    for (const event of ['error', 'timeout', 'end']) socket.once(event, () => finish(false));
  });
}

/** Waits until a host has booted and its SSH server greets. */
async function waitForBoot(context: StepContext, { name, address }: MachineState): Promise<void> {
  const started = await waitUntil(() => isRunning(name), 5000, context.signal);
  const up =
    started &&
    (await waitUntil(
      async () => !isRunning(name) || (await answers(address, sshPort)),
      bootTimeout,
      context.signal,
    )) &&
    isRunning(name);
  if (context.signal.aborted) throw new GobootError(`Booting the throwaway host ${name} failed: interrupted`);
  const said = () => lastLines(readFileSync(machinePaths(name).console, { encoding: 'utf8', flag: 'a+' }));
  if (!up) {
    throw new GobootError(
      `Booting the throwaway host ${name} failed: ${isRunning(name) ? `no answer on port ${sshPort} of ${address} within ${bootTimeout / 1000} seconds` : 'the container ended'}\n${said()}`,
    );
  }
  const { stdout } = await shell(name, 'timeout 60 systemctl is-system-running --wait');
  if (stdout.trim() !== 'running') {
    // Not all that a server starts can start in a container on every computer; the rest may serve all the same.
    const failed = await shell(name, 'systemctl --failed --plain --no-legend --full');
    const units = failed.stdout.match(/^\S+/gm)?.join(', ');
    context.warn(`The throwaway host ${name} is "${stdout.trim()}"${units ? `: ${units} failed` : ''}`);
  }
}

/** Runs a command line as root inside a machine. */
export async function shell(name: string, commandLine: string, input?: string): Promise<ShellResult> {
  const inside = ['/usr/bin/env', '-i', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];
  const result = await execa(
    'nsenter',
    [
      `--target=${leaderOf(name)}`,
      ...['--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup', '--root', '--wd'],
      ...[...inside, 'HOME=/root', 'LANG=C.UTF-8', '/bin/sh', '-c', commandLine],
    ],
    {
      reject: false,
      maxBuffer: 64 * 1024 * 1024,
      stripFinalNewline: false,
      ...(input === undefined ? { stdin: 'ignore' as const } : { input }),
    },
  );
  return { exitCode: result.exitCode ?? 128, stdout: result.stdout ?? '', stderr: result.stderr ?? '' };
}

async function addAdministrator(
  context: StepContext,
  root: string,
  { adminUser, authorizedKey }: StartHostParameters,
): Promise<void> {
  const failure = `Adding the user ${adminUser} to the throwaway host failed`;
  const home = adminUser === 'root' ? '/root' : `/home/${adminUser}`;
  if (adminUser !== 'root') {
    await command(context, failure, [
      ...['chroot', root, 'useradd', '--create-home', '--shell', '/bin/bash', '--groups', 'sudo', adminUser],
    ]);
  }
  const directory = join(root, home, '.ssh');
  mkdirSync(directory, { mode: 0o700 });
  appendFileSync(join(directory, 'authorized_keys'), `${authorizedKey.trim()}\n`, { mode: 0o600 });
  chmodSync(directory, 0o700);
  await command(context, failure, ['chroot', root, 'chown', '-R', `${adminUser}:`, `${home}/.ssh`]);
}

async function makeHostKeys(context: StepContext, root: string): Promise<string[]> {
  await command(context, "Making the throwaway host's SSH keys failed", ['chroot', root, 'ssh-keygen', '-A']);
  return ['ed25519', 'ecdsa', 'rsa'].map((type) =>
    readFileSync(join(root, `etc/ssh/ssh_host_${type}_key.pub`), 'utf8')
      .split(' ')
      .slice(0, 2)
      .join(' ')
      .trim(),
  );
}

/** Makes and boots a throwaway host; when it fails, nothing of it is left. */
export async function startHost(
  context: StepContext,
  parameters: StartHostParameters,
): Promise<MachineDescription> {
  const { name, os, adminUser, keep } = parameters;
  return undoing(context, name, async (created) => {
    const { state, gateway } = await createMachine(context, { name, os, adminUser, kind: 'host', keep });
    created();
    await context.progress(`Booting the throwaway host ${name} (${state.address})`, async () => {
      const { root } = machinePaths(name);
      const servers = nameServers();
      if (servers.length === 0) {
        throw new GobootError('The throwaway host would have no name server that it can reach', {
          remedy:
            "Every name server in this computer's /etc/resolv.conf is on this computer; name one in the network.",
        });
      }
      const { address } = state;
      writeFiles(root, hostFiles({ name, address, gateway, nameServers: servers, adminUser }));
      await addAdministrator(context, root, parameters);
      state.hostKeys = await makeHostKeys(context, root);
      await launch(context, name, { memory: parameters.memory });
      await waitForBoot(context, state);
    });
    state.keep = keep;
    writeMachine(state);
    return state;
  });
}

/** Runs the making of a machine and removes it again when that fails after it was created. */
export async function undoing<Result>(
  context: StepContext,
  name: string,
  make: (created: () => void) => Promise<Result>,
): Promise<Result> {
  let created = false;
  const before = isExisting(name);
  try {
    return await make(() => {
      created = true;
    });
  } catch (error) {
    // The first steps may fail half-way; a machine that was there before is somebody else's.
    if (created || (!before && ownsMachine(name))) await removeMachines(context, [name]);
    throw error;
  }
}

function ownsMachine(name: string): boolean {
  return readMachine(name)?.owner.pid === process.pid;
}

/** Shuts a host down in order and boots it again with the same disk. */
export async function reboot(context: StepContext, name: string): Promise<void> {
  const state = readMachine(name);
  if (!state) throw new GobootError(`There is no throwaway host named ${name}`);
  await context.progress(`Rebooting the throwaway host ${name}`, async () => {
    const before = leaderOf(name);
    await shell(name, 'systemctl reboot');
    const gone = await waitUntil(
      () => containerLeader(processesWithArgument(machineArgument(name))) !== before,
      bootTimeout,
      context.signal,
    );
    if (!gone) throw new GobootError(`The throwaway host ${name} did not shut down`);
    await sleep(200);
    await waitForBoot(context, state);
  });
}

/** Boots a host that was killed, with the disk that it had. */
export async function boot(context: StepContext, name: string): Promise<void> {
  const state = readMachine(name);
  if (!state) throw new GobootError(`There is no throwaway host named ${name}`);
  if (isRunning(name)) throw new GobootError(`The throwaway host ${name} runs already`);
  await context.progress(`Booting the throwaway host ${name} again`, async () => {
    await launch(context, name, {});
    await waitForBoot(context, state);
  });
}

/** Cuts a machine off from the network, or connects it again. */
export async function setLink(context: StepContext, name: string, up: boolean): Promise<void> {
  const failure = `Switching the network of the throwaway host ${name} failed`;
  const inside = await command(context, failure, [
    ...['nsenter', `--target=${leaderOf(name)}`, '--net', 'ip', '-json', 'link', 'show', 'host0'],
  ]);
  const [link] = JSON.parse(inside) as { link_index: number }[];
  const outside = await command(context, failure, ['ip', '-json', 'link', 'show', 'master', bridge]);
  const port = (JSON.parse(outside) as { ifindex: number; ifname: string }[]).find(
    ({ ifindex }) => ifindex === link?.link_index,
  );
  if (!port) throw new GobootError(`${failure}: its port on ${bridge} was not found`);
  await command(context, failure, ['ip', 'link', 'set', port.ifname, up ? 'up' : 'down']);
}
