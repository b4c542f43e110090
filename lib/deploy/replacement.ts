import { GobootError, toGobootError } from '../errors.ts';
import { hasCommit } from '../git.ts';
import type { HostFacts } from '../preflight/host-facts.ts';
import type { Environment } from '../project.ts';
import type { SshConnection } from '../ssh/connection.ts';
import { formatSeconds } from '../terminal/format.ts';
import { type Reporter, runStep } from '../terminal/reporter.ts';
import { workOnBackups } from './backups.ts';
import { provisionFingerprint } from './fingerprint.ts';
import { handOver, requireHandOver, takeBack } from './hand-over.ts';
import { releaseStatus } from './maintenance.ts';
import type { ReleaseEvent } from './release-command.ts';
import { deployStep, type Proof, proveSite, provisionStep, type SiteContext } from './site.ts';
import {
  runAsRoot,
  type SiteHost,
  type SiteSizes,
  sendBackups,
  sendCertificates,
  sizesOf,
} from './transfer.ts';

/** One of the two hosts of a move. */
export interface MovingHost {
  environment: Environment;
  connection: SshConnection;
}

/** What is known before a site moves. */
export interface Move {
  from: MovingHost;
  to: MovingHost;
  /** The commit that is live on the old host, in full. */
  commit: string;
  sizes: SiteSizes;
  /** Whether an earlier run has closed the site on the old host already. */
  handedOver: boolean;
}

/** What has come of a move. */
export interface Moved {
  proof: Proof;
  /** Seconds from the last request that the old host answered until the new one was ready. */
  closedSeconds: number;
  /** Bytes that were sent. */
  sent: number;
}

const gibibyte = 1024 ** 3;
/** Packages, virtual environment and releases, as the check of the disk wants it. */
const softwareBytes = 2 * gibibyte;

/**
 * Looks whether a site can move: the old host has a release whose commit is here, and can hand over; the new one has
 * room for the data. Changes nothing. Throws a GobootError.
 */
export async function prepareMove(
  projectRoot: string,
  from: MovingHost,
  to: MovingHost & { facts: HostFacts },
): Promise<Move> {
  await requireHandOver(from);
  const [status, sizes] = await Promise.all([
    releaseStatus(from.connection, from.environment.site),
    sizesOf(siteHost(from)),
  ]);
  const { commit } = status;
  if (!commit) {
    throw new GobootError(
      `Nothing is live on ${from.environment.host.address}, so there is nothing to take over`,
      {
        remedy: `Point the project to the new host instead: yo goboot --host ${to.environment.host.address}`,
      },
    );
  }
  if (!(await hasCommit(projectRoot, commit))) {
    throw new GobootError(`The commit that is live, ${commit.slice(0, 8)}, is not in this repository`, {
      remedy: 'Get it: git fetch --all',
    });
  }
  refuseLackOfRoom(sizes, to);
  const handedOver = /handed over/.test(status.problem ?? '');
  return { from, to, commit, sizes, handedOver };
}

/** Bytes that a host needs for a site: the backups, the restored database beside its dump, the uploads twice. */
export function neededBytes({ database, media, backups }: SiteSizes): number {
  return softwareBytes + backups + 4 * database + 2 * media;
}

function refuseLackOfRoom(sizes: SiteSizes, { environment, facts }: MovingHost & { facts: HostFacts }): void {
  const needed = neededBytes(sizes);
  const free = Math.min(...(facts.survey?.disks ?? []).map((disk) => disk.free));
  // A host on which an earlier run was has a part of it already.
  if (!Number.isFinite(free) || free >= needed || facts.provisioned) return;
  const inGibibytes = (bytes: number) => `${(bytes / gibibyte).toFixed(1)} GiB`;
  throw new GobootError(
    `${environment.host.address} has ${inGibibytes(free)} free, and the site needs ${inGibibytes(needed)}`,
    { remedy: 'Take a host with a larger disk. Nothing was changed.' },
  );
}

function siteHost({ environment, connection }: MovingHost): SiteHost {
  return { connection, site: environment.site, address: environment.host.address };
}

/** What a move does, as lines of the plan. */
export function movePlan({ from, to, commit, sizes, handedOver }: Move): string[] {
  const mebibytes = (bytes: number) => `${(bytes / 1024 ** 2).toFixed(0)} MiB`;
  const data = `database ${mebibytes(sizes.database)}, uploads ${mebibytes(sizes.media)}, backups ${mebibytes(sizes.backups)}`;
  const [old, fresh] = [from.environment.host.address, to.environment.host.address];
  return [
    `Send the certificate from ${old} to ${fresh}`,
    `On ${fresh}: provision, deploy commit ${commit.slice(0, 8)}, which is live now`,
    ...(handedOver
      ? [`The site is closed on ${old} already`]
      : [
          `Back up on ${old}, send the backups (${data}) and restore the newest on ${fresh}: a first copy, while the site is open`,
          `Prove ${fresh} under the name ${from.environment.domain}, whatever the DNS says`,
          `Close the site on ${old}: visitors get the page for maintenance`,
        ]),
    'Send what was written since, restore it, prove it again',
  ];
}

export interface MoveOptions {
  projectRoot: string;
  reporter: Reporter;
  leaveTasks: boolean;
}

/**
 * Moves a site to another host. Every step looks at what there is, so a run that was cut off can be repeated. The data
 * goes by way of the backups, which are encrypted and verified, from host to host through this computer's memory.
 *
 * Throws a GobootError. Where the site was closed by then, it is opened again on the old host.
 */
export async function moveSite(move: Move, options: MoveOptions): Promise<Moved> {
  const { from, to } = move;
  const { projectRoot, reporter } = options;
  const context = {
    projectRoot,
    environment: to.environment,
    connection: to.connection,
    reporter,
    sshArguments: to.connection.sshArguments,
    times: [],
  } satisfies SiteContext;
  const trusted = await runStep(
    reporter,
    'Send the certificate',
    () => sendCertificates(siteHost(from), siteHost(to)),
    (sent) => (sent ? undefined : 'there is none of an authority'),
  );
  await provisionIfNeeded(context);
  await deployStep({ commit: move.commit, wait: 600 }).run(context);
  let sent = 0;
  const copy = async (title: string) => {
    sent += await copyData(title, move, reporter);
  };
  if (!move.handedOver) {
    await stopScheduler(to);
    await copy('Copy the data for the first time');
    await stopScheduler(to);
    requireTrust(await proveSite(context), trusted, to);
  }
  const closedAt = performance.now();
  await runStep(
    reporter,
    `Close the site on ${from.environment.host.address}`,
    (step) =>
      handOver(from, to.environment.host.address, {
        leaveTasks: options.leaveTasks,
        onEvent: showSteps(step),
      }),
    ({ result }) => result.message,
  );
  let moved: Moved;
  try {
    await copy('Copy what was written since');
    const closedSeconds = (performance.now() - closedAt) / 1000;
    const proof = await proveSite(context);
    requireTrust(proof, trusted, to);
    moved = { proof, closedSeconds, sent };
  } catch (error) {
    await runStep(reporter, `Open the site on ${from.environment.host.address} again`, () => takeBack(from));
    throw error;
  }
  await firstBackup(to, reporter);
  return moved;
}

/** From now on the backups are made here, also those in a second place. That it fails stops nothing. */
async function firstBackup(host: MovingHost, reporter: Reporter): Promise<void> {
  await runStep(reporter, `Back up on ${host.environment.host.address}`, async (step) => {
    try {
      await workOnBackups(host, { action: 'run' }, showSteps(step));
    } catch (error) {
      reporter.warn(`${toGobootError(error).message}. See yo goboot:backups.`);
    }
  });
}

async function provisionIfNeeded(context: SiteContext): Promise<void> {
  const { connection, environment, projectRoot } = context;
  const [project, { stdout }] = await Promise.all([
    provisionFingerprint(projectRoot, environment.name),
    connection.execute(`sudo -n cat /etc/${environment.site}/provisioned 2>/dev/null || true`),
  ]);
  if (stdout.trim() !== project) await provisionStep.run(context);
}

/** Two hosts must not do the same at the same time. Restoring a backup starts it again. */
async function stopScheduler(host: MovingHost): Promise<void> {
  await runAsRoot(siteHost(host), 'To stop the scheduler', 'systemctl stop "$1-beat.service"', [
    host.environment.site,
  ]);
}

/** Makes the data of the old host those of the new one, and returns the bytes that were sent. */
function copyData(title: string, { from, to }: Move, reporter: Reporter): Promise<number> {
  return runStep(
    reporter,
    title,
    async (step) => {
      step.update('back up');
      await workOnBackups(from, { action: 'run', place: 'first' }, showSteps(step));
      step.update('send');
      const bytes = await sendBackups(siteHost(from), siteHost(to));
      const restore = { action: 'restore', place: 'first', acceptLoss: true } as const;
      await workOnBackups(to, restore, showSteps(step));
      return bytes;
    },
    (bytes) => `${(bytes / 1024 ** 2).toFixed(1)} MiB sent`,
  );
}

function showSteps(step: { update(text: string): void }): (event: ReleaseEvent) => void {
  return ({ event, name, status }) => {
    if (event === 'step') step.update(`${name} ${status}`);
  };
}

/** Throws a GobootError where visitors would be warned of a certificate that the old host does not have. */
function requireTrust({ page }: Proof, trusted: boolean, { environment }: MovingHost): void {
  if (!trusted || !page.certificate.selfSigned) return;
  throw new GobootError(
    `${environment.host.address} shows a self-signed certificate for ${environment.domain}`,
    {
      remedy:
        'Provision it once more with --resume; the log in .ansible/logs tells why it was not taken over.',
    },
  );
}

/** What to do in the DNS, in lines, once a site has moved. */
export function dnsSteps({ from, to }: Pick<Move, 'from' | 'to'>, names: readonly string[]): string[] {
  const { address } = to.environment.host;
  const type = address.includes(':') ? 'AAAA' : /^[\d.]+$/.test(address) ? 'A' : 'A and AAAA';
  return [
    'Now change the DNS, so that visitors reach the new host:',
    ...names.map((name) =>
      type === 'A and AAAA'
        ? `  ${name}.  A and AAAA  the addresses of ${address}`
        : `  ${name}.  ${type}  ${address}`,
    ),
    `  Delete the other A and AAAA records of ${names.length > 1 ? 'these names' : 'that name'}: until then some visitors get the page for maintenance of ${from.environment.host.address}.`,
    'When nobody comes to the old host any more:',
    `  yo goboot:host --remove ${from.environment.host.address}`,
  ];
}

/** How long visitors were kept out, for people. */
export function describeMoved({ closedSeconds, sent }: Moved): string {
  return `closed for ${formatSeconds(closedSeconds)}, ${(sent / 1024 ** 2).toFixed(1)} MiB sent`;
}
