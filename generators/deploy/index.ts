import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BaseOptions } from 'yeoman-generator';
import { GobootGenerator } from '../../lib/base.ts';
import {
  type BegunDeploy,
  beginDeploy,
  type DeployOptions,
  type DeployRequest,
  deployRequest,
} from '../../lib/deploy/begun-deploy.ts';
import { liveResult, runSteps, stepsToLive } from '../../lib/deploy/run.ts';
import {
  type OutsideStep,
  type RollbackOptions,
  rollbackStep,
  type SiteContext,
} from '../../lib/deploy/site.ts';
import { GobootError, usageError } from '../../lib/errors.ts';
import { commit, uncommittedPaths } from '../../lib/git.ts';
import { projectPaths } from '../../lib/paths.ts';
import { connectToSite } from '../../lib/preflight/run.ts';
import type { Environment, Project } from '../../lib/project.ts';
import { connectionSwitches, switches } from '../../lib/questions.ts';
import { extendedKnownHosts } from '../../lib/scaffold.ts';
import { openProject } from '../../lib/settings-file.ts';
import type { SshConnection } from '../../lib/ssh/connection.ts';
import { readIfExists } from '../../lib/ssh/known-hosts.ts';
import { describeTarget } from '../../lib/ssh/target.ts';
import { count } from '../../lib/terminal/format.ts';
import type { TrustedHost } from '../../lib/trust.ts';
import { quoted, validateSeconds } from '../../lib/validate.ts';

const definition = {
  questions: [],
  switches: [
    switches.environment,
    ...Object.values(connectionSwitches),
    switches.provision,
    switches.rollback,
    switches.withDatabase,
    switches.acceptLoss,
    switches.discardHotFix,
    switches.allowIncompatibleMigrations,
    switches.wait,
    switches.yes,
    switches.check,
    switches.dryRun,
  ],
  positionals: ['release'],
};

/** `yo goboot:deploy`: check → provision if needed → deploy the current commit (or roll back) → prove. */
export default class DeployGenerator extends GobootGenerator {
  #root!: string;
  #project!: Project;
  #environment!: Environment;
  #host: TrustedHost | undefined;
  #options!: DeployOptions;
  #steps!: OutsideStep[];
  #begun: Promise<BegunDeploy | undefined> | undefined;

  constructor(args: string[], options: BaseOptions) {
    super(args, options, definition);
    this.registerPriorities([{ priorityName: 'deploy', before: 'end' }]);
  }

  async initializing(): Promise<void> {
    await this.phase(() => {
      const [release] = this.commandLine.positionals;
      if (release !== undefined && !this.isOn(switches.rollback)) {
        throw usageError(
          `Unexpected argument ${quoted(release)}`,
          'A release is named only to go back to it: --rollback RELEASE.',
        );
      }
      this.#refuseFlagsWithoutMeaning();
      const wait = this.textOf(switches.wait);
      this.#options = {
        discardHotFix: this.isOn(switches.discardHotFix),
        allowIncompatibleMigrations: this.isOn(switches.allowIncompatibleMigrations),
        ...(wait !== undefined && { wait: validateSeconds(wait, switches.wait.flag) }),
      };
      const opened = openProject(this.env.cwd, this.textOf(switches.environment), this.connectionFlags());
      this.#root = opened.root;
      this.#project = opened.project;
      this.#environment = opened.environment;
    });
  }

  async configuring(): Promise<void> {
    await this.phase(async () => {
      const repository = this.#readRepository();
      const host = await connectToSite(
        this.reporter,
        { root: this.#root, project: this.#project, environment: this.#environment },
        {
          everything: this.isOn(switches.check),
          onConnecting: (connection) => this.#begin(connection, repository),
        },
      );
      this.#host = host;
      this.giveBackAtTheEnd(() => host.connection.close());
      const { provisioned } = await host.facts;
      const [request, uncommitted] = await repository;
      this.#steps = this.isOn(switches.rollback)
        ? [rollbackStep(this.commandLine.positionals[0], this.#rollbackOptions())]
        : stepsToLive(
            { project: request.provisioned, host: this.isOn(switches.provision) ? '' : provisioned },
            this.#options,
            await this.#begun,
          );
      if (uncommitted.length > 0) {
        this.reporter.warn(
          `${count(uncommitted.length, 'changed file')} not committed, and so not deployed: ${uncommitted.slice(0, 5).join(', ')}`,
        );
      }
      const { domain, host: target } = this.#environment;
      const plan = this.#steps.map((step) => step.plan);
      this.reporter.plan(
        `https://${domain}/ on ${describeTarget(target)}, commit ${request.commit.slice(0, 8)}`,
        plan,
      );
      await this.stopAfterPlan({ steps: plan });
    });
  }

  async deploy(): Promise<void> {
    await this.phase(async () => {
      await this.#keepHostKeys();
      const context = this.#context();
      const proof = await runSteps(context, this.#steps);
      await this.cleanUp();
      const { data, lines } = liveResult(context, proof);
      this.reporter.result(data, lines);
    });
  }

  /** A flag that would change nothing is a misunderstanding, and some of them are about data. */
  #refuseFlagsWithoutMeaning(): void {
    const rollback = this.isOn(switches.rollback);
    const meanings = [
      [switches.withDatabase, switches.rollback, rollback],
      [switches.acceptLoss, switches.withDatabase, this.isOn(switches.withDatabase)],
    ] as const;
    for (const [flag, needed, given] of meanings) {
      if (this.isOn(flag) && !given) {
        throw usageError(`--${flag.flag} says nothing without --${needed.flag}`, `Add --${needed.flag}.`);
      }
    }
    for (const flag of [switches.discardHotFix, switches.allowIncompatibleMigrations, switches.provision]) {
      if (rollback && this.isOn(flag)) {
        throw usageError(`--${flag.flag} says nothing about a rollback`, 'Leave it out.');
      }
    }
  }

  #rollbackOptions(): RollbackOptions {
    const { wait } = this.#options;
    const accept = async (loss: string) => {
      if (!this.mayAsk) return false;
      this.reporter.warn(loss);
      return this.confirm('Go back and lose that?', false);
    };
    return {
      ...(wait !== undefined && { wait }),
      ...(this.isOn(switches.withDatabase) && {
        withDatabase: { accept: this.isOn(switches.acceptLoss) ? undefined : accept },
      }),
    };
  }

  /** Asks git while the host is being asked, too. */
  #readRepository(): Promise<[request: DeployRequest, uncommitted: string[]]> {
    const answers = Promise.all([
      deployRequest(this.#root, this.#environment.name, this.#options),
      uncommittedPaths(this.#root),
    ]);
    // Whoever waits for it later hears of a failure; until then it is nobody's.
    answers.catch(() => {});
    return answers;
  }

  /** Lets the host get ready for the archive while the checks run, unless something else comes first. */
  #begin(connection: SshConnection, repository: Promise<[request: DeployRequest, ...unknown[]]>): void {
    const others = [switches.rollback, switches.provision, switches.check, switches.dryRun];
    if (others.some((flag) => this.isOn(flag))) return;
    this.#begun = repository.then(
      ([request]) => beginDeploy({ connection, environment: this.#environment, request, afterLogin: true }),
      () => undefined,
    );
    this.giveBackAtTheEnd(async () => (await this.#begun)?.abandon());
  }

  /** Ansible accepts only keys that are committed; the one that was just seen for the first time is not yet. */
  async #keepHostKeys(): Promise<void> {
    const path = join(this.#root, projectPaths.knownHosts);
    const knownHosts = await extendedKnownHosts(this.#root, this.#host?.knownHosts ?? '');
    if (knownHosts === (await readIfExists(path))) return;
    this.reporter.warn(
      `The host key of ${this.#environment.host.address} is now committed: ${this.#host?.fingerprints.join(', ')}`,
    );
    await writeFile(path, knownHosts);
    await commit(this.#root, {
      message: `Trust the host key of ${this.#environment.host.address}`,
      paths: [projectPaths.knownHosts],
      identity: { name: this.#project.authorName, email: this.#project.authorEmail },
    });
  }

  #context(): SiteContext {
    if (!this.#host) throw new GobootError('There is no connection to the host');
    return {
      projectRoot: this.#root,
      environment: this.#environment,
      connection: this.#host.connection,
      reporter: this.reporter,
      times: [],
    };
  }
}
