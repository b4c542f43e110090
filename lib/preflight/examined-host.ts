import { aptSourceCheck, packagesCheck } from './apt.ts';
import { architectureCheck } from './architecture.ts';
import { caaCheck } from './caa.ts';
import { certificateCheck } from './certificate.ts';
import type { Check } from './check.ts';
import { clockCheck } from './clock.ts';
import { diskCheck } from './disk.ts';
import { domainCheck } from './domain.ts';
import { hostKeyCheck, knownHostsCheck } from './known-hosts.ts';
import { jumpLoginCheck, loginCheck } from './login.ts';
import { memoryCheck } from './memory.ts';
import { operatingSystemCheck } from './operating-system.ts';
import { otherSitesCheck } from './other-sites.ts';
import { pythonCheck } from './python.ts';
import { siteNameCheck } from './site-name.ts';
import { jumpKeyCheck, sshKeyCheck } from './ssh-key.ts';
import { sudoCheck } from './sudo.ts';
import { webPortsCheck } from './web-ports.ts';

/** Everything that is asked of a host before it gets a site. */
export function examinedHostChecks(throughJump: boolean): Check[] {
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
    certificateCheck,
  ];
}

/** The checks that `--ignore-check` may name. */
export const ignorableChecks: readonly Check[] = examinedHostChecks(true).filter(
  ({ ignorable }) => ignorable,
);
