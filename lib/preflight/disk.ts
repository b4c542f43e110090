import { surveyCheck } from './host-check.ts';
import type { DiskSpace } from './host-facts.ts';

const leastBytes = 2 * 1024 ** 3;
// The packages, a virtual environment and a release are some 40,000 files.
const leastInodes = 60_000;

function fullest(disks: readonly DiskSpace[]): DiskSpace | undefined {
  return [...disks].sort((one, other) => one.free - other.free)[0];
}

/** The file systems of /, /srv and /var have room for the packages, releases and dumps. */
export const diskCheck = surveyCheck('disk', ({ disks, inodes }) => {
  const space = fullest(disks);
  if (!space) return { status: 'warning', detail: 'not checked: the host does not tell' };
  const free = `${(space.free / 1024 ** 3).toFixed(1)} GiB free on ${space.mountPoint}`;
  if (space.free < leastBytes) {
    return {
      status: 'failed',
      detail: free,
      remedy:
        'Make room for 2 GiB: sudo apt-get clean, sudo journalctl --vacuum-size=100M, or a larger disk.',
    };
  }
  // Some file systems make inodes when they need them, and count none.
  const files = fullest(inodes.filter(({ total }) => total > 0));
  if (files && files.free < leastInodes) {
    return {
      status: 'failed',
      detail: `${files.free} inodes free on ${files.mountPoint}: there are too many small files`,
      remedy: `Find them: sudo du --inodes -x -d 3 ${files.mountPoint} | sort -n | tail`,
    };
  }
  return { status: 'ok', detail: free };
});
