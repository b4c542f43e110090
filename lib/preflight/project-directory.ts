import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { projectPaths } from '../paths.ts';
import { quoted } from '../validate.ts';
import type { Check } from './check.ts';

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The directory is new, empty or an earlier project of goboot's, and can be written. */
export const projectDirectoryCheck: Check = {
  name: 'directory',
  async run({ projectRoot }) {
    if (!existsSync(projectRoot)) {
      const parent = dirname(projectRoot);
      return isWritable(parent)
        ? { status: 'ok', detail: `${projectRoot} will be made` }
        : {
            status: 'failed',
            detail: `${quoted(parent)} cannot be written`,
            remedy: 'Start yo in a directory of your own.',
          };
    }
    if (!statSync(projectRoot).isDirectory()) {
      return {
        status: 'failed',
        detail: `${quoted(projectRoot)} is a file`,
        remedy: 'Choose another project name.',
      };
    }
    if (!isWritable(projectRoot)) {
      return {
        status: 'failed',
        detail: `${quoted(projectRoot)} cannot be written`,
        remedy: 'Check who owns it: ls -ld shows that.',
      };
    }
    if (existsSync(join(projectRoot, projectPaths.answers)))
      return { status: 'ok', detail: 'a project of goboot' };
    const entries = readdirSync(projectRoot).filter((entry) => entry !== '.git');
    return entries.length === 0
      ? { status: 'ok', detail: 'empty' }
      : {
          status: 'failed',
          detail: `${quoted(projectRoot)} holds files that are not goboot’s (${entries.slice(0, 3).join(', ')})`,
          remedy: 'Choose another project name or an empty directory.',
        };
  },
};
