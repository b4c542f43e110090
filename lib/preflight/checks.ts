import { aptSourceCheck, packagesCheck } from './apt.ts';
import { architectureCheck } from './architecture.ts';
import { caaCheck } from './caa.ts';
import type { Check } from './check.ts';
import { clockCheck } from './clock.ts';
import { diskCheck } from './disk.ts';
import { domainCheck } from './domain.ts';
import { gitHubChecks } from './github.ts';
import { hostKeyCheck, knownHostsCheck } from './known-hosts.ts';
import { jumpLoginCheck, loginCheck } from './login.ts';
import { memoryCheck } from './memory.ts';
import { operatingSystemCheck } from './operating-system.ts';
import { otherSitesCheck } from './other-sites.ts';
import { projectDirectoryCheck } from './project-directory.ts';
import { pythonCheck } from './python.ts';
import { siteNameCheck } from './site-name.ts';
import { jumpKeyCheck, sshKeyCheck } from './ssh-key.ts';
import { sudoCheck } from './sudo.ts';
import { nodeCheck, toolChecks } from './tools.ts';
import { vaultPasswordCheck } from './vault-password.ts';
import { webPortsCheck } from './web-ports.ts';

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
export function checksFor({ scaffolds, host, throughJump, usesGitHub }: Purpose): Check[] {
  return [
    // This computer
    ...toolChecks,
    ...(host === 'examined' ? [nodeCheck] : []),
    scaffolds ? projectDirectoryCheck : vaultPasswordCheck,
    ...(usesGitHub ? gitHubChecks : []),
    ...{ none: [], known: knownHostChecks, examined: examinedHostChecks(throughJump) }[host],
  ];
}

/** What a deploy cannot do without. */
const knownHostChecks: readonly Check[] = [loginCheck, sudoCheck, operatingSystemCheck, pythonCheck];

function examinedHostChecks(throughJump: boolean): Check[] {
  return [
    // The way to the host
    sshKeyCheck,
    ...(throughJump ? [jumpKeyCheck] : []),
    knownHostsCheck,
    ...(throughJump ? [jumpLoginCheck] : []),
    loginCheck,
    hostKeyCheck,
    // The machine
    sudoCheck,
    operatingSystemCheck,
    architectureCheck,
    memoryCheck,
    diskCheck,
    clockCheck,
    // What provisioning needs
    pythonCheck,
    aptSourceCheck,
    packagesCheck,
    // The site
    webPortsCheck,
    otherSitesCheck,
    siteNameCheck,
    domainCheck,
    caaCheck,
  ];
}

/** Every check that `--ignore-check` may name. */
export const allChecks: readonly Check[] = [...toolChecks, nodeCheck, ...examinedHostChecks(true)];
