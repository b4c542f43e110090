import { execa } from 'execa';
import { GobootError } from '../../errors.ts';

/** What a step of the root helper reports to. */
export interface StepContext {
  log(text: string): void;
  warn(message: string): void;
  progress<Result>(message: string, step: () => Promise<Result>): Promise<Result>;
  /** Ends long commands when the user's program is gone. */
  signal: AbortSignal;
}

/**
 * Runs a program as root, writes what it said to the log and returns its output.
 *
 * Throws a GobootError that starts with `failure` and ends with what the program said about it.
 */
export async function command(
  context: Pick<StepContext, 'log'>,
  failure: string,
  [file = '', ...args]: string[],
  options: { input?: string; signal?: AbortSignal; env?: Record<string, string> } = {},
): Promise<string> {
  const result = await execa(file, args, {
    reject: false,
    all: true,
    maxBuffer: 64 * 1024 * 1024,
    ...(options.env && { env: options.env }),
    ...(options.input === undefined ? { stdin: 'ignore' } : { input: options.input }),
    ...(options.signal && { cancelSignal: options.signal, forceKillAfterDelay: 2000 }),
  });
  const output = String(result.all ?? '');
  context.log(`+ ${[file, ...args].join(' ')}\n${output}${output && '\n'}`);
  if (result.isCanceled) throw new GobootError(`${failure}: interrupted`);
  if (result.failed) throw new GobootError(`${failure}: ${reason(output) || result.shortMessage}`);
  return String(result.stdout ?? '');
}

/** Programs that run others end with a pile of consequences; the line that says `E:` first is the cause. */
function reason(output: string): string {
  const [cause] = output.match(/^E: .+/m) ?? [];
  return cause ?? lastLines(output, 3);
}

/** The last lines of a program's output, which is where programs say why they gave up. */
export function lastLines(output: string, count = 6): string {
  return output.trim().split('\n').slice(-count).join('\n').trim();
}
