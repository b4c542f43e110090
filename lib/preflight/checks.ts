import type { Check } from './check.ts';
import { loginCheck } from './login.ts';
import { operatingSystemCheck } from './operating-system.ts';
import { projectDirectoryCheck } from './project-directory.ts';
import { pythonCheck } from './python.ts';
import { sudoCheck } from './sudo.ts';
import { nodeCheck, toolChecks } from './tools.ts';
import { vaultPasswordCheck } from './vault-password.ts';

/** What a command is going to do, as far as it decides what can go wrong. */
export interface Purpose {
  /** Whether the project's directory is about to be written. */
  scaffolds: boolean;
  /**
   * How the host takes part: not at all; as one that has served the site before, so that a few checks do and the
   * command starts at once; or as one that everything is asked of.
   */
  host: 'none' | 'known' | 'examined';
  throughJump: boolean;
  /** Whether GitHub takes part. */
  usesGitHub?: boolean;
}

/** The checks of a command, in the order in which they are shown. They run side by side. */
export async function checksFor({ scaffolds, host, throughJump, usesGitHub }: Purpose): Promise<Check[]> {
  // Loaded only where they are made: a deploy starts without them.
  const examined = host === 'examined' ? await import('./examined-host.ts') : undefined;
  const gitHub = usesGitHub ? await import('./github.ts') : undefined;
  return [
    // This computer
    ...toolChecks,
    ...(examined ? [nodeCheck] : []),
    scaffolds ? projectDirectoryCheck : vaultPasswordCheck,
    ...(gitHub?.gitHubChecks ?? []),
    ...(host === 'known' ? knownHostChecks : []),
    ...(examined?.examinedHostChecks(throughJump) ?? []),
  ];
}

/** What a deploy cannot do without. */
const knownHostChecks: readonly Check[] = [loginCheck, sudoCheck, operatingSystemCheck, pythonCheck];
