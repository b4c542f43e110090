import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { layerPath } from '../paths.ts';
import type { SshConnection } from '../ssh/connection.ts';

/** What a host says of itself. */
export interface HostFacts {
  /** `ID` and `VERSION_ID` of os-release(5), for example `debian 13`. */
  operatingSystem: string;
  operatingSystemName: string;
  /** Whether sudo works without a password. */
  sudo: boolean;
  python: string;
  systemd: boolean;
  /** The fingerprint of what the site was last provisioned with; empty before the first time. */
  provisioned: string;
}

// A plain POSIX shell: the host may have no Python yet.
const probe = (site: string) => `
if [ -r /etc/os-release ]; then . /etc/os-release; fi
echo "operatingSystem=\${ID:-unknown} \${VERSION_ID:-}"
echo "operatingSystemName=\${PRETTY_NAME:-unknown}"
if [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; then echo sudo=yes; else echo sudo=no; fi
echo "python=$(python3 --version 2>/dev/null)"
if [ -d /run/systemd/system ]; then echo systemd=yes; else echo systemd=no; fi
echo "provisioned=$(cat /etc/${site}/provisioned 2>/dev/null)"
`;

/** Asks a host in one round trip. Throws a GobootError that tells what is wrong with the connection. */
export async function readHostFacts(connection: SshConnection, site: string): Promise<HostFacts> {
  const { stdout } = await connection.execute('sh -s', probe(site));
  const values = new Map(stdout.split('\n').map((line) => line.split(/=(.*)/s, 2) as [string, string]));
  return {
    operatingSystem: values.get('operatingSystem')?.trim() ?? 'unknown',
    operatingSystemName: values.get('operatingSystemName') ?? 'unknown',
    sudo: values.get('sudo') === 'yes',
    python: values.get('python') ?? '',
    systemd: values.get('systemd') === 'yes',
    provisioned: values.get('provisioned')?.trim() ?? '',
  };
}

/** The supported systems, by `ID VERSION_ID` as os-release has it, from the table that the playbooks use. */
export async function supportedSystems(): Promise<Map<string, string>> {
  const { parse } = await import('yaml');
  const file = join(layerPath('ansible'), 'roles', 'operating_system', 'vars', 'main.yml');
  const { operating_system_table: table } = parse(readFileSync(file, 'utf8')) as {
    operating_system_table: Record<string, unknown>;
  };
  return new Map(Object.keys(table).map((name) => [name.toLowerCase(), name]));
}
