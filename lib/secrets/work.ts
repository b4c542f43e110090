import { releaseStatus } from '../deploy/maintenance.ts';
import { secretsStep } from '../deploy/site.ts';
import { GobootError } from '../errors.ts';
import { uncommittedPaths } from '../git.ts';
import type { GitHub } from '../github/client.ts';
import { projectPaths } from '../paths.ts';
import type { Environment, Environments, Project } from '../project.ts';
import type { SshConnection } from '../ssh/connection.ts';
import { type Reporter, withoutSteps } from '../terminal/reporter.ts';
import type { TrustedHost } from '../trust.ts';
import { openVault } from '../vault.ts';
import { HostSecrets } from './host-secrets.ts';
import { lookAtSecrets, type SecretOverview } from './overview.ts';
import { ownSecret } from './own-secret.ts';
import { ownSecretsVariable } from './own-secrets.ts';
import { secretNamed } from './rotatable.ts';
import type { RotatableSecret, Rotation, RotationContext, RotationSettings } from './rotation.ts';
import { RotationJournal, type RotationRecord } from './rotation-journal.ts';
import { resumeCommand, runRotation } from './run-rotation.ts';
import { oldSecretKeysUntil } from './secret-key.ts';
import { changedAt } from './vault-step.ts';

export interface SecretsWorkOptions {
  projectRoot: string;
  project: Project;
  environments: Environments;
  reporter: Reporter;
  /** Logs in to the host of an environment; whoever gives this closes the connection. */
  logIn: (environment: Environment) => Promise<TrustedHost>;
  /** Opens GitHub; undefined where it is left alone, or the project is not there. May ask for a token. */
  openGitHub: () => Promise<GitHub | undefined>;
  /** The same for what is only looked at: never asks, and never throws. */
  glanceAtGitHub: () => Promise<GitHub | undefined>;
  /** Variables that win over those of the inventory. */
  variables?: Record<string, unknown>;
}

/** A rotation that is about to be done, and what is known of its secret. */
export interface PreparedRotation {
  rotatable: RotatableSecret;
  rotation: Rotation;
  settings: RotationSettings;
}

/** What a run does with the secrets of a project: each host is logged in to at most once. */
export class SecretsWork {
  readonly #options: SecretsWorkOptions;
  readonly #hosts = new Map<string, Promise<TrustedHost>>();
  #gitHub: Promise<GitHub | undefined> | undefined;

  constructor(options: SecretsWorkOptions) {
    this.#options = options;
  }

  #logIn(environment: Environment): Promise<TrustedHost> {
    const known = this.#hosts.get(environment.name);
    if (known) return known;
    const host = this.#options.logIn(environment);
    this.#hosts.set(environment.name, host);
    return host;
  }

  #openGitHub(): Promise<GitHub | undefined> {
    this.#gitHub ??= this.#options.openGitHub();
    return this.#gitHub;
  }

  /** Whether the host of an environment has a site that runs. Throws a GobootError when it does not answer. */
  async #isLive(environment: Environment): Promise<boolean> {
    const { connection, facts } = await this.#logIn(environment);
    if (!(await facts).provisioned) return false;
    return Boolean((await releaseStatus(connection, environment.site)).release);
  }

  /**
   * Looks at the secrets of environments; what all of them share is a row of the first one. A host that does not answer is
   * told, and its part is left out.
   */
  async look(environments: readonly Environment[], olderThanDays?: number): Promise<SecretOverview[]> {
    const { projectRoot, project, reporter } = this.#options;
    const found: SecretOverview[] = [];
    for (const environment of environments) {
      const vault = await openVault(projectRoot, environment.name);
      let host: HostSecrets | undefined;
      try {
        const { connection, facts } = await this.#logIn(environment);
        if ((await facts).provisioned) {
          const visitorsPassword = environment.basicAuthUser && vault.text('vault_basic_auth_password');
          host = await HostSecrets.ask(connection, environment.site, { visitorsPassword });
        }
      } catch (error) {
        reporter.warn(`The host of ${environment.name} was not looked at: ${(error as Error).message}`);
      }
      const openGitHub = this.#options.glanceAtGitHub;
      const context = { projectRoot, project, environment, vault, host, openGitHub };
      const secrets = await lookAtSecrets(context, olderThanDays);
      found.push(...secrets.filter(({ shared }) => !shared || environment === environments[0]));
    }
    return found;
  }

  /** The names of the owner's secrets of an environment. */
  async ownNames({ name }: Environment): Promise<string[]> {
    return Object.keys((await openVault(this.#options.projectRoot, name)).texts(ownSecretsVariable));
  }

  /** The environments whose old secret keys have had their time. */
  async withDueKeys(environments: readonly Environment[], now = Date.now()): Promise<Environment[]> {
    const due: Environment[] = [];
    for (const environment of environments) {
      const until = oldSecretKeysUntil(await openVault(this.#options.projectRoot, environment.name));
      if (until !== undefined && !(Date.parse(until) > now)) due.push(environment);
    }
    return due;
  }

  /** Collects the steps of a rotation. Changes nothing. Throws a GobootError where it is not possible. */
  async prepare(
    rotatable: RotatableSecret,
    environment: Environment,
    settings: RotationSettings,
    { needsSite }: { needsSite: boolean },
  ): Promise<PreparedRotation> {
    // Whoever does not get in there should hear of it before anything is changed.
    const isLive = rotatable.worksWithoutHost || (await this.#isLive(environment));
    if (needsSite && !isLive) {
      throw new GobootError(`Nothing is live in ${environment.name}: there is nothing to rotate yet`, {
        remedy: `Deploy it first: yo goboot:deploy --environment ${environment.name}`,
      });
    }
    return { rotatable, settings, rotation: await rotatable.rotation(this.#context(environment, settings)) };
  }

  #context(environment: Environment, settings: RotationSettings): RotationContext {
    const { projectRoot, project, environments, reporter } = this.#options;
    return {
      ...settings,
      projectRoot,
      project,
      environment,
      environments,
      reporter,
      connect: async (other = environment): Promise<SshConnection> => (await this.#logIn(other)).connection,
      openGitHub: () => this.#openGitHub(),
      applySecrets: (other = environment) => this.#apply(other),
    };
  }

  async #apply(environment: Environment): Promise<void> {
    const { projectRoot, reporter, variables } = this.#options;
    const { connection, facts } = await this.#logIn(environment);
    if (!(await facts).provisioned) {
      reporter.info(`The host of ${environment.name} gets it when it is provisioned: yo goboot:deploy`);
      return;
    }
    await secretsStep.run({
      projectRoot,
      environment,
      connection,
      reporter: withoutSteps(reporter),
      times: [],
      ...(variables && { variables }),
    });
  }

  /** Refuses to begin anything while a rotation is unfinished, or a vault has changes that are not committed. */
  async requireCleanStart(): Promise<void> {
    const { projectRoot, environments } = this.#options;
    const [unfinished] = RotationJournal.open(projectRoot).unfinished();
    if (unfinished) {
      throw new GobootError(`The rotation of ${nameOf(unfinished)} was interrupted`, {
        remedy: `Finish it first: ${resumeCommand}`,
      });
    }
    const vaults = environments.map(({ name }) => projectPaths.vault(name));
    const changed = (await uncommittedPaths(projectRoot)).find((path) => vaults.includes(path));
    if (changed) {
      throw new GobootError(`${changed} has changes that are not committed`, {
        remedy: 'Commit them first, or drop them with git checkout.',
      });
    }
  }

  /** Does rotations, one after the other, and returns their names. Throws a GobootError at the first that fails. */
  async rotate(prepared: readonly PreparedRotation[]): Promise<string[]> {
    const journal = RotationJournal.open(this.#options.projectRoot);
    const done: string[] = [];
    for (const { rotation, settings } of prepared) {
      const { secret, environment } = rotation;
      const record = await journal.begin(
        { secret, ...(environment !== undefined && { environment }) },
        settings,
      );
      await runRotation(rotation, record, { journal, reporter: this.#options.reporter });
      done.push(nameOf(record));
    }
    return done;
  }

  /** The rotations that were interrupted. */
  unfinished(): RotationRecord[] {
    return RotationJournal.open(this.#options.projectRoot).unfinished();
  }

  /** Goes on with the rotations that were interrupted, and returns the names of those that came to their end. */
  async resume(): Promise<string[]> {
    const { projectRoot, environments, reporter } = this.#options;
    const journal = RotationJournal.open(projectRoot);
    const done: string[] = [];
    for (const record of journal.unfinished()) {
      const environment = environments.find(
        ({ name }) => name === (record.environment ?? environments[0].name),
      );
      if (!environment) {
        throw new GobootError(`The project has no environment ${record.environment} any more`, {
          remedy: `Remove ${projectPaths.rotationJournal}, or bring the environment back.`,
        });
      }
      const rotatable = await this.#rotatableOf(record, environment);
      if (!rotatable) {
        await journal.end(record, 'given up');
        reporter.warn(
          `${nameOf(record)} was not changed: the run was cut off before it had begun. Start anew`,
        );
        continue;
      }
      const rotation = await rotatable.rotation(this.#context(environment, record));
      await runRotation(rotation, record, { journal, reporter });
      done.push(nameOf(record));
    }
    return done;
  }

  /** What a record is about; undefined where that was a value of the owner's that the vault did not get. */
  async #rotatableOf(
    { secret, begun, removes }: RotationRecord,
    { name }: Environment,
  ): Promise<RotatableSecret | undefined> {
    if (removes) return ownSecret(secret, 'unset');
    const known = secretNamed(secret);
    const isOwn = /^[A-Z]/.test(secret);
    if (!isOwn) return known;
    const vault = await openVault(this.#options.projectRoot, name);
    return changedAt(vault, secret) === begun ? known : undefined;
  }
}

function nameOf({ secret, environment }: Pick<RotationRecord, 'secret' | 'environment'>): string {
  return environment === undefined ? secret : `${secret} of ${environment}`;
}
