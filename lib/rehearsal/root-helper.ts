/**
 * The part of a rehearsal that runs as root: a program of its own, because Yeoman gives root's rights up.
 *
 * It is two processes. The worker does everything and lives in a session of its own, out of reach of the
 * terminal's signals. The guardian waits for it; when the worker is killed, the guardian cleans up in its place.
 */
import { execa } from 'execa';
import { serve, sweep } from './root/server.ts';

const workerArgument = '--worker';

async function guard(): Promise<void> {
  const worker = execa(process.execPath, [...process.execArgv, ...process.argv.slice(1, 2), workerArgument], {
    stdio: 'inherit',
    detached: true,
    cleanup: false,
    reject: false,
  });
  // The worker ends when its input closes; until it has cleaned up, the guardian stays.
  process.on('SIGINT', () => {});
  process.on('SIGHUP', () => {});
  process.on('SIGTERM', () => worker.kill('SIGTERM'));
  const { exitCode } = await worker;
  if (exitCode !== 0) await sweep();
  process.exitCode = exitCode === 0 ? 0 : 1;
}

if (process.getuid?.() !== 0) {
  process.stderr.write('This program is a part of goboot and must be started by root.\n');
  process.exitCode = 1;
} else if (process.argv.includes(workerArgument)) {
  await serve();
} else {
  await guard();
}
