import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { execa } from 'execa';
import { GobootError } from '../../errors.ts';

/**
 * Runs `task` while holding an exclusive lock of the kernel on a file, so that a holder that dies, however,
 * never leaves the lock behind. Node has no flock(2); the program of that name holds it as long as its input
 * is open, and the input closes with this process.
 */
export async function withLock<Result>(file: string, task: () => Promise<Result>): Promise<Result> {
  mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
  const holder = execa('flock', ['--exclusive', file, 'sh', '-c', 'echo locked && exec cat'], {
    reject: false,
    buffer: false,
    // A session of its own: Ctrl-C at the terminal must not take the lock away.
    detached: true,
    cleanup: false,
  });
  const held = await new Promise<boolean>((resolve) => {
    holder.stdout.once('data', () => resolve(true));
    holder.once('exit', () => resolve(false));
    holder.once('error', () => resolve(false));
  });
  if (!held) throw new GobootError(`The lock ${file} could not be taken with flock`);
  try {
    return await task();
  } finally {
    holder.stdin.end();
    await holder;
  }
}
