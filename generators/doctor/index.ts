import type { BaseOptions } from 'yeoman-generator';
import { tokenFromEnvironment } from '../../lib/github/token.ts';
import { summarize } from '../../lib/preflight/check.ts';
import { runPreflight } from '../../lib/preflight/run.ts';
import { PublishingGenerator } from '../../lib/publishing.ts';
import { switches } from '../../lib/questions.ts';
import { openProject } from '../../lib/settings-file.ts';

const definition = { questions: [], switches: [switches.environment], positionals: [] };

/** `yo goboot:doctor`: every check on a project that is there, and nothing else. */
export default class DoctorGenerator extends PublishingGenerator {
  constructor(args: string[], options: BaseOptions) {
    super(args, options, definition);
  }

  async configuring(): Promise<void> {
    await this.phase(async () => {
      const { root, project, environment } = openProject(this.env.cwd, this.textOf(switches.environment));
      // Nobody should have to make a token to learn how their server is.
      const gitHub = tokenFromEnvironment() ? await this.lookAtGitHub(project, root) : undefined;
      if (!gitHub) this.reporter.info('GitHub is not asked: GH_TOKEN is not set');
      const { results, host } = await runPreflight(this.reporter, {
        projectRoot: root,
        project,
        environment,
        scaffolds: false,
        host: 'examined',
        list: true,
        ...(gitHub && { gitHub }),
      });
      await host?.connection.close();
      this.reporter.result({ status: 'checked', checks: results }, [`${summarize(results)}.`]);
    });
  }
}
