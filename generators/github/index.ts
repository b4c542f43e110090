import type { BaseOptions } from 'yeoman-generator';
import { commit } from '../../lib/git.ts';
import { projectPaths } from '../../lib/paths.ts';
import { runPreflight } from '../../lib/preflight/run.ts';
import { PublishingGenerator } from '../../lib/publishing.ts';
import { questions, switches } from '../../lib/questions.ts';
import { type OpenedProject, openProject, storeProjectAnswers } from '../../lib/settings-file.ts';

const gitHubQuestions = questions.filter(({ aboutGitHub }) => aboutGitHub);

const definition = {
  questions: gitHubQuestions,
  switches: [
    switches.environment,
    switches.deployKeyFile,
    switches.yes,
    switches.check,
    switches.dryRun,
    switches.resume,
    switches.undo,
  ],
  positionals: [],
};

/** `yo goboot:github`: check → commit the deploy key → publish. */
export default class GitHubGenerator extends PublishingGenerator {
  #opened!: OpenedProject;

  constructor(args: string[], options: BaseOptions) {
    super(args, options, definition);
    this.registerPriorities([{ priorityName: 'publish', before: 'end' }]);
  }

  protected override get resumeCommand(): string {
    return 'yo goboot:github';
  }

  async initializing(): Promise<void> {
    await this.phase(async () => {
      this.#opened = openProject(
        this.env.cwd,
        this.textOf(switches.environment),
        this.answerFlags(definition),
      );
      if (this.isOn(switches.undo)) await this.undo(this.#opened.root, this.#opened.project);
    });
  }

  async publish(): Promise<void> {
    await this.phase(async () => {
      const { root, project, environment } = this.#opened;
      const gitHub = await this.lookAtGitHub(project, root);
      await runPreflight(this.reporter, {
        projectRoot: root,
        project,
        environment,
        scaffolds: false,
        host: 'none',
        gitHub,
        list: this.isOn(switches.check),
      });
      const { prepared, plan } = await this.preparePublication(gitHub, this.#opened);
      this.reporter.plan(`${project.title} on GitHub`, plan);
      if (await this.stopAfterPlan({ steps: plan })) return;

      const { deployKey, owner } = prepared;
      if (deployKey) {
        const { useDeployKey } = await import('../../lib/github/deploy-key.ts');
        await useDeployKey(root, environment, deployKey);
      }
      // A colleague's token must lead to the same repository.
      const { apiUrl, visibility: wanted } = project.github;
      await storeProjectAnswers(root, {
        owner: owner.login,
        visibility: wanted,
        ...(apiUrl && { githubUrl: apiUrl }),
      });
      await commit(root, {
        message: `Publish ${project.title} on GitHub`,
        paths: [projectPaths.environmentVariables(environment.name), projectPaths.answers],
        identity: { name: project.authorName, email: project.authorEmail },
      });
      const publication = await this.runPublication(prepared, this.#opened);
      const { repository, place } = publication;
      this.reporter.result(
        {
          status: 'published',
          repository: repository.htmlUrl,
          visibility: repository.visibility,
          settings: place,
          commit: publication.commit,
          missing: publication.missing,
        },
        [
          `The project is at ${repository.htmlUrl}`,
          ...(deployKey
            ? ['', 'Next:', '  yo goboot:deploy               let the server accept the new deploy key']
            : []),
        ],
      );
    });
  }
}
