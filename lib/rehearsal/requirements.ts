import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { isRoot, sudoIsReady } from './helper-client.ts';
import { debianKeyring } from './recipe.ts';

/** Something that keeps a rehearsal from working, and what to do about it. */
export interface RehearsalProblem {
  message: string;
  remedy: string;
}

/** The programs that the helper calls, with the package that has each where it is not named the same. */
const programs = [
  { program: 'mmdebstrap', debian: 'mmdebstrap', fedora: 'mmdebstrap' },
  { program: 'systemd-nspawn', debian: 'systemd-container', fedora: 'systemd-container' },
  { program: 'ip', debian: 'iproute2', fedora: 'iproute' },
  { program: 'nft', debian: 'nftables', fedora: 'nftables' },
  { program: 'flock', debian: 'util-linux', fedora: 'util-linux-core' },
  { program: 'nsenter', debian: 'util-linux', fedora: 'util-linux-core' },
  { program: 'ssh-keygen', debian: 'openssh-client', fedora: 'openssh' },
] as const;

/** Directories of system programs, which a normal user's PATH may lack while sudo's has them. */
const systemDirectories = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

function isInstalled(program: string, directories: string[]): boolean {
  return directories.some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** What this computer is, for the checks; tests pass other ones. */
export interface Computer {
  platform: NodeJS.Platform;
  path: string;
  /** Searched after the path. */
  systemDirectories: string[];
  keyring: boolean;
  root: boolean;
  /** Whether sudo works without asking. */
  sudoReady: boolean;
  /** Whether there is a terminal where sudo can ask. */
  terminal: boolean;
}

async function thisComputer(): Promise<Computer> {
  const root = isRoot();
  return {
    platform: process.platform,
    path: process.env.PATH ?? '',
    systemDirectories,
    keyring: existsSync(debianKeyring),
    root,
    sudoReady: root || (await sudoIsReady()),
    terminal: Boolean(process.stdin.isTTY),
  };
}

/**
 * Says everything that keeps a rehearsal from working on this computer, each with its remedy; nothing is
 * changed and nothing is asked. An empty list means that it can start.
 */
export async function checkRehearsal(computer?: Computer): Promise<RehearsalProblem[]> {
  const { platform, keyring, root, sudoReady, terminal, ...search } = computer ?? (await thisComputer());
  const directories = [...search.path.split(delimiter).filter(Boolean), ...search.systemDirectories];
  if (platform !== 'linux') {
    const name = platform === 'darwin' ? 'macOS' : platform === 'win32' ? 'Windows' : platform;
    return [
      {
        message: `A rehearsal boots a Linux container, which ${name} cannot do`,
        remedy: 'Run it on a Linux computer or in a Linux virtual machine.',
      },
    ];
  }
  const sudo = root ? '' : 'sudo ';
  const installer = isInstalled('apt-get', directories)
    ? { command: `${sudo}apt-get install`, family: 'debian' as const }
    : isInstalled('dnf', directories)
      ? { command: `${sudo}dnf install`, family: 'fedora' as const }
      : undefined;
  const install = (names: { debian: string; fedora: string }) =>
    installer
      ? `Run: ${installer.command} ${names[installer.family]}`
      : `Install the package ${names.debian} (its name on Debian).`;
  const problems = programs
    .filter(({ program }) => !isInstalled(program, directories))
    .map((names) => ({ message: `${names.program} is not installed`, remedy: install(names) }));
  if (!keyring) {
    const name = 'debian-archive-keyring';
    problems.push({
      message: `Debian's archive keys (${debianKeyring}) are not installed`,
      remedy: install({ debian: name, fedora: 'debian-keyring' }),
    });
  }
  if (!root && !isInstalled('sudo', directories)) {
    problems.push({
      message: 'A rehearsal boots a container, which takes the rights of root, and sudo is not installed',
      remedy: install({ debian: 'sudo', fedora: 'sudo' }),
    });
  } else if (!sudoReady && !terminal) {
    problems.push({
      message:
        'A rehearsal boots a container, which takes the rights of root, and sudo cannot ask for a password',
      remedy: 'Run it at a terminal, or run "sudo -v" just before.',
    });
  }
  return problems;
}
