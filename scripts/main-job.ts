// The main job from the tarball to the live site, with the output of yo itself. Started by main-job.sh.
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatSeconds } from '../lib/terminal/format.ts';
import { installGenerator, userEnvironment } from '../test/support/installed-generator.ts';
import { createNormalUser, makeDirectoryFor, type NormalUser, wordsAs } from '../test/support/normal-user.ts';

const { os } = parseArgs({ options: { os: { type: 'string', default: 'debian13' } } }).values;

const times: [string, number][] = [];

async function timed<T>(name: string, action: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  console.log(`\n=== ${name}`);
  const value = await action();
  times.push([name, (performance.now() - begun) / 1000]);
  return value;
}

/** Runs a command of the user's with this terminal. Throws when it fails. */
function show(
  user: NormalUser,
  words: readonly string[],
  cwd: string,
  env: Record<string, string>,
): Promise<void> {
  console.log(`$ ${words.join(' ')}`);
  const [file, ...args] = wordsAs(user, words) as [string, ...string[]];
  return new Promise((resolve, reject) => {
    const subprocess = spawn(file, args, { cwd, env, stdio: 'inherit' });
    // Ctrl-C reaches the command, too, without our help; it cleans up, and we wait for it.
    const wait = () => {};
    const pass = () => subprocess.kill('SIGTERM');
    process.on('SIGINT', wait).on('SIGTERM', pass);
    subprocess.once('error', reject);
    subprocess.once('close', (code, signal) => {
      process.off('SIGINT', wait).off('SIGTERM', pass);
      if (code === 0) resolve();
      else reject(new Error(`${words.slice(0, 2).join(' ')} ended with ${signal ?? `exit status ${code}`}`));
    });
  });
}

async function mainJob(directory: string, user: NormalUser): Promise<void> {
  const installed = await timed('Pack the generator and install it with yo', () =>
    installGenerator(directory),
  );
  const env = {
    ...userEnvironment(user, installed),
    ...(process.env.CI !== undefined && { CI: process.env.CI }),
  };
  const work = makeDirectoryFor(user, join(directory, 'work'));
  await timed('Scaffold a project', () =>
    show(
      user,
      [
        ...['yo', 'goboot', 'shop', '--domain', 'shop.example.com', '--author', 'Ada Example'],
        ...['--email', 'ada@example.com', '--skip-github', '--skip-deploy', '--yes'],
      ],
      work,
      env,
    ),
  );
  await timed('Rehearse it on a throwaway host', () =>
    show(user, ['yo', 'goboot:rehearse', '--os', os, '--yes'], join(work, 'shop'), env),
  );
}

// Whoever started this removes the directory and the user, also when it is interrupted.
const directory = mkdtempSync(join(tmpdir(), 'main-job-'));
try {
  await mainJob(directory, await createNormalUser(directory, { sudo: true }));
  console.log('\nThe main job is done:');
  for (const [name, seconds] of times) console.log(`  ${name}: ${formatSeconds(seconds)}`);
} catch (error) {
  console.error(`\nThe main job failed: ${(error as Error).message}`);
  process.exitCode = 1;
}
