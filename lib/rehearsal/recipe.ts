import { createHash } from 'node:crypto';
import { type AptSource, type DebianMirrors, formatOneLine, hostSources } from './apt-sources.ts';
import { type RehearsalSystem, rehearsalSystems } from './operating-systems.ts';

/** Debian's archive keys, on this computer as well as on a host. */
export const debianKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** The tools of the ACME test server: the only packages that a rented server would not have. */
const acmePackages = ['pebble'];

/** What Debian's cloud images have and a minimal root has not, as far as provisioning can notice it. */
const cloudPackages = [
  'ca-certificates',
  'dbus',
  'iproute2',
  'libpam-systemd',
  'openssh-server',
  'python3',
  'sudo',
  'systemd',
  'systemd-sysv',
];

/** Everything that decides what an image holds. */
export interface ImageRecipe {
  os: RehearsalSystem;
  suite: string;
  packages: string[];
  /** Content of files that every host of this system has, by path. */
  files: Record<string, string>;
  /** Nothing when this computer's apt knows no Debian mirror: then mmdebstrap's own choice counts. */
  sources: AptSource[];
  aptOptions: string[];
}

/** The recipe of a system's image on a computer with these mirrors and apt options. */
export function imageRecipe(
  os: RehearsalSystem,
  mirrors: DebianMirrors | undefined,
  aptOptions: string[],
): ImageRecipe {
  const { suite } = rehearsalSystems[os];
  return {
    os,
    suite,
    packages: [...cloudPackages, ...acmePackages],
    files: {
      // A locale as on a cloud image: PostgreSQL makes its first cluster with it.
      'etc/default/locale': 'LANG=C.UTF-8\n',
      'etc/apt/apt.conf.d/90rehearsal': aptOptions.map((option) => `${option};\n`).join(''),
      // Empty, so that every host makes an identity of its own when it boots.
      'etc/machine-id': '',
    },
    sources: mirrors ? hostSources(mirrors, suite) : [],
    aptOptions,
  };
}

/** Name of the image's directory: the system and a hash of all that went into it. */
export function imageKey(recipe: ImageRecipe): string {
  const hash = createHash('sha256').update(JSON.stringify(recipe)).digest('hex');
  return `${recipe.os}-${hash.slice(0, 16)}`;
}

/** mmdebstrap's arguments for making the image in a directory. */
export function mmdebstrapArguments(recipe: ImageRecipe, directory: string): string[] {
  return [
    '--mode=root',
    '--format=directory',
    '--variant=minbase',
    `--include=${recipe.packages.join(',')}`,
    ...recipe.aptOptions.map((option) => `--aptopt=${option}`),
    recipe.suite,
    directory,
    ...recipe.sources.map(formatOneLine),
  ];
}

/** Files of one host, by path below its root: what a cloud provider's set-up would write. */
export function hostFiles(host: {
  name: string;
  address: string;
  gateway: string;
  nameServers: string[];
  adminUser: string;
}): Record<string, string> {
  return {
    'etc/hostname': `${host.name}\n`,
    'etc/hosts': `127.0.0.1 localhost\n127.0.1.1 ${host.name}\n::1 localhost ip6-localhost ip6-loopback\n`,
    'etc/resolv.conf': host.nameServers.map((address) => `nameserver ${address}\n`).join(''),
    // The number sorts before the distribution's own file for containers, which would ask for DHCP.
    'etc/systemd/network/10-host0.network':
      `[Match]\nName=host0\n\n[Network]\nAddress=${host.address}/24\nGateway=${host.gateway}\n` +
      `${host.nameServers.map((address) => `DNS=${address}\n`).join('')}LinkLocalAddressing=ipv6\nIPv6AcceptRA=no\n`,
    ...(host.adminUser !== 'root' && {
      'etc/sudoers.d/90-cloud-init-users': `${host.adminUser} ALL=(ALL) NOPASSWD:ALL\n`,
    }),
  };
}
