import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { execa } from 'execa';
import { GobootError } from '../errors.ts';
import { packageRoot, projectPaths } from '../paths.ts';

const callbackPlugins = join(packageRoot, 'lib', 'ansible', 'callback_plugins');
const progressDescriptor = 3;

export interface PlaybookOptions {
  projectRoot: string;
  environment: string;
  /** File name inside `.ansible`. */
  playbook: string;
  /** Values that win over those of the inventory. An index URL may hold a password, so none is put on a command line. */
  variables?: Record<string, unknown>;
  /** Replaces the ssh arguments of ansible.cfg. */
  sshArguments?: string;
  /** Called with the name of each task as it starts. */
  onTask?: (name: string) => void;
  /** Called with each message that the playbook has for whoever runs it. */
  onMessage?: (message: string) => void;
  /** Stops the playbook. */
  cancelSignal?: AbortSignal;
}

export interface PlaybookResult {
  tasks: number;
  changed: number;
  /** Lines that the release command printed, as JSON objects. */
  output: Record<string, unknown>[];
  logFile: string;
}

interface Failure {
  name: string;
  message: string;
  unreachable: boolean;
}

/**
 * Runs a playbook of a project with the project's own locked Ansible.
 *
 * The whole output goes to a log file in the project. Throws a GobootError that names the failed task, its message
 * and the log file.
 */
export async function runPlaybook(options: PlaybookOptions): Promise<PlaybookResult> {
  // mkdtemp lets nobody but its owner in.
  const directory = await mkdtemp(join(tmpdir(), 'goboot-'));
  try {
    const variablesFile = join(directory, 'variables.json');
    await writeFile(variablesFile, JSON.stringify(options.variables ?? {}), { mode: 0o600 });
    return await play(options, variablesFile);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function play(options: PlaybookOptions, variablesFile: string): Promise<PlaybookResult> {
  const directory = join(options.projectRoot, projectPaths.ansible);
  const timestamp = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  // Several environments may be worked on at once.
  const name = `${options.playbook.replace(/\.yml$/, '')}-${options.environment}-${timestamp}`;
  const logFile = join(directory, 'logs', `${name}.log`);
  await mkdir(dirname(logFile), { recursive: true });
  const log = createWriteStream(logFile, { mode: 0o600 });

  const subprocess = execa(
    'uv',
    [
      ...['run', '--quiet', '--only-group', 'ansible', 'ansible-playbook'],
      ...['--inventory', `inventory/${options.environment}`],
      ...['--extra-vars', `@${variablesFile}`],
      options.playbook,
    ],
    {
      cwd: directory,
      env: {
        ANSIBLE_CALLBACK_PLUGINS: callbackPlugins,
        ANSIBLE_CALLBACKS_ENABLED: 'goboot_progress',
        ANSIBLE_NOCOLOR: '1',
        GOBOOT_PROGRESS_FD: String(progressDescriptor),
        // Ansible refuses to start where the locale's encoding is not UTF-8.
        LC_ALL: 'C.UTF-8',
        ...(options.sshArguments && { ANSIBLE_SSH_ARGS: options.sshArguments }),
      },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      buffer: false,
      reject: false,
      ...(options.cancelSignal && { cancelSignal: options.cancelSignal, gracefulCancel: false }),
    },
  );
  subprocess.stdout?.pipe(log, { end: false });
  subprocess.stderr?.pipe(log, { end: false });

  const result: PlaybookResult = { tasks: 0, changed: 0, output: [], logFile };
  let failure: Failure | undefined;
  for await (const line of createInterface({ input: subprocess.stdio[progressDescriptor] as Readable })) {
    const event = JSON.parse(line);
    if (event.event === 'task') {
      result.tasks += 1;
      options.onTask?.(event.name);
    } else if (event.event === 'message') options.onMessage?.(event.message);
    else if (event.event === 'failed' || event.event === 'unreachable') {
      failure ??= { name: event.name, message: event.message, unreachable: event.event === 'unreachable' };
    } else if (event.event === 'output') result.output.push(...parseLines(event.lines));
    else if (event.event === 'stats') result.changed = event.changed;
  }
  const { exitCode, isCanceled } = await subprocess;
  await new Promise<void>((resolve) => log.end(resolve));
  if (exitCode === 0) return result;
  throw playbookError({ exitCode, isCanceled, failure, result, playbook: options.playbook });
}

function parseLines(lines: readonly string[]): Record<string, unknown>[] {
  return lines.flatMap((line) => {
    try {
      return [JSON.parse(line)];
    } catch {
      return [];
    }
  });
}

function playbookError(outcome: {
  exitCode: number | undefined;
  isCanceled: boolean;
  failure: Failure | undefined;
  result: PlaybookResult;
  playbook: string;
}): GobootError {
  const { failure, result, playbook } = outcome;
  const remedy = `The full log: ${result.logFile}`;
  if (outcome.isCanceled) return new GobootError(`${playbook} was stopped`, { remedy });
  if (!failure) {
    return new GobootError(`${playbook} could not run (exit status ${outcome.exitCode ?? 'unknown'})`, {
      remedy,
    });
  }
  if (failure.unreachable)
    return new GobootError(`The host cannot be reached: ${failure.message}`, { remedy });
  const said = result.output.findLast((event) => event.event === 'result')?.message;
  return new GobootError(`${failure.name} failed: ${said ?? failure.message}`, { remedy });
}
