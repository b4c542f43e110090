import type { HostFacts, HostSurvey } from '../../lib/preflight/host-facts.ts';

/** What a host says of itself that is as it should be, but for what a test changes. */
export function goodSurvey(changes: Partial<HostSurvey> = {}): HostSurvey {
  const space = { mountPoint: '/', total: 20 * 1024 ** 3, free: 10 * 1024 ** 3 };
  return {
    clockAhead: 0,
    kernelArchitecture: 'x86_64',
    packageArchitecture: 'amd64',
    memory: 1950,
    disks: [space],
    inodes: [{ mountPoint: '/', total: 1_300_000, free: 1_200_000 }],
    addresses: ['192.0.2.10'],
    apt: { source: 'http://deb.debian.org/debian/dists/trixie/', problem: undefined },
    aptLocks: [],
    unfinishedPackages: [],
    listeners: [],
    nginx: [],
    siteDomain: undefined,
    ...changes,
  };
}

export function goodFacts(changes: Partial<HostFacts> = {}): HostFacts {
  return {
    operatingSystem: 'debian 13',
    operatingSystemName: 'Debian GNU/Linux 13 (trixie)',
    sudo: true,
    python: 'Python 3.13.5',
    systemd: true,
    provisioned: '',
    survey: goodSurvey(),
    ...changes,
  };
}
