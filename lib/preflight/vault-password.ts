import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { projectPaths } from '../paths.ts';
import type { Check } from './check.ts';

/** The password that opens the project's vault is on this computer. */
export const vaultPasswordCheck: Check = {
  name: 'vault password',
  async run({ projectRoot }) {
    return existsSync(join(projectRoot, projectPaths.vaultPassword))
      ? { status: 'ok', detail: projectPaths.vaultPassword }
      : {
          status: 'failed',
          detail: `${projectPaths.vaultPassword} is missing: it is never committed`,
          remedy: `Get the password from whoever set the project up, and put it into that file: chmod 600 ${projectPaths.vaultPassword}`,
        };
  },
};
