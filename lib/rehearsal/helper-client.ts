import { appendFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { execa } from 'execa';
import { GobootError } from '../errors.ts';
import { run } from '../process.ts';
import type { HelperMessage, HelperMethod, HelperMethods, RehearsalProgress } from './protocol.ts';

/** How the helper is started: with the sources' loader when this module itself runs from the sources. */
function helperCommand(): string[] {
  const extension = extname(import.meta.filename);
  const helper = join(import.meta.dirname, `root-helper${extension}`);
  if (extension === '.js') return [process.execPath, helper];
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return [process.execPath, '--import', loader, helper];
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Whether sudo would run a command now without asking. */
export async function sudoIsReady(): Promise<boolean> {
  const result = await run('sudo', ['-n', 'true']).catch(() => undefined);
  return result?.exitCode === 0;
}

/** Connection to the helper that has root's rights. It cleans up when the connection ends, however it ends. */
export interface HelperClient {
  call<Method extends HelperMethod>(
    method: Method,
    parameters: HelperMethods[Method]['parameters'],
  ): Promise<HelperMethods[Method]['result']>;
  /** Ends the helper and waits until it has removed everything that is not to be kept. */
  close(): Promise<void>;
}

/**
 * Starts the helper, by sudo unless this process is root's, and waits until it has removed what crashed runs
 * left behind. Asks for sudo's password at the terminal when needed.
 *
 * Throws a GobootError when root's rights cannot be had.
 */
export async function connectHelper(options: {
  logFile: string;
  onProgress: (progress: RehearsalProgress) => void;
}): Promise<HelperClient> {
  const { logFile, onProgress } = options;
  if (!isRoot() && !(await sudoIsReady())) {
    const asked = process.stdin.isTTY
      ? await run('sudo', ['-v'], { interactive: true }).catch(() => undefined)
      : undefined;
    if (asked?.exitCode !== 0) {
      throw new GobootError('A rehearsal boots a container, which takes the rights of root', {
        remedy: 'Run it at a terminal as a user who may use sudo, or run "sudo -v" just before.',
      });
    }
  }
  mkdirSync(dirname(logFile), { recursive: true });
  const [file = '', ...args] = [...(isRoot() ? [] : ['sudo', '-n', '--']), ...helperCommand()];
  const helper = execa(file, args, {
    reject: false,
    buffer: false,
    // Ctrl-C reaches the whole group of the terminal; the helper must outlive this process to clean up.
    cleanup: false,
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const calls = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  let lastId = 0;
  let complaints = '';
  let running = true;
  helper.stdin.on('error', () => {});
  helper.stderr.on('data', (data) => {
    complaints += data;
    appendFileSync(logFile, data);
  });
  const ended = helper.then((result) => {
    running = false;
    // Whoever of the helper's processes is left takes this as the sign to clean up.
    helper.stdin.destroy();
    const detail = complaints.trim().split('\n').slice(-3).join('\n') || result.shortMessage || '';
    const error = new GobootError(`The rehearsal's root helper ended early. ${detail}`.trim(), {
      remedy: `See ${logFile}.`,
    });
    for (const call of calls.values()) call.reject(error);
    calls.clear();
    return error;
  });
  const ready = new Promise<void>((resolve) => {
    createInterface({ input: helper.stdout }).on('line', (line) => {
      const message = JSON.parse(line) as HelperMessage;
      if (message.type === 'ready') resolve();
      else if (message.type === 'log') appendFileSync(logFile, message.text);
      else if (message.type === 'progress') onProgress(message.progress);
      else {
        const call = calls.get(message.id);
        calls.delete(message.id);
        if (message.type === 'result') call?.resolve(message.result);
        else {
          appendFileSync(logFile, `${message.message}\n`);
          call?.reject(new GobootError(message.message, { remedy: message.remedy ?? `See ${logFile}.` }));
        }
      }
    });
  });
  const failure = await Promise.race([ready, ended]);
  if (failure) throw failure;
  return {
    call(method, parameters) {
      return new Promise((resolve, reject) => {
        if (!running || !helper.stdin.writable) {
          reject(new GobootError("The rehearsal's root helper is gone", { remedy: `See ${logFile}.` }));
          return;
        }
        const id = ++lastId;
        calls.set(id, { resolve: resolve as (result: unknown) => void, reject });
        helper.stdin.write(`${JSON.stringify({ id, method, parameters })}\n`);
      });
    },
    async close() {
      helper.stdin.end();
      await ended;
    },
  };
}
