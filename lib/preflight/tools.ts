import { toGobootError } from '../errors.ts';
import { run } from '../process.ts';
import type { Check } from './check.ts';

interface Tool {
  command: string;
  versionArguments: string[];
  howToGet: string;
}

const tools: readonly Tool[] = [
  {
    command: 'git',
    versionArguments: ['--version'],
    howToGet: 'Install it with your system’s package manager, for example: sudo apt-get install git',
  },
  {
    command: 'ssh',
    versionArguments: ['-V'],
    howToGet: 'Install OpenSSH’s client, for example: sudo apt-get install openssh-client',
  },
  {
    command: 'uv',
    versionArguments: ['--version'],
    howToGet:
      'Install it as https://docs.astral.sh/uv/getting-started/installation/ says, for example: pipx install uv',
  },
];

function toolCheck({ command, versionArguments, howToGet }: Tool): Check {
  return {
    name: command,
    async run() {
      try {
        const { stdout, stderr, exitCode } = await run(command, versionArguments, { timeout: 10_000 });
        if (exitCode !== 0) {
          return {
            status: 'failed',
            detail: `${command} does not run (exit status ${exitCode})`,
            remedy: howToGet,
          };
        }
        return { status: 'ok', detail: (stdout || stderr).split('\n')[0] ?? '' };
      } catch (error) {
        return { status: 'failed', detail: toGobootError(error).message, remedy: howToGet };
      }
    },
  };
}

/** The programs that goboot needs besides Node. */
export const toolChecks: readonly Check[] = tools.map(toolCheck);
