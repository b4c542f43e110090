import type { BaseOptions } from 'yeoman-generator';
import { GobootGenerator } from '../../lib/base.ts';
import { summarize } from '../../lib/preflight/check.ts';
import { runPreflight } from '../../lib/preflight/run.ts';
import { switches } from '../../lib/questions.ts';
import { openProject } from '../../lib/settings-file.ts';

const definition = { questions: [], switches: [switches.environment], positionals: [] };

/** `yo goboot:doctor`: every check on a project that is there, and nothing else. */
export default class DoctorGenerator extends GobootGenerator {
  constructor(args: string[], options: BaseOptions) {
    super(args, options, definition);
  }

  async configuring(): Promise<void> {
    await this.phase(async () => {
      const { root, project, environment } = openProject(this.env.cwd, this.textOf(switches.environment));
      const { results, host } = await runPreflight(this.reporter, {
        projectRoot: root,
        project,
        environment,
        scaffolds: false,
        host: 'examined',
        list: true,
      });
      await host?.connection.close();
      this.reporter.result({ status: 'checked', checks: results }, [`${summarize(results)}.`]);
    });
  }
}
