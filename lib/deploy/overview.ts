import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { daysLeft } from '../certificate.ts';
import { toGobootError } from '../errors.ts';
import { projectPaths } from '../paths.ts';
import { examineKnownHost } from '../preflight/run.ts';
import { type Environment, environmentGroup, type Project } from '../project.ts';
import { alignColumns } from '../terminal/format.ts';
import { listBackups } from './backups.ts';
import { fetchLivePage } from './live.ts';
import { releaseStatus } from './maintenance.ts';

/** One environment of a project and its host, as they are now. What is not known is left out. */
export interface SiteOverview {
  environment: string;
  /** When the site moved away from this host, ISO 8601; what is left there is kept until it is removed. */
  movedAway?: string;
  site: string;
  domain: string;
  address: string;
  jumpHost?: string;
  /** What runs on the host: the groups of the inventory that it is in. */
  roles: string[];
  operatingSystem?: string;
  /** Null before the first deploy. */
  release?: string | null;
  /** Days until the certificate that visitors get expires; negative when it has. */
  certificateDays?: number;
  certificateTrusted?: boolean;
  /** When the newest backup was made, ISO 8601; null before the first one. */
  lastBackup?: string | null;
  /** What is wrong with the backups. */
  backupProblems?: string[];
  health: 'well' | 'ill' | 'unknown';
  maintenance?: boolean;
  /** Why it is not well, or why nobody knows. */
  problem?: string;
}

/**
 * Looks at one environment: its host over SSH and its page as a visitor. Never throws: a host that does not answer says
 * nothing of the others.
 */
export async function lookAtSite(
  projectRoot: string,
  project: Project,
  environment: Environment,
  movedAway?: string,
): Promise<SiteOverview> {
  const { name, site, domain, host, jump } = environment;
  const [roles, certificate, onHost] = await Promise.all([
    movedAway ? ['old'] : rolesOf(projectRoot, environment),
    lookAtCertificate(environment),
    lookAtHost(projectRoot, project, environment),
  ]);
  return {
    environment: name,
    ...(movedAway && { movedAway }),
    site,
    domain,
    address: host.address,
    ...(jump && { jumpHost: jump.address }),
    roles,
    ...certificate,
    ...onHost,
  };
}

type Backups = Pick<SiteOverview, 'lastBackup' | 'backupProblems'>;
type OnHost = Backups &
  Pick<SiteOverview, 'operatingSystem' | 'release' | 'health' | 'maintenance' | 'problem'>;

async function lookAtHost(projectRoot: string, project: Project, environment: Environment): Promise<OnHost> {
  const { host, failure } = await examineKnownHost(projectRoot, project, environment);
  if (!host) return { health: 'unknown', problem: failure?.detail ?? 'There is no connection' };
  try {
    const { operatingSystemName: operatingSystem, provisioned } = await host.facts;
    if (!provisioned) return { operatingSystem, health: 'unknown', problem: 'It has not been provisioned' };
    const { connection } = host;
    const [{ release, healthy, problem, maintenance }, backups] = await Promise.all([
      releaseStatus(connection, environment.site),
      lookAtBackups({ connection, environment }),
    ]);
    return {
      operatingSystem,
      release,
      ...backups,
      health: healthy ? 'well' : 'ill',
      ...(maintenance && { maintenance: maintenance.on }),
      ...(problem && { problem }),
    };
  } catch (error) {
    return { health: 'unknown', problem: failure?.detail ?? toGobootError(error).message };
  } finally {
    await host.connection.close();
  }
}

async function lookAtBackups(host: Parameters<typeof listBackups>[0]): Promise<Backups> {
  try {
    const { backups, problems } = await listBackups(host);
    return {
      lastBackup: backups[0]?.time ?? null,
      ...(problems.length > 0 && { backupProblems: problems }),
    };
  } catch (error) {
    return { backupProblems: [toGobootError(error).message] };
  }
}

async function lookAtCertificate({
  domain,
  host,
  jump,
}: Environment): Promise<Pick<SiteOverview, 'certificateDays' | 'certificateTrusted'>> {
  // The address of a host behind another one leads nowhere from here.
  const where = jump ? {} : { address: host.address };
  const page = await fetchLivePage({ domain, path: '/health/', ...where }).catch(() => undefined);
  if (!page) return {};
  const { certificate } = page;
  return { certificateDays: daysLeft(certificate), certificateTrusted: certificate.trusted };
}

/** The groups of the inventory that a host is in, without that of its environment. */
async function rolesOf(projectRoot: string, { name, site }: Environment): Promise<string[]> {
  const { parse } = await import('yaml');
  try {
    const inventory = parse(await readFile(join(projectRoot, projectPaths.inventory(name)), 'utf8'));
    const groups: Record<string, { hosts?: Record<string, unknown> }> = inventory.all.children;
    return Object.keys(groups).filter(
      (group) => group !== environmentGroup(name) && site in (groups[group]?.hosts ?? {}),
    );
  } catch {
    return [];
  }
}

/** The environments as a table for people. The rows of those that are not well are marked by `mark`. */
export function overviewTable(
  sites: readonly SiteOverview[],
  mark: (row: string) => string = (row) => row,
): string[] {
  const [heading = '', ...rows] = alignColumns([
    ['environment', 'address', 'system', 'release', 'certificate', 'last backup (UTC)', 'health'],
    ...sites.map((site) => [
      `${site.environment}${site.movedAway ? ' (old)' : ''}`,
      `${site.address}${site.jumpHost ? ` through ${site.jumpHost}` : ''}`,
      site.operatingSystem ?? '',
      site.release ?? (site.release === null ? 'none' : ''),
      describeCertificate(site),
      describeBackup(site),
      describeHealth(site),
    ]),
  ]);
  return [heading, ...rows.map((row, index) => (isWell(sites[index] as SiteOverview) ? row : mark(row)))];
}

function isWell({ health, backupProblems, movedAway }: SiteOverview): boolean {
  // What is closed for good is not ill.
  if (movedAway) return health !== 'unknown';
  return health === 'well' && backupProblems === undefined;
}

function describeCertificate({ certificateDays, certificateTrusted }: SiteOverview): string {
  if (certificateDays === undefined) return '';
  return `${certificateDays} days${certificateTrusted ? '' : ', not trusted'}`;
}

function describeBackup({ lastBackup, backupProblems = [] }: SiteOverview): string {
  if (lastBackup === undefined) return backupProblems.length > 0 ? 'unknown' : '';
  return lastBackup?.replace('T', ' ').slice(0, 16) ?? 'none';
}

function describeHealth(overview: SiteOverview): string {
  const { health, maintenance, problem, backupProblems = [], movedAway } = overview;
  if (movedAway && health !== 'unknown') {
    return `closed since ${movedAway.slice(0, 10)}: yo goboot:host --remove ${overview.address}`;
  }
  const closed = maintenance ? ', closed for maintenance' : '';
  const problems = [...(problem ? [problem] : []), ...backupProblems].join('; ');
  return `${health}${closed}${problems ? `: ${problems}` : ''}`;
}
