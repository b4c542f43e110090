import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { BaseOptions } from 'yeoman-generator';
import { readDeployPublicKeys } from '../../lib/ansible/deploy-public-keys.ts';
import { checkGiven, collectAnswers, readAnswersFile } from '../../lib/ask.ts';
import { GobootGenerator } from '../../lib/base.ts';
import { provisionFingerprint } from '../../lib/deploy/fingerprint.ts';
import { liveResult, runSteps, stepsToLive } from '../../lib/deploy/run.ts';
import { deployStep, provisionStep } from '../../lib/deploy/site.ts';
import { GobootError } from '../../lib/errors.ts';
import { commit, gitIdentity, isRepository } from '../../lib/git.ts';
import { nextSteps } from '../../lib/next-steps.ts';
import { projectPaths } from '../../lib/paths.ts';
import { ignoredChecks } from '../../lib/preflight/check.ts';
import { allChecks } from '../../lib/preflight/checks.ts';
import { runPreflight } from '../../lib/preflight/run.ts';
import { defaultEnvironment, type Environment, type Project } from '../../lib/project.ts';
import { lockPythonPackages } from '../../lib/python-lock.ts';
import { type Answers, questions, switches } from '../../lib/questions.ts';
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
  projectFromAnswers,
  readStoredAnswers,
  storedAsText,
} from '../../lib/settings-file.ts';
import { describeTarget } from '../../lib/ssh/connection.ts';
import { runStep } from '../../lib/terminal/reporter.ts';
import type { TrustedHost } from '../../lib/trust.ts';
import { ensureVaultPassword } from '../../lib/vault.ts';
import { gobootVersion } from '../../lib/version.ts';

const definition = {
  questions,
  switches: [
    switches.answers,
    switches.yes,
    switches.check,
    switches.ignoreCheck,
    switches.dryRun,
    switches.force,
    switches.skipDeploy,
  ],
  positionals: ['project_name'],
};

const projectNameQuestion = questions.filter(({ name }) => name === 'projectName');
const otherQuestions = questions.filter(({ name }) => name !== 'projectName');

/** `yo goboot`: ask → check → render → commit → provision → deploy → prove. */
export default class AppGenerator extends GobootGenerator {
  #root!: string;
  #answers!: Answers;
  #project!: Project;
  #environment!: Environment;
  #files!: RenderedFile[];
  #comparison!: Comparison;
  #host: TrustedHost | undefined;
  #ignored!: Set<string>;

  constructor(args: string[], options: BaseOptions) {
    super(args, options, definition);
    this.registerPriorities([
      { priorityName: 'record', before: 'end' },
      { priorityName: 'deploy', before: 'end' },
    ]);
  }

  async prompting(): Promise<void> {
    await this.phase(async () => {
      this.#ignored = ignoredChecks(this.textOf(switches.ignoreCheck), allChecks);
      const answersFile = this.textOf(switches.answers);
      const [typedName] = this.commandLine.positionals;
      const git = await gitIdentity();
      const sources = {
        flags: {
          ...this.answerFlags(definition),
          ...(typedName !== undefined && { projectName: typedName }),
        },
        file: answersFile === undefined ? {} : await readAnswersFile(answersFile, questions),
        defaults: { gitName: git.name, gitEmail: git.email },
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
      this.#answers = { ...(await collectAnswers(otherQuestions, { ...sources, stored })), projectName };
      const described = projectFromAnswers(this.#answers, defaultEnvironment);
      this.#project = described.project;
      this.#environment = described.environment;
    });
  }

  async configuring(): Promise<void> {
    await this.phase(async () => {
      const { host } = await runPreflight(this.reporter, {
        projectRoot: this.#root,
        project: this.#project,
        environment: this.#environment,
        scaffolds: true,
        host: this.isOn(switches.skipDeploy) ? 'none' : 'examined',
        ignored: this.#ignored,
        list: this.isOn(switches.check),
        ...(this.#answers.knownHostsFile && { knownHostsFile: this.#answers.knownHostsFile }),
      });
      this.#host = host;
      if (host) this.giveBackAtTheEnd(() => host.connection.close());
      this.#files = await projectFiles(
        this.#project,
        this.#environment,
        await extendedKnownHosts(this.#root, host?.knownHosts ?? ''),
        { deployPublicKeys: await readDeployPublicKeys(this.#root, this.#environment.name) },
      );
      this.#comparison = await compareWithDisk(this.#files, this.#root);
      this.reporter.plan(`${this.#project.title} in ${this.#root}`, this.#plan());
      if (await this.stopAfterPlan({ ...this.#comparison })) return;
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
      const password = await ensureVaultPassword(this.#root, environment);
      if (password && !this.fs.exists(join(this.#root, projectPaths.vault(environment)))) {
        this.#files.push(await newVaultFile(environment, password));
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
                ...(existsSync(join(this.#root, projectPaths.pythonLock)) ? [projectPaths.pythonLock] : []),
              ],
            }),
          }),
        (made) => (made ? undefined : 'nothing to commit'),
      );
    });
  }

  async deploy(): Promise<void> {
    await this.phase(async () => {
      if (!this.#host) return;
      const context = {
        projectRoot: this.#root,
        environment: this.#environment,
        connection: this.#host.connection,
        reporter: this.reporter,
        times: [],
      };
      const [project, { provisioned }] = await Promise.all([
        provisionFingerprint(this.#root, this.#environment.name),
        this.#host.facts,
      ]);
      const proof = await runSteps(context, stepsToLive({ project, host: provisioned }));
      await this.cleanUp();
      const { data, lines } = liveResult(context, proof);
      this.reporter.result({ ...data, project: this.#root }, [...lines, ...this.#nextSteps()]);
      this.finish();
    });
  }

  async end(): Promise<void> {
    await this.phase(() => {
      this.reporter.result(
        { status: 'scaffolded', project: this.#root, ...this.#comparison },
        this.#nextSteps(),
      );
    });
  }

  #nextSteps(): string[] {
    return nextSteps(relative(this.env.cwd, this.#root), Boolean(this.#host));
  }

  #plan(): string[] {
    const { domain, host } = this.#environment;
    return [
      describeComparison(this.#comparison),
      'Lock the Python packages, commit',
      ...(this.#host
        ? [
            `On ${describeTarget(host)}, as https://${domain}/:`,
            ...[provisionStep, deployStep()].map(({ plan }) => `  ${plan}`),
          ]
        : ['The server is left alone (--skip-deploy)']),
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
