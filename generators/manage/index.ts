import type { BaseOptions } from 'yeoman-generator';
import { GobootGenerator } from '../../lib/base.ts';
import { manage, manageForPrograms, manageWords } from '../../lib/deploy/manage.ts';
import { connectToSite } from '../../lib/preflight/run.ts';
import { commonSwitches, connectionSwitches, switches } from '../../lib/questions.ts';
import { type OpenedProject, openProject } from '../../lib/settings-file.ts';
import { createReporter } from '../../lib/terminal/reporter.ts';

const definition = {
  questions: [],
  switches: [switches.environment, ...Object.values(connectionSwitches)],
  positionals: [],
  passesOn: true,
};

/** `yo goboot:manage -- COMMAND`: check → run manage.py of the live release, with this terminal. */
export default class ManageGenerator extends GobootGenerator {
  #opened!: OpenedProject;
  #words!: readonly string[];

  constructor(args: string[], options: BaseOptions) {
    super(args, options, definition);
    this.registerPriorities([{ priorityName: 'manage', before: 'end' }]);
  }

  async initializing(): Promise<void> {
    await this.phase(() => {
      this.#words = manageWords(this.commandLine.positionals);
      this.#opened = openProject(this.env.cwd, this.textOf(switches.environment), this.connectionFlags());
    });
  }

  async manage(): Promise<void> {
    await this.phase(async () => {
      const forPrograms = this.isOn(commonSwitches.json);
      // What manage.py prints may be data for a file.
      const reporter = forPrograms ? this.reporter : createReporter({ json: false, quiet: true });
      const { environment } = this.#opened;
      const { connection } = await connectToSite(reporter, this.#opened);
      this.giveBackAtTheEnd(() => connection.close());
      if (forPrograms) {
        const { exitCode, stderr } = await manageForPrograms(
          { connection, environment },
          this.#words,
          (line) => reporter.info(line),
        );
        this.reporter.result({ status: 'ended', exitCode, stderr }, []);
        process.exitCode = exitCode;
      } else {
        process.exitCode = await manage({ connection, environment }, this.#words);
      }
      await this.cleanUp();
    });
  }
}
