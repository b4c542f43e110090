import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BaseOptions } from 'yeoman-generator';
import { checkGiven, collectAnswers, readAnswersFile } from '../../lib/ask.ts';
import { ChangingHostsGenerator } from '../../lib/changing-hosts.ts';
import { GobootError, toGobootError, usageError } from '../../lib/errors.ts';
import { describeExtension, type Extension, extensionOf } from '../../lib/extend.ts';
import { commit, gitIdentity } from '../../lib/git.ts';
import type { PreparedPublication, Publication } from '../../lib/github/publish.ts';
import {
  environmentFlags,
  environmentQuestions,
  environmentToResume,
  givenAddress,
} from '../../lib/new-environment.ts';
import { projectPaths } from '../../lib/paths.ts';
import { pendingReplacement } from '../../lib/pending-replacement.ts';
import { ignoredChecks } from '../../lib/preflight/check.ts';
import { runPreflight } from '../../lib/preflight/run.ts';
import type { Environment, Environments, Project } from '../../lib/project.ts';
import { type AnswerName, type Answers, switches } from '../../lib/questions.ts';
import { newVaultFile, writeNewFiles } from '../../lib/scaffold.ts';
import {
  answersToStore,
  type OpenedProject,
  openProject,
  projectFromAnswers,
  storedEnvironments,
  storedOldHosts,
  storeEnvironmentAnswers,
} from '../../lib/settings-file.ts';
import { changeUserConfiguration, userConfigurationFile, withHostBlock } from '../../lib/ssh/host-block.ts';
import { configuredHostNames, lookUpHost } from '../../lib/ssh/user-configuration.ts';
import { colored } from '../../lib/terminal/color.ts';
import { count } from '../../lib/terminal/format.ts';
import { runStep } from '../../lib/terminal/reporter.ts';
import type { TrustedHost } from '../../lib/trust.ts';
import { ensureVaultPassword, hasVaultOf } from '../../lib/vault.ts';

const definition = {
  questions: environmentFlags,
  switches: [
    switches.yes,
    switches.answers,
    switches.check,
    switches.ignoreCheck,
    switches.dryRun,
    switches.deployKeyFile,
    switches.skipGitHub,
    switches.skipDeploy,
    switches.resume,
    switches.sshConfig,
    switches.list,
    switches.provisionAll,
    switches.replace,
    switches.leaveTasks,
    switches.removeSite,
    switches.confirm,
    switches.undoHost,
    switches.acceptHostKey,
  ],
  positionals: ['address'],
};

/** `yo goboot:host --list`, or `yo goboot:host [address]`: ask → check → extend → commit → publish → provision → deploy → prove. */
export default class HostGenerator extends ChangingHostsGenerator {
  #opened: OpenedProject | undefined;
  /** The environments that the project has without the new one. */
  #others!: Environments;
  /** Undefined where an earlier run has stored them. */
  #answers: Answers | undefined;
  #knownHostsFile: string | undefined;
  #extension!: Extension;
  #host: TrustedHost | undefined;
  #prepared: PreparedPublication | undefined;
  #publication: Publication | undefined;
  #writesSshConfig = false;
  #replaces = false;

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
    if (this.#replaces)
      return ['yo goboot:host --resume', ...skipped.map(({ flag }) => `--${flag}`)].join(' ');
    // Yeoman looks at every property before the project is open.
    const named = this.#opened ? [`--environment ${this.#environment.name}`] : [];
    return ['yo goboot:host --resume', ...named, ...skipped.map(({ flag }) => `--${flag}`)].join(' ');
  }

  protected override get undoRemedy(): string {
    return ' To take back what this run has made: yo goboot:host --undo.';
  }

  get #project(): OpenedProject {
    if (!this.#opened) throw new Error('the project is not open yet');
    return this.#opened;
  }

  get #environment(): Environment {
    return this.#project.environment;
  }

  async prompting(): Promise<void> {
    await this.phase(async () => {
      const { root, project, environment: production } = openProject(this.env.cwd);
      const [, ...further] = storedEnvironments(root);
      const existing: Environments = [production, ...further];
      const flags = this.answerFlags(definition);
      const host = givenAddress(this.commandLine.positionals[0], flags.host);
      if (await this.#changesHosts(root, flags, host, existing)) return;
      const ofAll = [switches.list, switches.provisionAll].find((flag) => this.isOn(flag));
      if (ofAll) {
        if (host !== undefined || Object.keys(flags).length > 0) {
          throw usageError(
            `--${ofAll.flag} is about every environment and takes no answers`,
            'Leave all others out.',
          );
        }
        return ofAll === switches.list
          ? this.#list(root, project, existing)
          : this.#provisionAll(root, project, existing);
      }
      if (this.isOn(switches.resume)) {
        const [surplus] = Object.keys({ ...flags, ...(host && { host }) }).filter(
          (name) => !['environment', 'knownHostsFile'].includes(name),
        );
        if (surplus || this.textOf(switches.answers)) {
          throw usageError(
            '--resume goes on with the answers of the run before',
            'Leave out all answers but --environment; to change them, edit .yo-rc.json and run yo goboot.',
          );
        }
        const { added, others } = environmentToResume(existing, flags.environment);
        this.#knownHostsFile = flags.knownHostsFile;
        this.#others = others;
        this.#opened = { root, project, environment: added };
        return;
      }
      const questions = environmentQuestions(project, existing);
      const answersFile = this.textOf(switches.answers);
      const [git, hostNames] = await Promise.all([gitIdentity(), this.mayAsk ? configuredHostNames() : []]);
      const sources = {
        flags: { ...flags, ...(host !== undefined && { host }) },
        file: answersFile === undefined ? {} : await readAnswersFile(answersFile, questions),
        stored: {},
        defaults: { gitName: git.name, gitEmail: git.email, hostNames },
        lookUpHost,
        ...(this.mayAsk && { prompt: this.ask }),
      };
      checkGiven(questions, sources);
      this.#answers = { ...(await collectAnswers(questions, sources)), projectName: project.name };
      this.#knownHostsFile = this.#answers.knownHostsFile;
      this.#others = existing;
      const { environment } = projectFromAnswers(this.#answers, this.#answers.environment);
      this.#opened = { root, project, environment };
    });
  }

  /** Does what changes hosts and environments that are there already. Returns false for all else. */
  async #changesHosts(
    root: string,
    flags: Partial<Record<AnswerName, string>>,
    host: string | undefined,
    existing: Environments,
  ): Promise<boolean> {
    const { list, provisionAll, replace, removeSite, undoHost } = switches;
    const chosen = [list, provisionAll, replace, removeSite, undoHost].filter((flag) => this.isOn(flag));
    const fingerprint = this.textOf(switches.acceptHostKey);
    const names = [
      ...chosen.map(({ flag }) => `--${flag}`),
      ...(fingerprint ? [`--${switches.acceptHostKey.flag}`] : []),
    ];
    if (names.length > 1) throw usageError(`${names.join(' and ')} do not go together`, 'Give one of them.');
    if (fingerprint !== undefined) {
      await this.acceptHostKeys(fingerprint, flags.environment);
    } else if (this.isOn(switches.removeSite)) {
      await this.remove(host ?? flags.environment);
    } else if (this.isOn(switches.undoHost)) {
      await this.undoHost(flags.environment);
    } else if (this.isOn(switches.replace) || (await this.#resumesReplacement(root, flags.environment))) {
      this.#replaces = true;
      await this.replaceHost(flags, host);
    } else if (host !== undefined && this.mayAsk && existing.some(({ name }) => name === flags.environment)) {
      const question = `Move ${flags.environment}, with its data, from its host to ${host}?`;
      if (!(await this.confirm(question, false))) return false;
      this.#replaces = true;
      await this.replaceHost(flags, host);
    } else return false;
    return true;
  }

  async #resumesReplacement(root: string, environment: string | undefined): Promise<boolean> {
    if (!this.isOn(switches.resume)) return false;
    const pending = await pendingReplacement(root);
    return pending !== undefined && (environment ?? pending.environment) === pending.environment;
  }

  /** A host that does not answer is one line of the table, and no failure of the command. */
  async #list(root: string, project: Project, environments: Environments): Promise<void> {
    const { lookAtSite, overviewTable } = await import('../../lib/deploy/overview.ts');
    const sites = await runStep(this.reporter, `Look at ${count(environments.length, 'environment')}`, () =>
      Promise.all([
        ...environments.map((environment) => lookAtSite(root, project, environment)),
        ...storedOldHosts(root).map(({ environment, since }) =>
          lookAtSite(root, project, environment, since),
        ),
      ]),
    );
    this.reporter.result(
      { status: 'listed', environments: sites },
      overviewTable(sites, (row) => colored('red', row)),
    );
    this.finish();
  }

  async #provisionAll(root: string, project: Project, environments: Environments): Promise<void> {
    const { provisionAll, provisionTable } = await import('../../lib/deploy/provision-all.ts');
    const plan = environments.map(({ name, host }) => `${name} on ${host.address}`);
    this.reporter.plan(
      `${project.title}: provision side by side what was not provisioned from this commit`,
      plan,
    );
    if (await this.stopAfterPlan({ steps: plan })) return;
    const outcomes = await provisionAll({ root, project }, environments, this.reporter);
    const failed = outcomes.filter(({ status }) => status === 'failed');
    if (failed.length > 0) {
      for (const line of provisionTable(outcomes)) this.reporter.info(line);
      throw new GobootError(
        `${count(failed.length, 'environment')} of ${outcomes.length} could not be provisioned: ${failed
          .map(({ environment, problem }) => `${environment} (${problem})`)
          .join('; ')}`,
        { remedy: 'The others are provisioned. Repair that, and run the same command again.' },
      );
    }
    this.reporter.result({ status: 'provisioned', environments: outcomes }, provisionTable(outcomes));
    this.finish();
  }

  async configuring(): Promise<void> {
    await this.phase(async () => {
      const { root, project } = this.#project;
      const gitHub = this.isOn(switches.skipGitHub) ? undefined : await this.lookAtGitHub(project, root);
      const { host } = await runPreflight(this.reporter, {
        projectRoot: root,
        project,
        environment: this.#environment,
        scaffolds: false,
        host: this.isOn(switches.skipDeploy) ? 'none' : 'examined',
        ignored: await ignoredChecks(this.textOf(switches.ignoreCheck)),
        list: this.isOn(switches.check),
        ...(gitHub && { gitHub }),
        ...(this.#knownHostsFile && { knownHostsFile: this.#knownHostsFile }),
      });
      this.#host = host;
      if (host) this.giveBackAtTheEnd(() => host.connection.close());
      const publication = gitHub && (await this.preparePublication(gitHub, this.#project));
      if (publication?.prepared.found.state === 'absent') {
        throw usageError(
          `${project.title} is not on GitHub yet`,
          'Publish it first with yo goboot:github, or leave GitHub alone with --skip-github.',
        );
      }
      this.#prepared = publication?.prepared;
      this.#extension = await extensionOf({
        projectRoot: root,
        project,
        existing: this.#others,
        added: this.#environment,
        knownHosts: host?.knownHosts ?? '',
        resumes: this.isOn(switches.resume),
      });
      this.#writesSshConfig =
        this.isOn(switches.sshConfig) || (this.mayAsk && !this.#onlyLooks && (await this.#offerSshConfig()));
      const plan = await this.#plan(publication?.plan ?? []);
      this.reporter.plan(`${project.title}: the environment ${this.#environment.name}`, plan);
      if (await this.stopAfterPlan({ steps: plan })) return;
      if (this.mayAsk && !(await this.confirm('Go ahead?')))
        throw new GobootError('Cancelled; nothing was created');
    });
  }

  async writing(): Promise<void> {
    await this.phase(async () => {
      const { root } = this.#project;
      const { created, changed, leftAlone } = this.#extension;
      const password = await ensureVaultPassword(root);
      if (password && !hasVaultOf(root, this.#environment.name)) {
        created.push(await newVaultFile(this.#environment, password));
      }
      await writeNewFiles(created, root);
      for (const { path, contents } of changed) await writeFile(join(root, path), contents);
      for (const path of leftAlone) {
        this.reporter.warn(`${path} was changed by hand where it would tell of the environment: it stays`);
      }
      if (this.#answers) {
        await storeEnvironmentAnswers(
          root,
          this.#environment.name,
          answersToStore(this.#answers).environment,
        );
      }
    });
  }

  async record(): Promise<void> {
    await this.phase(async () => {
      const { root, project } = this.#project;
      const { name } = this.#environment;
      if (this.#prepared?.deployKey) {
        const { useDeployKey } = await import('../../lib/github/deploy-key.ts');
        await useDeployKey(root, this.#environment, this.#prepared.deployKey);
      }
      const { created, changed } = this.#extension;
      await runStep(
        this.reporter,
        'Commit',
        () =>
          commit(root, {
            message: `Add the environment ${name}`,
            paths: [
              ...[...created, ...changed].map(({ path }) => path),
              projectPaths.answers,
              projectPaths.environmentVariables(name),
            ],
            identity: { name: project.authorName, email: project.authorEmail },
          }),
        (made) => (made ? undefined : 'nothing to commit'),
      );
      await this.#writeSshConfig();
    });
  }

  get #onlyLooks(): boolean {
    return this.isOn(switches.check) || this.isOn(switches.dryRun);
  }

  #offerSshConfig(): Promise<boolean> {
    const { site } = this.#environment;
    return this.confirm(`Write "Host ${site}" into your ~/.ssh/config, so that ssh ${site} works?`);
  }

  /** It is a convenience: that it cannot be written is no reason to stop. */
  async #writeSshConfig(): Promise<void> {
    if (!this.#writesSshConfig) return;
    const { root, environment } = this.#project;
    try {
      await changeUserConfiguration(userConfigurationFile(), (configuration) =>
        withHostBlock(configuration, environment, join(root, projectPaths.knownHosts)),
      );
    } catch (error) {
      const { message, remedy } = toGobootError(error);
      this.reporter.warn(`${message}. ${remedy ?? ''}`.trim());
    }
  }

  async publish(): Promise<void> {
    await this.phase(async () => {
      if (this.#prepared) this.#publication = await this.runPublication(this.#prepared, this.#project);
    });
  }

  async deploy(): Promise<void> {
    await this.phase(async () => {
      if (!this.#host) return;
      const { data, lines } = await this.makeLive(this.#project, this.#host);
      this.reporter.result({ ...data, ...this.#result() }, [...lines, ...this.#nextSteps()]);
      this.finish();
    });
  }

  async end(): Promise<void> {
    await this.phase(() => {
      this.reporter.result({ status: 'added', ...this.#result() }, this.#nextSteps());
    });
  }

  #result(): Record<string, unknown> {
    return {
      environment: this.#environment.name,
      ...(this.#publication && { repository: this.#publication.repository.htmlUrl }),
    };
  }

  #nextSteps(): string[] {
    const { name, basicAuthUser } = this.#environment;
    return [
      'Next:',
      `  yo goboot:deploy --environment ${name}     put the ${this.#host ? 'next' : 'last'} commit live there`,
      ...(basicAuthUser
        ? [
            `  Visitors have to give the name ${basicAuthUser}. Their password is vault_basic_auth_password in the vault:`,
            `  cd .ansible && uv run --only-group ansible ansible-vault view inventory/${name}/group_vars/all/vault.yml`,
          ]
        : []),
    ];
  }

  async #plan(publishing: readonly string[]): Promise<string[]> {
    return [
      ...(await describeExtension(this.#extension)),
      'Commit',
      ...(this.#writesSshConfig ? [`Write "Host ${this.#environment.site}" into your ~/.ssh/config`] : []),
      ...this.outsidePlan(this.#environment, { publishing, deploys: this.#host !== undefined }),
    ];
  }
}
