/** Exit statuses of every goboot command. */
export const exitCodes = { done: 0, failed: 1, usage: 2, preflight: 3 } as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export interface GobootErrorOptions {
  /** Exit status of the command that fails with this error; 1 unless given. */
  exitCode?: ExitCode;
  /** The one thing that the user can do about it. */
  remedy?: string;
  cause?: unknown;
}

/**
 * The only error that leaves goboot: a message for people, what to do about it, and an exit status.
 *
 * `code` is numeric on purpose: `yo` passes it to `process.exit`, which crashes on the string codes
 * that Node's own errors carry.
 */
export class GobootError extends Error {
  readonly code: ExitCode;
  readonly remedy: string | undefined;

  constructor(message: string, options: GobootErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'GobootError';
    this.code = options.exitCode ?? exitCodes.failed;
    this.remedy = options.remedy;
  }
}

/** A GobootError for bad input or usage (exit status 2). */
export function usageError(message: string, remedy?: string): GobootError {
  return new GobootError(message, { exitCode: exitCodes.usage, ...(remedy && { remedy }) });
}

/** Turns whatever was thrown into a GobootError, keeping the original as its cause. */
export function toGobootError(error: unknown): GobootError {
  if (error instanceof GobootError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new GobootError(message, { cause: error });
}
