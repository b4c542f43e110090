import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { execa } from 'execa';
import { GobootError } from '../../errors.ts';

interface LockOptions {
  /** Gives up at once when somebody else holds the lock. */
  wait?: boolean;
  /** Gives up waiting. */
  signal?: AbortSignal;
}

/**
 * Runs `task` while holding an exclusive lock of the kernel on a file, so that a holder that dies, however,
 * never leaves the lock behind. Node has no flock(2); the program of that name holds it as long as its input
 * is open, and the input closes with this process.
 *
 * Throws a GobootError when the lock is not to be had.
 */
export async function withLock<Result>(
  file: string,
  task: () => Promise<Result>,
  { wait = true, signal }: LockOptions = {},
): Promise<Result> {
  mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
  const mode = wait ? [] : ['--nonblock'];
  const holder = execa('flock', [...mode, '--exclusive', file, 'sh', '-c', 'echo locked && exec cat'], {
    reject: false,
    buffer: false,
    // A session of its own: Ctrl-C at the terminal must not take the lock away.
    detached: true,
    cleanup: false,
  });
  const giveUp = () => holder.kill('SIGTERM');
  signal?.addEventListener('abort', giveUp);
  const held = await new Promise<boolean>((resolve) => {
    holder.stdout.once('data', () => resolve(true));
    void holder.then(() => resolve(false));
  });
  signal?.removeEventListener('abort', giveUp);
  if (!held) {
    throw new GobootError(
      signal?.aborted
        ? 'Waiting for another rehearsal was interrupted'
        : `The lock ${file} could not be taken`,
    );
  }
  try {
    return await task();
  } finally {
    holder.stdin.end();
    await holder;
  }
}
