import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../lib/paths.ts';
import { runOrThrow } from '../../lib/process.ts';
import { type NormalUser, networkEnvironment } from './normal-user.ts';

const yoVersion = '7.0.1';

/** Programs that `scripts/install.sh` puts into the clone. */
const ownPrograms = {
  uv: join(packageRoot, '.tools', 'uv', 'bin', 'uv'),
  newerNode: join(packageRoot, '.tools', 'node', 'node_modules', 'node', 'bin', 'node'),
};

/** The packed generator and `yo`, installed where a normal user can run them. */
export interface InstalledGenerator {
  /** The prefix of the npm installation. */
  prefix: string;
  /** Directories for the PATH, each with one program: the Node at hand, a newer Node, uv. */
  node: string;
  newerNode: string;
  uv: string;
}

/**
 * Packs this clone, and installs the tarball together with `yo` below a directory, as a user would with
 * `npm install --global`.
 */
export async function installGenerator(directory: string): Promise<InstalledGenerator> {
  const packed = await runOrThrow('npm', ['pack', '--silent', '--pack-destination', directory], {
    cwd: packageRoot,
    failure: 'npm could not pack the generator',
  });
  const prefix = join(directory, 'prefix');
  const tarball = join(directory, packed.stdout.trim().split('\n').at(-1) as string);
  await runOrThrow(
    'npm',
    [
      'install',
      '--global',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      '--prefix',
      prefix,
      `yo@${yoVersion}`,
      tarball,
    ],
    { cwd: directory, failure: 'npm could not install the tarball' },
  );
  return {
    prefix,
    node: reachableCopy(process.execPath, join(directory, 'node')),
    newerNode: reachableCopy(ownPrograms.newerNode, join(directory, 'newer-node')),
    uv: reachableCopy(ownPrograms.uv, join(directory, 'uv')),
  };
}

/** Copies a program to where every user can run it: a clone may lie in a home directory that nobody else may enter. */
function reachableCopy(program: string, directory: string): string {
  if (!existsSync(program)) throw new Error(`${program} is missing; run scripts/install.sh first`);
  mkdirSync(directory);
  copyFileSync(program, join(directory, program.split('/').at(-1) as string));
  return directory;
}

/** The environment of a user at a terminal of an ordinary Linux system. */
export function userEnvironment(
  user: NormalUser,
  installed: InstalledGenerator,
  {
    newerNode = false,
    path = systemPath,
    without,
  }: { newerNode?: boolean; path?: string; without?: string } = {},
): Record<string, string> {
  return {
    ...networkEnvironment(),
    HOME: user.home,
    USER: user.account?.name ?? process.env.USER ?? '',
    LANG: 'C.UTF-8',
    TERM: 'xterm-256color',
    PATH: [
      newerNode ? installed.newerNode : installed.node,
      join(installed.prefix, 'bin'),
      ...(without === 'uv' ? [] : [installed.uv]),
      path,
    ].join(':'),
  };
}

/** Where a Linux system keeps its programs, and npm where it came with a Node elsewhere. */
const systemPath = ['/usr/local/bin', '/usr/bin', '/bin', dirname(process.execPath)].join(':');
