import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Validity } from '../certificate.ts';
import { encoders } from '../encoders.ts';
import { layerPath, packageRoot } from '../paths.ts';
import type { SshConnection } from '../ssh/connection.ts';

/** What a host says of itself, as far as every command needs to know it. */
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
  /** Only after it was asked for. */
  survey?: HostSurvey;
}

/** Free space or free inodes of one file system. */
export interface DiskSpace {
  /** Where it is mounted. */
  mountPoint: string;
  total: number;
  free: number;
}

/** Whoever listens on a port of the web. */
export interface Listener {
  port: number;
  /** Empty where the host does not tell. */
  program: string;
  process?: number;
}

/** One statement of nginx's configuration that says for which names a server is. */
export interface NginxStatement {
  file: string;
  /** In lower case; empty for a default server. */
  names: string[];
  defaultServer: boolean;
}

/** What a host says when it is about to get a site. */
export interface HostSurvey {
  /** Seconds by which the host's clock is ahead of this computer's, as far as the time of the question allows to tell. */
  clockAhead: number;
  /** As uname says it: `x86_64`. */
  kernelArchitecture: string;
  /** As dpkg says it: `amd64`. */
  packageArchitecture: string;
  /** In MiB, including the limit of a container. */
  memory: number | undefined;
  /** In bytes. */
  disks: DiskSpace[];
  inodes: DiskSpace[];
  /** Of the host's own interfaces, without loopback and link-local ones. */
  addresses: string[];
  /** The address of apt's first source, and what went wrong there; undefined where there is no apt. */
  apt?: { source: string; problem: string | undefined };
  /** Processes that hold one of apt's locks. */
  aptLocks: { process: number; program: string }[];
  unfinishedPackages: string[];
  listeners: Listener[];
  nginx: NginxStatement[];
  /** The domain of the site of this name that the host has; empty when it does not tell. Undefined without one. */
  siteDomain: string | undefined;
  /** What nginx shows visitors of the site; undefined without a site, or without the right to read it. */
  certificate?: Validity & { selfSigned: boolean };
}

export type HostFactsDepth = 'short' | 'full';

const scriptFile = join(packageRoot, 'lib', 'preflight', 'host-facts.sh');

/**
 * Asks a host in one round trip. `short` takes no longer than a login; `full` looks at everything that a new site
 * needs. Throws a GobootError that tells what is wrong with the connection.
 */
export async function readHostFacts(
  connection: Pick<SshConnection, 'execute'>,
  site: string,
  depth: HostFactsDepth = 'short',
): Promise<HostFacts> {
  const script = await readFile(scriptFile, 'utf8');
  const asked = Date.now() / 1000;
  const { stdout } = await connection.execute(`sh -s -- ${encoders.sh(site)} ${depth}`, script);
  return parseHostFacts(stdout, { asked, answered: Date.now() / 1000 });
}

/** Reads the answer of the script; what is missing there is unknown. The times are in seconds since 1970. */
export function parseHostFacts(output: string, times: { asked: number; answered: number }): HostFacts {
  const lines = output.split('\n').map((line) => line.split(/=(.*)/s, 2) as [string, string | undefined]);
  const all = (name: string) => lines.flatMap(([key, value]) => (key === name && value ? [value] : []));
  const one = (name: string) => all(name)[0]?.trim() ?? '';
  const facts: HostFacts = {
    operatingSystem: one('operatingSystem') || 'unknown',
    operatingSystemName: one('operatingSystemName') || 'unknown',
    sudo: one('sudo') === 'yes',
    python: one('python'),
    systemd: one('systemd') === 'yes',
    provisioned: one('provisioned'),
  };
  if (!one('time')) return facts;
  const aptSource = lines.find(([key]) => key === 'aptSource')?.[1];
  const aptAnswer = one('aptAnswer');
  return {
    ...facts,
    survey: {
      clockAhead: clockAhead(Number(one('time')), times),
      kernelArchitecture: one('kernelArchitecture'),
      packageArchitecture: one('packageArchitecture'),
      memory: memoryInMib(one('memoryKib'), all('memoryLimit')),
      disks: all('disk').flatMap((line) => diskSpace(line, 1024)),
      inodes: all('inodes').flatMap((line) => diskSpace(line, 1)),
      addresses: [...new Set(all('address'))],
      ...(aptSource !== undefined && {
        apt: { source: aptSource, problem: aptAnswer === 'ok' ? undefined : aptAnswer || 'no answer' },
      }),
      aptLocks: all('aptLock').map((line) => {
        const [process, program = ''] = line.split(/ (.*)/s, 2);
        return { process: Number(process), program };
      }),
      unfinishedPackages: all('unfinishedPackage'),
      listeners: all('listener').flatMap(listener),
      nginx: all('nginx').map(nginxStatement),
      siteDomain: one('siteExists') === 'yes' ? one('siteDomain') : undefined,
      ...certificate(all('certificate')),
    },
  };
}

/** The host looked at its clock at some time between question and answer, and counts whole seconds. */
function clockAhead(time: number, { asked, answered }: { asked: number; answered: number }): number {
  if (time > answered) return time - answered;
  return Math.min(time + 1 - asked, 0);
}

function memoryInMib(kib: string, limits: readonly string[]): number | undefined {
  // A limit that is none is "max" or a number far beyond any memory.
  const sizes = [Number(kib) * 1024, ...limits.map(Number)].filter((bytes) => bytes > 0);
  return sizes.length > 0 ? Math.floor(Math.min(...sizes) / 1024 ** 2) : undefined;
}

function diskSpace(line: string, unit: number): DiskSpace[] {
  const [, total, , free, mountPoint] = line.split(' ');
  if (!mountPoint || Number.isNaN(Number(free))) return [];
  return [{ mountPoint, total: Number(total) * unit, free: Number(free) * unit }];
}

/** Lines of `openssl x509`. */
function certificate(lines: readonly string[]): Pick<HostSurvey, 'certificate'> {
  const { notBefore, notAfter, issuer, subject } = Object.fromEntries(
    lines.map((line) => line.split(/ *= *(.*)/s, 2)),
  );
  if (!notBefore || !notAfter) return {};
  return { certificate: { validFrom: notBefore, validUntil: notAfter, selfSigned: issuer === subject } };
}

/** A line of `ss -Hltnp`. */
function listener(line: string): Listener[] {
  const [, , , local = ''] = line.split(/\s+/);
  const port = Number(local.split(':').at(-1));
  const found = [...line.matchAll(/\("([^"]*)",pid=(\d+)/g)];
  const programs = found.map(([, program = '', process]) => ({ port, program, process: Number(process) }));
  return programs.length > 0 ? programs : [{ port, program: '' }];
}

function nginxStatement(line: string): NginxStatement {
  const [file = '', statement = ''] = line.split('\t');
  const [directive, ...words] = statement.trim().split(/\s+/);
  return {
    file,
    names:
      directive === 'server_name' ? words.map((word) => word.replace(/^["']|["']$/g, '').toLowerCase()) : [],
    defaultServer: directive === 'listen',
  };
}

/** The supported systems, by `ID VERSION_ID` as os-release has it, from the table that the playbooks use. */
export async function supportedSystems(): Promise<Map<string, string>> {
  const { parse } = await import('yaml');
  const file = join(layerPath('ansible'), 'roles', 'operating_system', 'vars', 'main.yml');
  const { operating_system_table: table } = parse(await readFile(file, 'utf8')) as {
    operating_system_table: Record<string, unknown>;
  };
  return new Map(Object.keys(table).map((name) => [name.toLowerCase(), name]));
}
