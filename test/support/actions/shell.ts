import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { UnsupportedError } from './files.ts';

// As GitHub's documentation of `jobs.<job_id>.steps[*].shell` has them. Without `shell:` a runner does not set pipefail.
const shells: Readonly<Record<string, string>> = {
  '': 'bash -e {0}',
  bash: 'bash --noprofile --norc -eo pipefail {0}',
  sh: 'sh -e {0}',
  python: 'python3 {0}',
};

/** The command that runs the script of a step. Throws an `UnsupportedError` for a shell that is not known. */
export function shellCommand(shell: string | undefined, script: string): [string, ...string[]] {
  const template = shells[shell ?? ''] ?? shell ?? '';
  if (!template.includes('{0}')) throw new UnsupportedError(`the executor does not know the shell ${shell}`);
  return template.split(/\s+/).map((word) => word.replaceAll('{0}', script)) as [string, ...string[]];
}

export interface Process {
  cwd: string;
  env: Record<string, string>;
  /** Called with each line of standard output and standard error. What it throws ends the program, and is thrown. */
  onLine(line: string): void;
  signal?: AbortSignal | undefined;
}

/** How long the streams of a program that has ended may be held open by what it started, in milliseconds. */
const patience = 2000;

/** Runs a program with exactly the given environment. Returns its exit status. */
export async function runProcess(
  [file, ...args]: readonly [string, ...string[]],
  { cwd, env, onLine, signal }: Process,
): Promise<number> {
  const child = spawn(file, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const end = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // Nothing of it is left.
    }
  };
  if (signal?.aborted) end();
  signal?.addEventListener('abort', end);
  let problem: unknown;
  const read = (stream: Readable) =>
    createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
      try {
        onLine(line);
      } catch (error) {
        problem ??= error;
        end();
      }
    });
  read(child.stdout);
  read(child.stderr);
  try {
    const status = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? 137));
      child.once('exit', () => {
        setTimeout(() => {
          child.stdout.destroy();
          child.stderr.destroy();
        }, patience).unref();
      });
    });
    if (problem !== undefined) throw problem;
    return status;
  } finally {
    signal?.removeEventListener('abort', end);
  }
}

/** Ends every process whose environment has a value of `RUNNER_TRACKING_ID`: what the steps of a job left behind. */
export function endOrphans(trackingId: string): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      if (variables.includes(`RUNNER_TRACKING_ID=${trackingId}`)) process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has ended, or belongs to somebody else.
    }
  }
}
