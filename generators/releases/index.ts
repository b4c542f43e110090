import type { BaseOptions } from 'yeoman-generator';
import { GobootGenerator } from '../../lib/base.ts';
import {
  listReleases,
  type ReleasesRequest,
  releasesRequest,
  releaseTable,
  removeReleases,
} from '../../lib/deploy/releases.ts';
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
    switches.yes,
    switches.check,
    switches.dryRun,
  ],
  positionals: ['action', 'value'],
};

/** `yo goboot:releases [list | delete RELEASE | prune NUMBER]`: check → remove → list what is on the host. */
export default class ReleasesGenerator extends GobootGenerator {
  #request!: ReleasesRequest;
  #opened!: OpenedProject;
  #connection!: SshConnection;

  constructor(args: string[], options: BaseOptions) {
    super(args, options, definition);
    this.registerPriorities([{ priorityName: 'deploy', before: 'end' }]);
  }

  async initializing(): Promise<void> {
    await this.phase(() => {
      this.#request = releasesRequest(this.commandLine.positionals);
      this.#opened = openProject(this.env.cwd, this.textOf(switches.environment), this.connectionFlags());
    });
  }

  async configuring(): Promise<void> {
    await this.phase(async () => {
      const { environment } = this.#opened;
      this.#connection = (await connectToSite(this.reporter, this.#opened)).connection;
      this.giveBackAtTheEnd(() => this.#connection.close());
      if (this.#request.action === 'list') return;
      const plan = [
        this.#request.action === 'delete'
          ? `Delete the release ${this.#request.release}, unless it is needed`
          : `Delete all releases but the newest ${this.#request.keep}, and those that are needed`,
      ];
      this.reporter.plan(`https://${environment.domain}/ on ${describeTarget(environment.host)}`, plan);
      await this.stopAfterPlan({ steps: plan });
    });
  }

  async deploy(): Promise<void> {
    await this.phase(async () => {
      const context = { connection: this.#connection, environment: this.#opened.environment };
      if (this.#request.action !== 'list') {
        const { action, ...value } = this.#request;
        await runStep(
          this.reporter,
          'Delete releases',
          () => removeReleases(context, [action, ...Object.values(value)]),
          ({ result }) => result.message,
        );
      }
      const { releases } = await listReleases(context);
      await this.cleanUp();
      this.reporter.result({ status: 'listed', releases }, releaseTable(releases));
    });
  }
}
