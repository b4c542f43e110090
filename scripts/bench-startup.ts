// Measures what goboot adds to yo: `yo` with an empty generator beside `yo goboot`, run in turn on the same installation.
// Locking the Python packages is left out (it depends on the network), deploying is skipped.
import { rmSync } from 'node:fs';
import { chmod, chown, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { packageRoot } from '../lib/paths.ts';
import { runOrThrow } from '../lib/process.ts';

const allowedSeconds = 0.3;
const lockStep = 'Lock the Python packages';
// yo gives up root by itself, and then cannot read root's files.
const unprivilegedUser = 65534;

const emptyGenerator = {
  'package.json': JSON.stringify({ name: 'generator-empty', version: '1.0.0', type: 'module' }),
  'generators/app/index.js': `import Generator from 'yeoman-generator';
export default class extends Generator {
  writing() {}
}
`,
};

const gobootArguments = [
  ...['goboot', 'shop', '--skip-github', '--skip-deploy', '--yes', '--json'],
  ...['--domain=shop.example.com', '--author=Sample Author', '--email=author@example.com', '--user=admin'],
];

function parseRuns(text: string | undefined): number {
  const runs = Number(text ?? 9);
  if (!Number.isInteger(runs) || runs < 1) {
    console.error(`The number of runs ${JSON.stringify(text)} is not a whole number above 0`);
    process.exit(2);
  }
  return runs;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2;
}

/** Installs yo, the packed goboot and the empty generator side by side, as npm does it for users. */
async function install(directory: string): Promise<void> {
  const failure = 'npm could not install yo and goboot';
  const { stdout } = await runOrThrow('npm', ['pack', '--json', '--pack-destination', directory], {
    cwd: packageRoot,
    failure: 'npm could not pack goboot',
  });
  // The build, which packing starts, prints above the JSON.
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('[\n')));
  await writeFile(join(directory, 'package.json'), '{"private": true}\n');
  await runOrThrow(
    'npm',
    ['install', '--no-audit', '--no-fund', '--loglevel=error', 'yo@^7', join(directory, filename)],
    { cwd: directory, failure },
  );
  for (const [path, text] of Object.entries(emptyGenerator)) {
    const file = join(directory, 'node_modules/generator-empty', path);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, text);
  }
}

/** A copy of uv that another user can start, wherever it is installed. */
async function copyUv(directory: string): Promise<void> {
  const { stdout } = await runOrThrow('uv', ['run', '--quiet', '--no-project', 'printenv', 'UV'], {
    failure: 'uv could not be found',
  });
  const programs = join(directory, 'bin');
  await mkdir(programs);
  await copyFile(stdout.trim(), join(programs, 'uv'));
  await chmod(join(programs, 'uv'), 0o755);
}

interface Measurement {
  seconds: number;
  lockSeconds: number;
}

/** Runs yo once in a new directory with a new home. Returns the seconds it took without locking, and those of that. */
async function measure(directory: string, args: readonly string[]): Promise<Measurement> {
  const home = await mkdtemp(join(directory, 'home-'));
  const identity = process.getuid?.() === 0 ? { uid: unprivilegedUser, gid: unprivilegedUser } : {};
  if (identity.uid) await chown(home, identity.uid, identity.gid);
  const started = performance.now();
  const { exitCode, stdout, all } = await execa(join(directory, 'node_modules/.bin/yo'), args, {
    ...identity,
    reject: false,
    all: true,
    cwd: home,
    env: {
      HOME: home,
      PATH: `${join(directory, 'bin')}${delimiter}${process.env.PATH}`,
      UV_CACHE_DIR: join(directory, 'uv-cache'),
      NODE_PATH: join(directory, 'node_modules'),
    },
    stdin: 'ignore',
  });
  const seconds = (performance.now() - started) / 1000;
  if (exitCode !== 0) {
    console.error(`yo ${args.join(' ')} failed:\n${all}`);
    process.exit(1);
  }
  const lockSeconds = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .filter(({ event, name }) => event === 'step' && name === lockStep)
    .reduce((sum, step) => sum + (step.seconds ?? 0), 0);
  await rm(home, { recursive: true, force: true });
  return { seconds: seconds - lockSeconds, lockSeconds };
}

const runs = parseRuns(process.argv[2]);
const directory = await mkdtemp(join(tmpdir(), 'goboot-benchmark-'));
process.once('SIGINT', () => process.exit(130));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));

await chmod(directory, 0o755);
await install(directory);
await copyUv(directory);
const cache = join(directory, 'uv-cache');
await mkdir(cache);
if (process.getuid?.() === 0) await chown(cache, unprivilegedUser, unprivilegedUser);

const empty: Measurement[] = [];
const goboot: Measurement[] = [];
// The first pair only warms the file system's cache.
for (let run = 0; run <= runs; run += 1) {
  const pair = [await measure(directory, ['empty']), await measure(directory, gobootArguments)] as const;
  if (run === 0) continue;
  empty.push(pair[0]);
  goboot.push(pair[1]);
}

const emptySeconds = median(empty.map(({ seconds }) => seconds));
const gobootSeconds = median(goboot.map(({ seconds }) => seconds));
const added = median(goboot.map(({ seconds }, index) => seconds - (empty[index]?.seconds ?? Number.NaN)));
const format = (seconds: number) => `${seconds.toFixed(2)} s`;
console.log(`Medians of ${runs} runs on Node ${process.versions.node}`);
console.log(`  yo, empty generator             ${format(emptySeconds)}`);
console.log(
  `  yo goboot, rendered, committed  ${format(gobootSeconds)}, ${(gobootSeconds / emptySeconds).toFixed(2)} times`,
);
console.log(`  added by goboot                 ${format(added)} (allowed: ${format(allowedSeconds)})`);
console.log(
  `  locking, not counted            ${format(median(goboot.map(({ lockSeconds }) => lockSeconds)))}`,
);
if (added > allowedSeconds) process.exitCode = 1;
