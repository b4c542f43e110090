import { userInfo } from 'node:os';
import { GobootError } from '../errors.ts';
import type { Environment } from '../project.ts';
import type { SshConnection } from '../ssh/connection.ts';
import { type ReleaseEvent, type ReleaseRun, runReleaseCommand, throwOnFailure } from './release-command.ts';

interface Host {
  connection: SshConnection;
  environment: Environment;
}

const by = () => `--by=${process.env.GITHUB_ACTOR || userInfo().username}`;

/**
 * Ends a site on its host, because another one takes it over: visitors get the page for maintenance, tasks that were
 * sent are done, and nothing writes to its data any more. Can be repeated.
 *
 * Throws a GobootError; the site is served as before then.
 */
export async function handOver(
  host: Host,
  to: string,
  {
    leaveTasks = false,
    onEvent = () => {},
  }: { leaveTasks?: boolean; onEvent?: (event: ReleaseEvent) => void } = {},
): Promise<ReleaseRun> {
  const words = ['hand-over', `--to=${to}`, by(), '--wait=600', ...(leaveTasks ? ['--leave-tasks'] : [])];
  return run(host, words, onEvent);
}

/** Brings a site back that was handed over. Can be repeated. Throws a GobootError. */
export async function takeBack(host: Host): Promise<ReleaseRun> {
  return run(host, ['take-back', by(), '--wait=600'], () => {});
}

async function run(
  host: Host,
  words: readonly string[],
  onEvent: (event: ReleaseEvent) => void,
): Promise<ReleaseRun> {
  const done = await runReleaseCommand(host, words, { onEvent });
  if (/invalid choice/.test(done.result.message)) throw tooOld(host);
  throwOnFailure(done);
  return done;
}

function tooOld({ environment }: Host): GobootError {
  return new GobootError(`${environment.host.address} was provisioned before its sites could move away`, {
    remedy: `Provision it again: yo goboot:deploy --provision --environment ${environment.name}`,
  });
}

/** Throws a GobootError where the host's release command is too old to hand the site over. Changes nothing. */
export async function requireHandOver(host: Host): Promise<void> {
  const { connection, environment } = host;
  const { stdout } = await connection.execute(`sudo -n /usr/local/sbin/${environment.site}-release --help`);
  if (!stdout.includes('hand-over')) throw tooOld(host);
}
