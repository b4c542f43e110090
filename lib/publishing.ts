import { join } from 'node:path';
import { GobootGenerator } from './base.ts';
import { provisionFingerprint } from './deploy/fingerprint.ts';
import { type LiveResult, liveResult, runSteps, stepsToLive } from './deploy/run.ts';
import { deployStep, provisionStep } from './deploy/site.ts';
import { GobootError, toGobootError, usageError } from './errors.ts';
import type { GitHub } from './github/client.ts';
import type { GitHubFacts } from './github/facts.ts';
import type { PreparedPublication, Publication } from './github/publish.ts';
import { classicTokenPage, tokenFromEnvironment } from './github/token.ts';
import { type CreationState, describeCreation, Journal } from './journal.ts';
import { projectPaths } from './paths.ts';
import type { Environment, Project } from './project.ts';
import { switches } from './questions.ts';
import type { OpenedProject } from './settings-file.ts';
import { knownHostsFor } from './ssh/known-hosts.ts';
import { describeTarget } from './ssh/target.ts';
import type { TrustedHost } from './trust.ts';

/** What the commands that create things on GitHub have in common. */
export abstract class PublishingGenerator extends GobootGenerator {
  /** The command that goes on where this one failed, and does no more than it would have done. */
  protected get resumeCommand(): string {
    return 'the same command again';
  }

  /** How to take back what a failed run has left on GitHub, as a sentence behind another one. */
  protected get undoRemedy(): string {
    return ' To remove what is on GitHub: yo goboot --undo.';
  }

  /** Opens GitHub for a project with the user's token, which is asked for where it is not set. */
  protected async openGitHub({ github: { apiUrl } }: Project): Promise<GitHub> {
    const { openGitHub } = await import('./github/client.ts');
    const token = tokenFromEnvironment() ?? (this.mayAsk ? await this.#askForToken() : undefined);
    if (token === undefined) {
      throw new GobootError('There is no token for GitHub: neither GH_TOKEN nor GITHUB_TOKEN is set', {
        remedy: `Make one, for example with gh auth token or at ${classicTokenPage()}, and set GH_TOKEN.`,
      });
    }
    return openGitHub({
      token,
      ...(apiUrl && { url: apiUrl }),
      onWait: (seconds) =>
        this.reporter.info(`GitHub asks for a pause of ${seconds} s: there were too many requests`),
    });
  }

  #askForToken(): Promise<string> {
    return this.askSecret({
      name: 'token',
      message: 'GitHub token (it is not stored)',
      default: undefined,
      validate: (value) => value.trim() !== '' || `Make one: ${classicTokenPage()}`,
    });
  }

  /** Begins to look at GitHub for a project. The token is asked for first. */
  protected async lookAtGitHub(project: Project, directory: string): Promise<GitHubFacts> {
    const { lookAtGitHub } = await import('./github/facts.ts');
    const opened = this.openGitHub(project);
    // A question must not stand among the reports of other steps.
    await opened.catch(() => {});
    return lookAtGitHub(opened, project, directory);
  }

  /** Collects what the publication of a project needs, and what it is about to do, as lines of the plan. */
  protected async preparePublication(
    facts: GitHubFacts,
    { root, project, environment }: OpenedProject,
  ): Promise<{ prepared: PreparedPublication; plan: string[] }> {
    const { preparePublication, publishPlan } = await import('./github/publish.ts');
    const prepared = await preparePublication(facts, environment, root, this.textOf(switches.deployKeyFile));
    return { prepared, plan: publishPlan({ ...prepared, project, environment }) };
  }

  /** Publishes a project, and warns of what the plan of its owner does not include. */
  protected async runPublication(
    prepared: PreparedPublication,
    { root, project, environment }: OpenedProject,
  ): Promise<Publication> {
    const [{ publish }, { ensureVaultPassword }] = await Promise.all([
      import('./github/publish.ts'),
      import('./vault.ts'),
    ]);
    const journal = Journal.open(root);
    const publication = await this.creating(journal, async () =>
      publish({
        ...prepared,
        projectRoot: root,
        project,
        environment,
        knownHosts: await knownHostsFor(environment, join(root, projectPaths.knownHosts)),
        vaultPassword: await ensureVaultPassword(root),
        journal,
        reporter: this.reporter,
      }),
    );
    for (const line of publication.missing) this.reporter.warn(line);
    return publication;
  }

  /** What is about to happen on GitHub and on the host, as lines of the plan. */
  protected outsidePlan(
    { domain, host }: Environment,
    { publishing, deploys }: { publishing: readonly string[]; deploys: boolean },
  ): string[] {
    return [
      ...(publishing.length > 0
        ? ['On GitHub:', ...publishing.map((line) => `  ${line}`)]
        : ['GitHub is left alone (--skip-github)']),
      ...(deploys
        ? [
            `On ${describeTarget(host)}, as https://${domain}/:`,
            ...[provisionStep, deployStep()].map(({ plan }) => `  ${plan}`),
          ]
        : ['The server is left alone (--skip-deploy)']),
    ];
  }

  /** Provisions the host if that is needed, deploys the current commit and proves that the site is live. */
  protected async makeLive({ root, environment }: OpenedProject, host: TrustedHost): Promise<LiveResult> {
    const context = {
      projectRoot: root,
      environment,
      connection: host.connection,
      reporter: this.reporter,
      times: [],
    };
    const [project, { provisioned }] = await Promise.all([
      provisionFingerprint(root, environment.name),
      host.facts,
    ]);
    const journal = Journal.open(root);
    const proof = await this.creating(journal, () =>
      journal.create(
        { kind: 'site', name: environment.site, place: environment.host.address },
        provisioned ? 'kept' : 'absent',
        () => runSteps(context, stepsToLive({ project, host: provisioned })),
      ),
    );
    await this.cleanUp();
    return liveResult(context, proof);
  }

  /** Runs what creates things outside of the project's directory. A failure says what exists then, and what to do. */
  protected async creating<T>(journal: Journal, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      const { message, remedy, code, cause } = toGobootError(error);
      const ours = journal.ours().filter(({ kind }) => kind !== 'push');
      if (ours.length === 0) throw error;
      const named = (title: string, wanted: CreationState) => {
        const creations = ours.filter(({ state }) => state === wanted).map(describeCreation);
        return creations.length > 0 ? [`${title}: ${creations.join(', ')}.`] : [];
      };
      const lines = [
        ...(remedy ? [remedy] : []),
        ...named('Exists now', 'made'),
        ...named('Was begun, so it may exist', 'begun'),
        `To go on: ${this.resumeCommand}.${this.undoRemedy}`,
      ];
      throw new GobootError(message, { exitCode: code, remedy: lines.join('\n  '), cause });
    }
  }

  /** `--undo`: removes what earlier runs created on GitHub, after showing and asking. */
  protected async undo(root: string, project: Project): Promise<void> {
    const { undo, undoPlan } = await import('./github/undo.ts');
    const journal = Journal.open(root);
    const plan = undoPlan(journal).map(describeCreation);
    if (plan.length === 0) {
      this.reporter.result({ status: 'undone', removed: [], left: [] }, [
        'There is nothing to undo: no run from this directory has created anything on GitHub.',
      ]);
      return this.finish();
    }
    this.reporter.plan('Remove, as far as it holds nothing of others:', plan);
    if (await this.stopAfterPlan({ steps: plan })) return;
    if (this.mayAsk) {
      if (!(await this.confirm('Remove it?', false))) throw new GobootError('Cancelled; nothing was removed');
    } else if (!this.isOn(switches.yes)) {
      throw usageError(
        '--undo removes things, and nobody can be asked here',
        'Say that you mean it: --undo --yes',
      );
    }
    const github = await this.openGitHub(project);
    const { removed, left } = await undo({ projectRoot: root, github, journal, reporter: this.reporter });
    const stays = left.map(({ creation, reason }) => `${describeCreation(creation)}: ${reason}`);
    this.reporter.result({ status: 'undone', removed: removed.map(describeCreation), left: stays }, [
      removed.length > 0 ? 'Removed. The files of the project are as they were.' : 'Nothing was removed.',
      ...(stays.length > 0 ? ['This stays:', ...stays.map((line) => `  ${line}`)] : []),
    ]);
    this.finish();
  }
}
