// Runs the type checks, the build and the unit tests on the newest line of every dependency that this package holds
// back for Node 20, in a copy of the sources and on Node 24. Shows today what raising the floor will cost.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { packageRoot } from '../lib/paths.ts';
import { runOrThrow } from '../lib/process.ts';

const nodeMajor = 24;
const newestVersions: Record<string, string> = {
  '@types/node': '^22.0.0',
  '@yeoman/adapter': '^5.0.0',
  execa: '^10.2.1',
  'mem-fs': '^6.0.0',
  typescript: '^7.0.2',
  vitest: '^5.1.0',
  'yeoman-environment': '^7.1.0',
  'yeoman-generator': '^10.2.1',
};
const checks = ['typecheck', 'build', 'test'];

interface Manifest {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  allowScripts?: Record<string, boolean>;
}

async function copySources(directory: string): Promise<void> {
  const { stdout } = await runOrThrow(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    {
      cwd: packageRoot,
      failure: 'git could not list the sources',
    },
  );
  const deleted = await runOrThrow('git', ['ls-files', '-z', '--deleted'], {
    cwd: packageRoot,
    failure: 'git could not list the sources',
  });
  const absent = new Set(['package-lock.json', ...deleted.stdout.split('\0')]);
  for (const path of new Set(stdout.split('\0'))) {
    if (path && !absent.has(path)) await cp(join(packageRoot, path), join(directory, path));
  }
}

async function useNewestVersions(directory: string): Promise<void> {
  const path = join(directory, 'package.json');
  const manifest: Manifest = JSON.parse(await readFile(path, 'utf8'));
  for (const [name, version] of Object.entries(newestVersions)) {
    const dependencies = [manifest.dependencies, manifest.devDependencies].find((set) => name in set);
    if (!dependencies) throw new Error(`package.json does not name ${name}, which the newest versions do`);
    dependencies[name] = version;
  }
  manifest.devDependencies.node = `^${nodeMajor}.0.0`;
  // It gets its program by an install script, which newer versions of npm run only where this says so.
  manifest.allowScripts = { ...manifest.allowScripts, node: true };
  await writeFile(path, JSON.stringify(manifest));
}

async function check(directory: string, cancelSignal: AbortSignal): Promise<boolean> {
  const npm = (args: string[]) =>
    execa('npm', args, {
      cwd: directory,
      stdio: ['ignore', 'inherit', 'inherit'],
      reject: false,
      cancelSignal,
    });

  const install = await npm([
    'install',
    '--ignore-scripts=false',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]);
  if (install.exitCode !== 0) return false;

  const { stdout: version } = await execa(join(directory, 'node_modules/.bin/node'), ['--version']);
  if (!version.startsWith(`v${nodeMajor}.`)) {
    console.error(`The checks need Node ${nodeMajor}, and npm installed ${version}`);
    return false;
  }
  for (const name of checks) {
    console.log(`\n${name} on Node ${version.slice(1)}`);
    if ((await npm(['run', '--silent', name])).exitCode !== 0) return false;
  }
  return true;
}

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort());

const directory = await mkdtemp(join(tmpdir(), 'goboot-newest-'));
try {
  await copySources(directory);
  await useNewestVersions(directory);
  const passed = await check(directory, interruption.signal);
  console.log(`\nThe newest dependencies ${passed ? 'pass' : 'do not pass'} the checks.`);
  if (!passed) process.exitCode = 1;
} finally {
  await rm(directory, { recursive: true, force: true });
}
