import { ExecaError, execa, type Options } from 'execa';
import { GobootError } from './errors.ts';

export interface RunOptions {
  cwd?: string;
  /** Added to the environment of this process. The right place for secrets, with `input`. */
  env?: Record<string, string>;
  /** Sent to standard input, which is otherwise closed. */
  input?: string | Uint8Array;
  /** In milliseconds; none unless given. */
  timeout?: number;
  /** What is thrown when it did not end in time; unless given, an error that names the program. */
  timeoutError?: () => GobootError;
  cancelSignal?: AbortSignal;
  /** Connects the command to the terminal, for programs that ask the user something. */
  interactive?: boolean;
}

export interface RunResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs a program without a shell and returns its output whatever its exit status is.
 *
 * Throws a GobootError when the program cannot be started or does not end within the timeout. The message
 * holds the program's name only: arguments, environment and input may be private.
 */
export async function run(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const execaOptions: Options = {
    ...(options.cwd && { cwd: options.cwd }),
    ...(options.env && { env: options.env }),
    ...(options.timeout && { timeout: options.timeout }),
    ...(options.cancelSignal && { cancelSignal: options.cancelSignal }),
    ...(options.interactive
      ? { stdio: 'inherit' as const }
      : options.input === undefined
        ? { stdin: 'ignore' as const }
        : { input: options.input }),
    maxBuffer: 64 * 1024 * 1024,
  };
  try {
    const result = await execa(file, args, execaOptions);
    return { exitCode: 0, stdout: String(result.stdout ?? ''), stderr: String(result.stderr ?? '') };
  } catch (error) {
    if (!(error instanceof ExecaError)) throw error;
    if (error.timedOut) {
      if (options.timeoutError) throw options.timeoutError();
      throw new GobootError(`${file} did not end within ${(options.timeout ?? 0) / 1000} seconds`);
    }
    if (error.code === 'ENOENT') {
      throw new GobootError(`${file} is not installed or not on the PATH`, { cause: error });
    }
    if (error.exitCode === undefined && error.signal === undefined) {
      throw new GobootError(`${file} could not be started (${error.code ?? 'unknown error'})`, {
        cause: error,
      });
    }
    return {
      exitCode: error.exitCode ?? 128,
      stdout: String(error.stdout ?? ''),
      stderr: String(error.stderr ?? ''),
    };
  }
}

/** Like `run`, but any exit status other than 0 throws a GobootError that quotes the last lines of stderr. */
export async function runOrThrow(
  file: string,
  args: readonly string[],
  options: RunOptions & { failure: string },
): Promise<RunResult> {
  const result = await run(file, args, options);
  if (result.exitCode === 0) return result;
  const detail = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-3).join('\n');
  throw new GobootError(`${options.failure}: ${detail || `exit status ${result.exitCode}`}`);
}
