import type { BaseOptions } from 'yeoman-generator';
import { GobootGenerator } from '../../lib/base.ts';
import {
  askForMaintenance,
  describeVisit,
  type MaintenanceRequest,
  maintenanceRequest,
  stateLines,
  withAddresses,
} from '../../lib/deploy/maintenance.ts';
import { visitorHeaders } from '../../lib/deploy/visitor.ts';
import { connectToSite } from '../../lib/preflight/run.ts';
import { connectionSwitches, switches } from '../../lib/questions.ts';
import { type OpenedProject, openProject } from '../../lib/settings-file.ts';
import type { SshConnection } from '../../lib/ssh/connection.ts';
import { describeTarget } from '../../lib/ssh/target.ts';
import { runStep } from '../../lib/terminal/reporter.ts';

const definition = {
  questions: [],
  switches: [
    switches.environment,
    ...Object.values(connectionSwitches),
    switches.allow,
    switches.retryAfter,
    switches.message,
    switches.yes,
    switches.check,
    switches.dryRun,
  ],
  positionals: ['action'],
};

/** `yo goboot:maintenance on|off|status`: check → close the site or open it → look at it as a visitor. */
export default class MaintenanceGenerator extends GobootGenerator {
  #request!: MaintenanceRequest;
  #opened!: OpenedProject;
  #connection!: SshConnection;

  constructor(args: string[], options: BaseOptions) {
    super(args, options, definition);
    this.registerPriorities([{ priorityName: 'deploy', before: 'end' }]);
  }

  async initializing(): Promise<void> {
    await this.phase(() => {
      const [allow, retryAfter, message] = [switches.allow, switches.retryAfter, switches.message].map(
        (flag) => this.textOf(flag),
      );
      this.#request = maintenanceRequest(this.commandLine.positionals[0], {
        ...(allow !== undefined && { allow }),
        ...(retryAfter !== undefined && { retryAfter }),
        ...(message !== undefined && { message }),
      });
      this.#opened = openProject(this.env.cwd, this.textOf(switches.environment), this.connectionFlags());
    });
  }

  async configuring(): Promise<void> {
    await this.phase(async () => {
      const { environment } = this.#opened;
      this.#connection = (await connectToSite(this.reporter, this.#opened)).connection;
      this.giveBackAtTheEnd(() => this.#connection.close());
      this.#request = await withAddresses(this.#connection, this.#request);
      if (this.#request.action === 'status') return;
      const { action, allow } = this.#request;
      const plan = {
        on: [
          'Close the site: every visitor gets a page that says so, with status 503',
          allow.length > 0 ? `Let in: ${allow.join(', ')}` : 'Let in: nobody but the host itself',
        ],
        off: ['Open the site to everybody'],
      }[action];
      this.reporter.plan(`https://${environment.domain}/ on ${describeTarget(environment.host)}`, plan);
      await this.stopAfterPlan({ steps: plan });
    });
  }

  async deploy(): Promise<void> {
    await this.phase(async () => {
      const { root, environment } = this.#opened;
      const titles = { on: 'Close the site', off: 'Open the site', status: 'Ask the host' };
      const { state } = await runStep(
        this.reporter,
        titles[this.#request.action],
        () => askForMaintenance(this.#connection, environment.site, this.#request),
        ({ message }) => message,
      );
      const { fetchLivePage } = await import('../../lib/deploy/live.ts');
      const page = await runStep(
        this.reporter,
        'Look at it as a visitor',
        async () =>
          fetchLivePage({
            domain: environment.domain,
            address: environment.host.address,
            headers: await visitorHeaders(root, environment.name),
          }),
        ({ status, milliseconds }) => `HTTPS ${status} in ${milliseconds} ms`,
      );
      await this.cleanUp();
      const visit =
        this.#request.action === 'status'
          ? `From here https://${environment.domain}/ answers ${page.status}.`
          : describeVisit(environment.domain, page, state);
      this.reporter.result(
        {
          status: state.on ? 'on' : 'off',
          url: `https://${environment.domain}/`,
          maintenance: state,
          page: { status: page.status, retryAfter: page.headers['retry-after'] ?? null },
        },
        [...stateLines(state), visit],
      );
    });
  }
}
