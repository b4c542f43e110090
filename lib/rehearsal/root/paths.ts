import { join } from 'node:path';

const stateDirectory = '/var/lib/goboot-rehearsal';
const imageDirectory = '/var/cache/goboot-rehearsal';

/** Where the root helper keeps what it needs to find and undo its own work. */
export const rootPaths = {
  state: stateDirectory,
  lock: join(stateDirectory, 'lock'),
  network: join(stateDirectory, 'network.json'),
  machines: join(stateDirectory, 'machines'),
  images: imageDirectory,
} as const;

/** The files of one machine. */
export function machinePaths(name: string) {
  const directory = join(rootPaths.machines, name);
  return {
    directory,
    description: join(directory, 'machine.json'),
    root: join(directory, 'root'),
    changes: join(directory, 'changes'),
    work: join(directory, 'work'),
    console: join(directory, 'console.log'),
  };
}
