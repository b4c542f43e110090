import { type PlaybookOptions, type PlaybookResult, runPlaybook } from '../ansible/playbook.ts';
import { GobootError } from '../errors.ts';
import type { Environment } from '../project.ts';
import type { SshConnection } from '../ssh/connection.ts';
import { count, formatSeconds } from '../terminal/format.ts';
import { type Reporter, runStep } from '../terminal/reporter.ts';
import { provisionFingerprint } from './fingerprint.ts';
import type { LivePage } from './live.ts';
import { type MaintenanceState, releaseStatus } from './maintenance.ts';

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
    ...(context.sshArguments && { sshArguments: context.sshArguments }),
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

function releaseSummary({ output }: PlaybookResult): string | undefined {
  const result = output.findLast(({ event }) => event === 'result');
  return result && `${result.status} ${result.release}`;
}

/** Whether the host was last provisioned from exactly these playbooks and variables. */
export async function isProvisioned(context: SiteContext): Promise<boolean> {
  const [expected, { stdout }] = await Promise.all([
    provisionFingerprint(context.projectRoot, context.environment.name),
    context.connection.execute(`cat /etc/${context.environment.site}/provisioned 2>/dev/null || true`),
  ]);
  return stdout.trim() === expected;
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

/** Puts the current commit live, and shows where the time on the host went. */
export const deployStep: OutsideStep = {
  plan: 'Deploy: send the commit, start it beside the running release, probe it, switch',
  async run(context) {
    const { output } = await play(context, {
      name: 'Deploy the commit',
      playbook: 'deploy.yml',
      detail: releaseSummary,
    });
    reportReleaseSteps(context.reporter, output);
  },
};

/** Goes back to an earlier release. */
export function rollbackStep(release: string | undefined): OutsideStep {
  return {
    plan: `Roll back: start ${release ?? 'the previous release'}, probe it, switch`,
    async run(context) {
      const { output } = await play(context, {
        name: 'Roll back',
        playbook: 'rollback.yml',
        detail: releaseSummary,
        ...(release && { variables: { release } }),
      });
      reportReleaseSteps(context.reporter, output);
    },
  };
}

function reportReleaseSteps(reporter: Reporter, output: PlaybookResult['output']): void {
  const steps = output.filter(({ event, status }) => event === 'step' && status === 'ok');
  if (steps.length === 0) return;
  const slowest = [...steps].sort((a, b) => Number(b.seconds) - Number(a.seconds)).slice(0, 4);
  const parts = slowest.map(({ name, seconds }) => `${name} ${formatSeconds(Number(seconds))}`);
  reporter.info(`On the host: ${parts.join(', ')}`);
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
  const { environment, connection, reporter } = context;
  return runStep(
    reporter,
    'Prove that it is live',
    async () => {
      const { fetchLivePage } = await import('./live.ts');
      const services = await checkServices(connection, environment);
      const visit = { domain: environment.domain, address: environment.host.address, ...where };
      const [page, health] = [
        await fetchLivePage(visit),
        await fetchLivePage({ ...visit, path: '/health/' }),
      ];
      const closed = page.status === 503 ? await closedAndWell(connection, environment) : undefined;
      if (closed) return { page, services, ...closed };
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
    `sudo -n /usr/local/sbin/${site}-release manage -- check_services --json`,
  );
  const line = result.stdout.split('\n').findLast((text) => text.trim().startsWith('{'));
  if (!line) {
    throw new GobootError(
      `The site cannot check its services: ${result.stderr.trim().split('\n').at(-1) ?? ''}`,
      {
        remedy: `On the server: sudo ${site}-release manage -- check_services`,
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
    : `issued by ${issuer}, valid until ${validUntil}${trusted ? '' : ' (an authority that this computer does not trust)'}`;
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
