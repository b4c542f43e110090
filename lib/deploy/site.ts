import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type PlaybookOptions, type PlaybookResult, runPlaybook } from '../ansible/playbook.ts';
import { daysLeft, renewalProblem } from '../certificate.ts';
import { GobootError, usageError } from '../errors.ts';
import { archiveOf } from '../git.ts';
import { projectPaths } from '../paths.ts';
import type { Environment } from '../project.ts';
import type { SshConnection } from '../ssh/connection.ts';
import { count } from '../terminal/format.ts';
import { type Reporter, runStep } from '../terminal/reporter.ts';
import {
  type BegunDeploy,
  beginDeploy,
  type DeployOptions,
  type DeployRequest,
  deployRequest,
  onBehalf,
  waiting,
} from './begun-deploy.ts';
import { fingerprintsBeforeVault } from './fingerprint.ts';
import type { LivePage } from './live.ts';
import { type MaintenanceState, releaseStatus } from './maintenance.ts';
import {
  type ReleaseEvent,
  type ReleaseRun,
  releaseCommandLine,
  runReleaseCommand,
  slowestSteps,
  throwOnFailure,
} from './release-command.ts';
import { visitorHeaders } from './visitor.ts';

/** One site to work on: where its project is, how its host is reached, and who is told. */
export interface SiteContext {
  projectRoot: string;
  environment: Environment;
  connection: SshConnection;
  reporter: Reporter;
  /** Variables that win over those of the inventory. */
  variables?: Record<string, unknown>;
  /** Replaces the ssh arguments of ansible.cfg. */
  sshArguments?: string;
  cancelSignal?: AbortSignal;
  /** Seconds that each playbook took, in order; filled in as they run. */
  times: [name: string, seconds: number][];
}

/** Something done to a host: what it will do, in one line, and the doing. */
export interface OutsideStep {
  plan: string;
  run(context: SiteContext): Promise<void>;
}

function play(
  context: SiteContext,
  {
    name,
    playbook,
    detail,
    variables = {},
  }: {
    name: string;
    playbook: string;
    /** What the user is told when it has worked. */
    detail: (result: PlaybookResult) => string | undefined;
    variables?: Record<string, unknown>;
  },
): Promise<PlaybookResult> {
  const options = (onTask: (task: string) => void): PlaybookOptions => ({
    projectRoot: context.projectRoot,
    environment: context.environment.name,
    playbook,
    variables: { ...context.variables, ...variables },
    onTask,
    onMessage: (message) => messages.push(message),
    // Without a connection of its own: firewalls limit how many may come. Ansible would also name that after the site,
    // so a rehearsal could find the one to the real host.
    sshArguments: context.sshArguments ?? `-F ssh_config ${context.connection.sharingArguments}`,
    ...(context.cancelSignal && { cancelSignal: context.cancelSignal }),
  });
  const messages: string[] = [];
  const started = performance.now();
  return runStep(
    context.reporter,
    name,
    (step) => {
      let tasks = 0;
      return runPlaybook(
        options((task) => {
          tasks += 1;
          step.update(`${tasks} ${task}`);
        }),
      );
    },
    detail,
  ).finally(() => {
    context.times.push([name, (performance.now() - started) / 1000]);
    for (const message of messages) context.reporter.warn(message);
  });
}

/** Brings the host to the state that the site needs. */
export const provisionStep: OutsideStep = {
  plan: 'Provision: PostgreSQL, RabbitMQ, memcached, Postfix, nginx, certificate, firewall',
  async run(context) {
    await play(context, {
      name: 'Provision the host',
      playbook: 'provision.yml',
      detail: ({ tasks, changed }) => `${count(tasks, 'task')}, ${changed} changed`,
    });
  },
};

/** The playbook that brings changed secrets to a host. */
const secretsPlaybook = 'secrets.yml';

/**
 * Brings the secrets of the vault to a host that is provisioned: to what knows one of them, and nothing else. The site is
 * started anew beside itself if its settings have changed.
 */
export const secretsStep: OutsideStep = {
  plan: 'Bring the secrets to the host; start the site anew beside itself if its settings have changed',
  async run(context) {
    const { projectRoot, environment } = context;
    if (!existsSync(join(projectRoot, projectPaths.ansible, secretsPlaybook))) {
      throw new GobootError(`The project has no ${projectPaths.ansible}/${secretsPlaybook}`, {
        remedy: 'Its playbooks are older than this command. Render the project again with: yo goboot',
      });
    }
    await play(context, {
      name: `Bring the secrets to the host of ${environment.name}`,
      playbook: secretsPlaybook,
      detail: ({ changed }) => (changed === 0 ? 'it had them already' : undefined),
      variables: { provisioned_before: await fingerprintsBeforeVault(projectRoot, environment.name) },
    });
  },
};

/**
 * Puts the current commit live, and shows where the time on the host went. Uses the run of the release command that has
 * begun, if that is for the same deploy.
 */
export function deployStep(options: DeployOptions = {}, begun?: BegunDeploy): OutsideStep {
  return {
    plan: 'Deploy: send the commit, start it beside the running release, probe it, switch',
    async run(context) {
      const { projectRoot, environment, connection } = context;
      const request = await deployRequest(projectRoot, environment.name, options);
      const deploy = useIfFor(request, begun) ?? beginDeploy({ connection, environment, request });
      await release(context, 'Deploy the commit', (onEvent) =>
        deploy.send(archiveOf(projectRoot, request.commit), onEvent),
      );
    },
  };
}

/** What a user may decide about going back. */
export interface RollbackOptions {
  /** Seconds to wait for another run. */
  wait?: number;
  /** Goes back with the data, too: what was written since the dump is lost. */
  withDatabase?: {
    /** Asked with what would be lost, unless it is undefined: then it is accepted. */
    accept: ((loss: string) => Promise<boolean>) | undefined;
  };
}

/** A deploy that has begun for this very request; one for another is abandoned. */
function useIfFor(request: DeployRequest, begun?: BegunDeploy): BegunDeploy | undefined {
  if (begun?.isFor(request)) return begun;
  begun?.abandon();
  return undefined;
}

/** Goes back to an earlier release. */
export function rollbackStep(
  target: string | undefined,
  { wait, withDatabase }: RollbackOptions = {},
): OutsideStep {
  const words = ['rollback', ...(target ? [target] : []), ...waiting(wait)];
  if (!withDatabase) {
    return {
      plan: `Roll back: start ${target ?? 'the previous release'} unless it still runs, probe it, switch`,
      run: (context) => release(context, 'Roll back', runOf(context, words)),
    };
  }
  return {
    plan: `Roll back to ${target ?? 'the previous release'} with its data: restore the dump beside the database, compare, swap`,
    async run(context) {
      if (withDatabase.accept) {
        const loss = await askWhatWouldBeLost(context, words);
        if (!(await withDatabase.accept(loss))) {
          throw usageError(`Nothing was changed. ${loss}`, 'To lose that, say so: --accept-loss.');
        }
      }
      await release(
        context,
        'Roll back with the data',
        runOf(context, [...words, '--with-db', '--accept-loss']),
      );
    },
  };
}

async function askWhatWouldBeLost(context: SiteContext, words: readonly string[]): Promise<string> {
  const { result } = await runStep(context.reporter, 'Find out what would be lost', async () => {
    const run = await runReleaseCommand(context, [...words, '--with-db', ...onBehalf()]);
    if (run.result.status !== 'confirmation-needed') throwOnFailure(run);
    return run;
  });
  return result.message;
}

type ReleaseCommand = (onEvent: (event: ReleaseEvent) => void) => Promise<ReleaseRun>;

function runOf(context: SiteContext, words: readonly string[]): ReleaseCommand {
  return (onEvent) => runReleaseCommand(context, [...words, ...onBehalf()], { onEvent });
}

/** Runs the release command as one step that shows what happens on the host. Throws when it fails. */
async function release(context: SiteContext, name: string, command: ReleaseCommand): Promise<void> {
  const { reporter, times } = context;
  const started = performance.now();
  const warnings: string[] = [];
  const { events } = await runStep(
    reporter,
    name,
    async (step) => {
      const run = await command((event) => {
        if (event.event === 'step') step.update(`${event.name} ${event.status}`);
        else if (event.event === 'warning') warnings.push(String(event.message));
      });
      throwOnFailure(run);
      return run;
    },
    ({ result }) => `${result.status} ${result.release}`,
  ).finally(() => {
    for (const warning of warnings) reporter.warn(warning);
  });
  times.push([name, (performance.now() - started) / 1000]);
  const slowest = slowestSteps(events);
  if (slowest) reporter.info(`On the host: ${slowest}`);
}

/** What was found when the live site was looked at. */
export interface Proof {
  page: LivePage;
  /** By service: what answered, and in how many seconds. */
  services: Record<string, { ok: boolean; detail: string; seconds: number }>;
  release: string;
  /** While visitors are kept out on purpose. */
  maintenance?: MaintenanceState;
}

/**
 * Looks at the site as a visitor does, and lets it use each of its services: a row through PostgreSQL, a value
 * through memcached, a task through RabbitMQ to the worker and back. While the site is closed for maintenance a visitor
 * must get the page that says so, and the site is asked from its own host.
 *
 * Throws a GobootError when the page or a service fails.
 */
export async function proveSite(
  context: SiteContext,
  where: { address?: string; authorities?: string } = {},
): Promise<Proof> {
  const { projectRoot, environment, connection, reporter } = context;
  const proof = await runStep<Proof>(
    reporter,
    'Prove that it is live',
    async () => {
      const { fetchLivePage } = await import('./live.ts');
      const services = await checkServices(connection, environment);
      const headers = await visitorHeaders(projectRoot, environment.name);
      const stranger = { domain: environment.domain, address: environment.host.address, ...where };
      const visit = { ...stranger, headers };
      const [page, health] = [
        await fetchLivePage(visit),
        await fetchLivePage({ ...visit, path: '/health/' }),
      ];
      const closed = page.status === 503 ? await closedAndWell(connection, environment) : undefined;
      if (closed) return { page, services, ...closed };
      if (headers.authorization) await refuseOpenDoor(await fetchLivePage(stranger), environment);
      if (page.status !== 200) {
        throw new GobootError(`https://${environment.domain}/ answered with status ${page.status}`, {
          remedy: `Look at the site's log on the server: journalctl -u '${environment.site}-*' -n 100`,
        });
      }
      return { page, services, release: readRelease(health.body) };
    },
    ({ page, maintenance }) =>
      `HTTPS ${page.status} in ${page.milliseconds} ms${maintenance ? ', closed for maintenance' : ''}`,
  );
  const problem = renewalProblem(proof.page.certificate);
  if (problem) reporter.warn(`${problem.message}. ${problem.remedy}`);
  return proof;
}

/** Throws a GobootError when the page that a visitor gets without the password is not a refusal. */
async function refuseOpenDoor({ status }: LivePage, { domain }: Environment): Promise<void> {
  if (status === 401) return;
  throw new GobootError(
    `https://${domain}/ answered with status ${status} to a visitor without the password`,
    {
      remedy: 'Provision the host again: yo goboot:deploy --provision',
    },
  );
}

/** What is live behind the page for maintenance; undefined when there is no maintenance to explain a 503. */
async function closedAndWell(
  connection: SshConnection,
  { site }: Environment,
): Promise<Pick<Proof, 'release' | 'maintenance'> | undefined> {
  const { release, healthy, problem, maintenance } = await releaseStatus(connection, site);
  if (!maintenance?.on) return undefined;
  if (!healthy) throw new GobootError(`Behind the page for maintenance the site is not well: ${problem}`);
  return { release: release ?? 'unknown', maintenance };
}

async function checkServices(connection: SshConnection, { site }: Environment): Promise<Proof['services']> {
  const result = await connection.execute(
    releaseCommandLine(site, ['manage', '--', 'check_services', '--json']),
  );
  const line = result.stdout.split('\n').findLast((text) => text.trim().startsWith('{'));
  if (!line) {
    throw new GobootError(
      `The site cannot check its services: ${result.stderr.trim().split('\n').at(-1) ?? ''}`,
      {
        remedy: `On the server: sudo ${site}-manage check_services`,
      },
    );
  }
  const services: Proof['services'] = JSON.parse(line);
  const broken = Object.entries(services).filter(([, { ok }]) => !ok);
  if (broken.length > 0) {
    throw new GobootError(
      `The site cannot use ${broken.map(([name, { detail }]) => `${name} (${detail})`).join(', ')}`,
      { remedy: `On the server: systemctl --failed, and journalctl -u '${site}-*' -n 100` },
    );
  }
  return services;
}

function readRelease(body: string): string {
  try {
    return String(JSON.parse(body).release ?? 'unknown');
  } catch {
    return 'unknown';
  }
}

/** The proof as lines for people. */
export function proofLines({ page, services, release, maintenance }: Proof, domain: string): string[] {
  const { issuer, trusted, selfSigned, validUntil } = page.certificate;
  const certificate = selfSigned
    ? 'self-signed: browsers will warn until a certificate authority has issued one'
    : `issued by ${issuer}, valid for ${daysLeft(page.certificate)} more days, until ${validUntil}${trusted ? '' : ' (an authority that this computer does not trust)'}`;
  const rows: [string, string][] = [
    [
      'page',
      `https://${domain}/ answered ${page.status} in ${page.milliseconds} ms${maintenance ? ': maintenance is on' : ''}`,
    ],
    ['certificate', certificate],
    ...Object.entries(services).map(([name, { detail, seconds }]): [string, string] => [
      name,
      `${detail} (${Math.round(seconds * 1000)} ms)`,
    ]),
    ['release', release],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `${name.padEnd(width)}  ${text}`);
}
