import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { BaseOptions } from 'yeoman-generator';
import { readAllDeployPublicKeys } from '../../lib/ansible/deploy-public-keys.ts';
import { checkGiven, collectAnswers, readAnswersFile } from '../../lib/ask.ts';
import { GobootError, usageError } from '../../lib/errors.ts';
import { commit, gitIdentity, isRepository } from '../../lib/git.ts';
import type { PreparedPublication, Publication } from '../../lib/github/publish.ts';
import { nextSteps } from '../../lib/next-steps.ts';
import { projectPaths } from '../../lib/paths.ts';
import { ignoredChecks } from '../../lib/preflight/check.ts';
import { runPreflight } from '../../lib/preflight/run.ts';
import { defaultEnvironment, type Environment, type Environments, type Project } from '../../lib/project.ts';
import { PublishingGenerator } from '../../lib/publishing.ts';
import { lockPythonPackages } from '../../lib/python-lock.ts';
import { type Answers, projectSwitches, questions, switches } from '../../lib/questions.ts';
import type { RenderedFile } from '../../lib/render.ts';
import {
  type Comparison,
  compareWithDisk,
  describeComparison,
  extendedKnownHosts,
  newVaultFile,
  projectFiles,
  refuseSilentOverwrite,
  writeNewFiles,
  writeOptions,
} from '../../lib/scaffold.ts';
import {
  answersToStore,
  findProjectRoot,
  locateProject,
  type OpenedProject,
  openProject,
  projectFromAnswers,
  readStoredAnswers,
  storedAsText,
  storedEnvironments,
} from '../../lib/settings-file.ts';
import { configuredHostNames, lookUpHost } from '../../lib/ssh/user-configuration.ts';
import { runStep } from '../../lib/terminal/reporter.ts';
import type { TrustedHost } from '../../lib/trust.ts';
import { quoted } from '../../lib/validate.ts';
import { ensureVaultPassword } from '../../lib/vault.ts';
import { gobootVersion } from '../../lib/version.ts';

const definition = { questions, switches: projectSwitches, positionals: ['project_name'] };

const projectNameQuestion = questions.filter(({ name }) => name === 'projectName');
const otherQuestions = questions.filter(({ name, aboutGitHub }) => name !== 'projectName' && !aboutGitHub);
const gitHubQuestions = questions.filter(({ aboutGitHub }) => aboutGitHub);

/** `yo goboot`: ask → check → render → commit → publish → provision → deploy → prove. */
export default class AppGenerator extends PublishingGenerator {
  #root!: string;
  #answers!: Answers;
  #project!: Project;
  #environment!: Environment;
  #files!: RenderedFile[];
  #comparison!: Comparison;
  #host: TrustedHost | undefined;
  #ignored!: Set<string>;
  #prepared: PreparedPublication | undefined;
  /** What is about to happen on GitHub, as lines of the plan. */
  #publishing: string[] = [];
  #publication: Publication | undefined;

  constructor(args: string[], options: BaseOptions) {
    super(args, options, definition);
    this.registerPriorities([
      { priorityName: 'record', before: 'end' },
      { priorityName: 'publish', before: 'end' },
      { priorityName: 'deploy', before: 'end' },
    ]);
  }

  protected override get resumeCommand(): string {
    const skipped = [switches.skipGitHub, switches.skipDeploy].filter((flag) => this.isOn(flag));
    return ['yo goboot --resume', ...skipped.map(({ flag }) => `--${flag}`)].join(' ');
  }

  async initializing(): Promise<void> {
    await this.phase(async () => {
      for (const flag of [switches.resume, switches.undo]) {
        if (this.isOn(flag) && !findProjectRoot(this.env.cwd)) {
          throw usageError(
            `--${flag.flag} needs a project, and ${quoted(this.env.cwd)} is not in one`,
            'Change into the project’s directory.',
          );
        }
      }
      if (!this.isOn(switches.undo)) return;
      const { root, project } = openProject(this.env.cwd);
      await this.undo(root, project);
    });
  }

  async prompting(): Promise<void> {
    await this.phase(async () => {
      this.#ignored = await ignoredChecks(this.textOf(switches.ignoreCheck));
      const answersFile = this.textOf(switches.answers);
      const [typedName] = this.commandLine.positionals;
      const [git, hostNames] = await Promise.all([gitIdentity(), this.mayAsk ? configuredHostNames() : []]);
      const sources = {
        flags: {
          ...this.answerFlags(definition),
          ...(typedName !== undefined && { projectName: typedName }),
        },
        file: answersFile === undefined ? {} : await readAnswersFile(answersFile, questions),
        defaults: { gitName: git.name, gitEmail: git.email, hostNames },
        lookUpHost,
        ...(this.mayAsk && { prompt: this.ask }),
      };
      checkGiven(questions, sources);
      const surrounding = findProjectRoot(this.env.cwd);
      const { projectName } = await collectAnswers(projectNameQuestion, {
        ...sources,
        stored: surrounding ? storedAsText(readStoredAnswers(surrounding), defaultEnvironment) : {},
      });
      this.#root = locateProject(this.env.cwd, projectName, surrounding);
      const stored = storedAsText(readStoredAnswers(this.#root), defaultEnvironment);
      const { prompt: _, ...silently } = sources;
      this.#answers = {
        ...(await collectAnswers(otherQuestions, { ...sources, stored })),
        ...(await collectAnswers(gitHubQuestions, {
          ...(this.isOn(switches.skipGitHub) ? silently : sources),
          stored,
        })),
        projectName,
      };
      const described = projectFromAnswers(this.#answers, defaultEnvironment);
      this.#project = described.project;
      this.#environment = described.environment;
    });
  }

  async configuring(): Promise<void> {
    await this.phase(async () => {
      const gitHub = this.isOn(switches.skipGitHub)
        ? undefined
        : await this.lookAtGitHub(this.#project, this.#root);
      const { host } = await runPreflight(this.reporter, {
        projectRoot: this.#root,
        project: this.#project,
        environment: this.#environment,
        scaffolds: true,
        host: this.isOn(switches.skipDeploy) ? 'none' : 'examined',
        ignored: this.#ignored,
        list: this.isOn(switches.check),
        ...(gitHub && { gitHub }),
        ...(this.#answers.knownHostsFile && { knownHostsFile: this.#answers.knownHostsFile }),
      });
      this.#host = host;
      if (gitHub) {
        const { prepared, plan } = await this.preparePublication(gitHub, this.#opened());
        this.#prepared = prepared;
        this.#publishing = plan;
        // A colleague's token must lead to the same repository.
        this.#answers.owner = prepared.owner.login;
      }
      if (host) this.giveBackAtTheEnd(() => host.connection.close());
      this.#files = await projectFiles(
        this.#project,
        this.#environments(),
        await extendedKnownHosts(this.#root, host?.knownHosts ?? ''),
        { deployPublicKeys: await readAllDeployPublicKeys(this.#root, this.#environments()) },
      );
      this.#comparison = await compareWithDisk(this.#files, this.#root);
      this.reporter.plan(`${this.#project.title} in ${this.#root}`, this.#plan());
      if (await this.stopAfterPlan({ ...this.#comparison })) return;
      if (this.isOn(switches.resume)) {
        // What differs has been changed by the user since.
        const { changed } = this.#comparison;
        this.#files = this.#files.filter(({ path }) => !changed.includes(path));
        this.#comparison.changed = [];
        return;
      }
      if (!this.mayAsk && !this.isOn(switches.force)) refuseSilentOverwrite(this.#comparison);
      if (this.mayAsk && !(await this.confirm('Go ahead?')))
        throw new GobootError('Cancelled; nothing was created');
    });
  }

  async writing(): Promise<void> {
    await this.phase(async () => {
      const environment = this.#environment.name;
      const isNew = !isRepository(this.#root);
      this.destinationRoot(this.#root);
      this.summarizeFileLog();
      const password = await ensureVaultPassword(this.#root);
      for (const each of password ? this.#environments() : []) {
        if (password && !this.fs.exists(join(this.#root, projectPaths.vault(each.name)))) {
          this.#files.push(await newVaultFile(each, password));
        }
      }
      const { changed, identical } = this.#comparison;
      const existing = [...changed, ...identical];
      await writeNewFiles(
        this.#files.filter(({ path }) => !existing.includes(path)),
        this.#root,
      );
      for (const { path, contents, mode } of this.#files.filter((file) => changed.includes(file.path))) {
        this.fs.write(join(this.#root, path), contents, writeOptions(mode));
      }
      const kept = answersToStore(this.#answers);
      this.config.set('project', kept.project);
      this.config.setPath(`environments.${environment}`, kept.environment);
      if (isNew)
        this.reporter.info(
          `The vault password is in ${projectPaths.vaultPassword}: put a copy into your password manager`,
        );
    });
  }

  async record(): Promise<void> {
    await this.phase(async () => {
      this.reporter.info(describeComparison(this.#comparison));
      const deployKey = this.#prepared?.deployKey;
      if (deployKey) {
        const { useDeployKey } = await import('../../lib/github/deploy-key.ts');
        await useDeployKey(this.#root, this.#environment, deployKey);
      }
      await this.#lock();
      const firstCommit = !isRepository(this.#root);
      await runStep(
        this.reporter,
        'Commit',
        () =>
          commit(this.#root, {
            message: firstCommit
              ? `Start ${this.#project.title} with goboot ${gobootVersion}`
              : `Render again with goboot ${gobootVersion}`,
            identity: { name: this.#project.authorName, email: this.#project.authorEmail },
            ...(!firstCommit && {
              paths: [
                ...this.#files.map(({ path }) => path),
                projectPaths.answers,
                projectPaths.environmentVariables(this.#environment.name),
                ...(existsSync(join(this.#root, projectPaths.pythonLock)) ? [projectPaths.pythonLock] : []),
              ],
            }),
          }),
        (made) => (made ? undefined : 'nothing to commit'),
      );
    });
  }

  async publish(): Promise<void> {
    await this.phase(async () => {
      if (!this.#prepared) return;
      this.#publication = await this.runPublication(this.#prepared, this.#opened());
    });
  }

  async deploy(): Promise<void> {
    await this.phase(async () => {
      if (!this.#host) return;
      const { data, lines } = await this.makeLive(this.#opened(), this.#host);
      this.reporter.result({ ...data, ...this.#result() }, [
        ...lines,
        ...this.#repositoryLines(),
        ...this.#nextSteps(),
      ]);
      this.finish();
    });
  }

  async end(): Promise<void> {
    await this.phase(() => {
      this.reporter.result({ status: 'scaffolded', ...this.#comparison, ...this.#result() }, [
        ...this.#repositoryLines(),
        ...this.#nextSteps(),
      ]);
    });
  }

  /** The one that is asked about, and those that were added later. */
  #environments(): Environments {
    const others = storedEnvironments(this.#root).filter(({ name }) => name !== this.#environment.name);
    return [this.#environment, ...others];
  }

  #opened(): OpenedProject {
    return { root: this.#root, project: this.#project, environment: this.#environment };
  }

  #result(): Record<string, unknown> {
    return {
      project: this.#root,
      ...(this.#publication && { repository: this.#publication.repository.htmlUrl }),
    };
  }

  #repositoryLines(): string[] {
    return this.#publication ? [`The project is at ${this.#publication.repository.htmlUrl}`, ''] : [];
  }

  #nextSteps(): string[] {
    return nextSteps(relative(this.env.cwd, this.#root), Boolean(this.#host));
  }

  #plan(): string[] {
    return [
      describeComparison(this.#comparison),
      'Lock the Python packages, commit',
      ...this.outsidePlan(this.#environment, {
        publishing: this.#publishing,
        deploys: this.#host !== undefined,
      }),
    ];
  }

  /** A missing lock file is no failure: the packages can be locked as soon as there is a network. */
  async #lock(): Promise<void> {
    const step = this.reporter.step('Lock the Python packages');
    const reason = await lockPythonPackages(this.#root);
    if (reason === undefined) step.done();
    else {
      step.skipped(reason);
      this.reporter.warn(
        'There is no uv.lock yet. Run uv lock in the project and commit it before you deploy.',
      );
      if (this.#host) {
        throw new GobootError('The project cannot be deployed without uv.lock', {
          remedy: `Everything else is in place. Run: cd ${this.#root} && uv lock && git add uv.lock && git commit -m "Lock" && yo goboot:deploy`,
        });
      }
    }
  }
}
