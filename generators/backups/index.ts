import type { BaseOptions } from 'yeoman-generator';
import { GobootGenerator } from '../../lib/base.ts';
import {
  askWhatRestoringLoses,
  type BackupsRequest,
  backupsPlan,
  backupsRequest,
  backupTable,
  listBackups,
  workOnBackups,
} from '../../lib/deploy/backups.ts';
import { usageError } from '../../lib/errors.ts';
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
    switches.place,
    switches.acceptLoss,
    switches.yes,
    switches.check,
    switches.dryRun,
  ],
  positionals: ['action', 'value'],
};

/** `yo goboot:backups [list | run | drill | restore [BACKUP]]`: check → work on the host → list what there is. */
export default class BackupsGenerator extends GobootGenerator {
  #request!: BackupsRequest;
  #opened!: OpenedProject;
  #connection!: SshConnection;

  constructor(args: string[], options: BaseOptions) {
    super(args, options, definition);
    this.registerPriorities([{ priorityName: 'deploy', before: 'end' }]);
  }

  async initializing(): Promise<void> {
    await this.phase(() => {
      const place = this.textOf(switches.place);
      this.#request = backupsRequest(this.commandLine.positionals, {
        ...(place !== undefined && { place }),
        acceptLoss: this.isOn(switches.acceptLoss),
      });
      this.#opened = openProject(this.env.cwd, this.textOf(switches.environment), this.connectionFlags());
    });
  }

  async configuring(): Promise<void> {
    await this.phase(async () => {
      const { environment } = this.#opened;
      this.#connection = (await connectToSite(this.reporter, this.#opened)).connection;
      this.giveBackAtTheEnd(() => this.#connection.close());
      if (this.#request.action === 'list') return;
      const plan = backupsPlan(this.#request);
      this.reporter.plan(`https://${environment.domain}/ on ${describeTarget(environment.host)}`, plan);
      await this.stopAfterPlan({ steps: plan });
    });
  }

  async deploy(): Promise<void> {
    await this.phase(async () => {
      const context = { connection: this.#connection, environment: this.#opened.environment };
      const request = this.#request;
      let done = { status: 'listed', message: '' };
      if (request.action === 'restore' && !request.acceptLoss) await this.#requireAcceptance(request);
      if (request.action !== 'list') {
        const titles = { run: 'Back up', drill: 'Try the newest backup', restore: 'Restore' };
        const { result } = await runStep(
          this.reporter,
          titles[request.action],
          (step) =>
            workOnBackups(context, request, ({ event, name, status }) => {
              if (event === 'step') step.update(`${name} ${status}`);
            }),
          ({ result: { message } }) => message,
        );
        done = result;
      }
      const { backups, problems, warnings } = await listBackups(context);
      await this.cleanUp();
      for (const warning of [...warnings, ...problems]) this.reporter.warn(warning);
      const { status, message } = done;
      this.reporter.result({ status, message, problems, backups }, backupTable(backups));
    });
  }

  async #requireAcceptance(request: Extract<BackupsRequest, { action: 'restore' }>): Promise<void> {
    const context = { connection: this.#connection, environment: this.#opened.environment };
    const { loss, differences } = await runStep(this.reporter, 'Find out what would be lost', (step) =>
      askWhatRestoringLoses(context, request, ({ event, name, status }) => {
        if (event === 'step') step.update(`${name} ${status}`);
      }),
    );
    for (const difference of differences) this.reporter.info(difference);
    if (this.mayAsk) {
      this.reporter.info(loss);
      if (await this.confirm('Restore and lose that?', false)) return;
    }
    throw usageError(`Nothing was changed. ${loss}`, 'To lose that, say so: --accept-loss.');
  }
}
