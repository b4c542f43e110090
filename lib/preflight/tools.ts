import { toGobootError } from '../errors.ts';
import { run } from '../process.ts';
import type { Check, CheckResult } from './check.ts';

interface Tool {
  command: string;
  versionArguments: string[];
  /** Finds the version in what the program says. */
  version: RegExp;
  /** The earliest version that has what goboot uses. */
  least: string;
  howToGet: string;
}

const tools: readonly Tool[] = [
  {
    command: 'git',
    versionArguments: ['--version'],
    version: /^git version (\d+\.\d+(?:\.\d+)?)/,
    // git init --initial-branch
    least: '2.28',
    howToGet: 'Install it with your system’s package manager, for example: sudo apt-get install git',
  },
  {
    command: 'ssh',
    versionArguments: ['-V'],
    version: /^OpenSSH\D*(\d+\.\d+)/,
    // StrictHostKeyChecking=accept-new
    least: '7.6',
    howToGet: 'Install OpenSSH’s client, for example: sudo apt-get install openssh-client',
  },
  {
    command: 'uv',
    versionArguments: ['--version'],
    version: /^uv (\d+\.\d+\.\d+)/,
    // Groups of dependencies (PEP 735) in pyproject.toml
    least: '0.4.27',
    howToGet:
      'Install it as https://docs.astral.sh/uv/getting-started/installation/ says, for example: pipx install uv',
  },
];

/** Whether a version of numbers and dots is at least another one. */
export function isAtLeast(version: string, least: string): boolean {
  const [found, wanted] = [version, least].map((text) => text.split('.').map(Number)) as [number[], number[]];
  for (const [index, number] of wanted.entries()) {
    const difference = (found[index] ?? 0) - number;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

async function judgeTool(tool: Tool): Promise<CheckResult> {
  const { command, versionArguments, version, least, howToGet: remedy } = tool;
  try {
    const { stdout, stderr, exitCode } = await run(command, versionArguments, { timeout: 10_000 });
    if (exitCode !== 0) {
      return { status: 'failed', detail: `${command} does not run (exit status ${exitCode})`, remedy };
    }
    const said = (stdout || stderr).split('\n')[0] ?? '';
    const [, found] = version.exec(said) ?? [];
    if (!found) {
      return {
        status: 'failed',
        detail: `${command} says it is "${said.slice(0, 60)}", and ${least} or later is needed`,
        remedy,
      };
    }
    return isAtLeast(found, least)
      ? { status: 'ok', detail: found }
      : { status: 'failed', detail: `${found} was found, and ${least} or later is needed`, remedy };
  } catch (error) {
    return { status: 'failed', detail: toGobootError(error).message, remedy };
  }
}

/** The programs that goboot needs besides Node. */
export const toolChecks: readonly Check[] = tools.map((tool) => ({
  name: tool.command,
  run: () => judgeTool(tool),
}));

/** Judges a version of Node by what package.json asks for: yo 7 and our own dependencies. */
export function judgeNode(version: string): CheckResult {
  const remedy =
    'Install a later one from https://nodejs.org/, or start yo with: npx -y -p node@24 -p yo -p generator-goboot -- yo goboot';
  const supported = version.startsWith('20.') ? isAtLeast(version, '20.17') : isAtLeast(version, '22.9');
  return supported
    ? { status: 'ok', detail: version }
    : { status: 'failed', detail: `${version} was found, and 20.17, 22.9 or later is needed`, remedy };
}

/** The Node that runs this. */
export const nodeCheck: Check = { name: 'node', run: async () => judgeNode(process.versions.node) };
