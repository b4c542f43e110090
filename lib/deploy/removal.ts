import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runPlaybook } from '../ansible/playbook.ts';
import { GobootError } from '../errors.ts';
import { projectPaths } from '../paths.ts';
import { type Reporter, runStep } from '../terminal/reporter.ts';
import { releaseStatus } from './maintenance.ts';
import type { MovingHost } from './replacement.ts';
import { sizesOf } from './transfer.ts';

/** What would be lost with a site on a host. */
export interface SiteContents {
  /** For people, in lines; empty where the host has no such site. */
  lines: string[];
  /** Whether visitors get it from there. */
  served: boolean;
}

/** Looks at what a host has of a site. Changes nothing. Throws a GobootError. */
export async function contentsOf({ environment, connection }: MovingHost): Promise<SiteContents> {
  const { site, host } = environment;
  const { stdout } = await connection.execute(`sudo -n test -e /etc/${site} && echo there || echo gone`);
  if (stdout.trim() === 'gone') return { lines: [], served: false };
  const [sizes, status] = await Promise.all([
    sizesOf({ connection, site, address: host.address }),
    releaseStatus(connection, site).catch(() => undefined),
  ]);
  const mebibytes = (bytes: number) => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
  const handedOver = /handed over/.test(status?.problem ?? '');
  return {
    lines: [
      `the database ${site} (${mebibytes(sizes.database)})`,
      `the uploads in /srv/${site}/media (${mebibytes(sizes.media)})`,
      `the backups in /var/backups/${site} (${mebibytes(sizes.backups)}); a second place keeps its own`,
      'all releases, settings, logs and the certificate of the site, its account and its units',
    ],
    served: Boolean(status?.release) && !handedOver,
  };
}

/**
 * Removes a site from a host, with its data; the other sites there stay. Can be repeated. Returns the number of things
 * that were changed. Throws a GobootError.
 */
export async function removeSite(
  projectRoot: string,
  { environment, connection }: MovingHost,
  reporter: Reporter,
): Promise<void> {
  const playbook = 'remove.yml';
  if (!existsSync(join(projectRoot, projectPaths.ansible, playbook))) {
    throw new GobootError(`The project has no ${projectPaths.ansible}/${playbook} yet`, {
      remedy: 'Render it again with this version: yo goboot',
    });
  }
  await runStep(
    reporter,
    `Remove ${environment.site} from ${environment.host.address}`,
    () =>
      runPlaybook({
        projectRoot,
        environment: environment.name,
        playbook,
        variables: { remove_for_good: environment.site },
        // The project's own configuration may lead to another host by now.
        sshArguments: connection.sshArguments,
      }),
    ({ changed }) => (changed > 0 ? undefined : 'nothing was left of it'),
  );
}

/** The plan of a removal, in lines. */
export function removalPlan({ environment }: MovingHost, { lines }: SiteContents): string[] {
  const { site, host } = environment;
  if (lines.length === 0) return [`${host.address} has no site ${site} any more`];
  return [
    `On ${host.address}, remove the site ${site}, and nothing of other sites. This is lost:`,
    ...lines.map((line) => `  ${line}`),
  ];
}
