import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { projectPaths } from '../../lib/paths.ts';
import type { Environment } from '../../lib/project.ts';
import type { RotatableSecret, RotationContext, RotationSettings } from '../../lib/secrets/rotation.ts';
import { RotationJournal } from '../../lib/secrets/rotation-journal.ts';
import { runRotation } from '../../lib/secrets/run-rotation.ts';
import type { SshConnection } from '../../lib/ssh/connection.ts';
import { createReporter } from '../../lib/terminal/reporter.ts';
import { encryptVariables, newSiteSecrets, openVault, type VaultContents } from '../../lib/vault.ts';
import { sampleEnvironment, sampleProject } from './sample.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** What a host knows of the secrets of a site. */
export interface KnownToHost {
  /** At RabbitMQ, by name. */
  brokerUsers: Record<string, string>;
  /** What the running site has read. */
  running: { secretKeys: string[]; brokerUser: string; brokerPassword: string; own: Record<string, string> };
  /** In backup.env. */
  backupPassword: string;
  /** What opens the repositories. */
  backupKeys: string[];
}

/** Called between what happens one after the other, as a power failure could come; with the name of a step that has done its work. */
export type Moment = (done?: string) => void;

/**
 * A project with a vault and a git repository, both real, and a host that does in a few lines what the playbook
 * secrets.yml and the backup command do on one; test/host/secrets.test.ts has the real ones.
 */
export class SecretsProject {
  readonly root: string;
  host: KnownToHost;
  readonly environment: Environment = sampleEnvironment({ basicAuthUser: 'friends' });
  /** The host does not answer. */
  isAway = false;
  /** The site does not start with what it is given. */
  refuses = false;
  onMoment: Moment = () => {};

  private constructor(root: string, host: KnownToHost) {
    this.root = root;
    this.host = host;
  }

  static async create(): Promise<SecretsProject> {
    const root = temporaryDirectory();
    const secrets = newSiteSecrets({ basicAuthUser: 'friends' });
    const { vault_broker_password: password = '', vault_backup_password: backupPassword = '' } = secrets;
    const project = new SecretsProject(root, {
      brokerUsers: { 'shop-production': password },
      running: {
        secretKeys: [secrets.vault_secret_key as string],
        brokerUser: 'shop-production',
        brokerPassword: password,
        own: {},
      },
      backupPassword,
      backupKeys: [backupPassword],
    });
    const write = (path: string, text: string) => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    };
    write(projectPaths.vaultPassword, 'password\n');
    write('.gitignore', `/${projectPaths.vaultPassword}\n`);
    write(projectPaths.vault('production'), await encryptVariables(secrets, 'password'));
    project.git('init', '--quiet', '--initial-branch=main');
    project.git('config', 'user.name', 'Ada Example');
    project.git('config', 'user.email', 'ada@example.com');
    project.git('add', '.');
    project.git('commit', '--quiet', '--message', 'Start');
    return project;
  }

  /** The same at this moment, in a directory of its own. */
  copy(): SecretsProject {
    const root = temporaryDirectory();
    cpSync(this.root, root, { recursive: true });
    return new SecretsProject(root, structuredClone(this.host));
  }

  git(...words: string[]): string {
    return execFileSync('git', words, { cwd: this.root, encoding: 'utf8' }).trim();
  }

  vault(): Promise<VaultContents> {
    return openVault(this.root, this.environment.name);
  }

  journal(): RotationJournal {
    return RotationJournal.open(this.root);
  }

  context(settings: RotationSettings): RotationContext {
    return {
      ...settings,
      projectRoot: this.root,
      project: sampleProject(),
      environment: this.environment,
      environments: [this.environment],
      reporter: createReporter({ json: false, quiet: true }),
      connect: async () => {
        this.#answer();
        return this.#connection();
      },
      openGitHub: async () => undefined,
      applySecrets: () => this.apply(),
    };
  }

  /** Begins a rotation and does all its steps. */
  async rotate(secret: RotatableSecret, settings: Partial<RotationSettings> = {}): Promise<void> {
    const complete = { begun: new Date().toISOString(), leaked: false, keepOldDays: 30, ...settings };
    const rotation = await secret.rotation(this.context(complete));
    const journal = this.journal();
    const record = await journal.begin({ secret: secret.name, environment: 'production' }, complete);
    const steps = rotation.steps.map((step) => ({
      ...step,
      run: async () => {
        this.onMoment();
        await step.run();
        this.onMoment(step.name);
      },
    }));
    await runRotation({ ...rotation, steps }, record, {
      journal,
      reporter: createReporter({ json: false, quiet: true }),
    });
  }

  /** Goes on with what was interrupted. */
  async resume(secret: RotatableSecret): Promise<void> {
    const journal = this.journal();
    for (const record of journal.unfinished()) {
      const reporter = createReporter({ json: false, quiet: true });
      await runRotation(await secret.rotation(this.context(record)), record, { journal, reporter });
    }
  }

  /** What secrets.yml does on a host, in its order; provisioning does the same. */
  async apply(): Promise<void> {
    this.#answer();
    const vault = await this.vault();
    const text = (name: string) => vault.text(name) as string;
    const user = vault.text('vault_broker_user') ?? 'shop-production';
    const { host } = this;
    host.brokerUsers[user] = text('vault_broker_password');
    for (const other of ['shop-production', 'shop-production.2']) {
      if (other !== user && other !== vault.text('vault_broker_old_user')) delete host.brokerUsers[other];
    }
    this.onMoment();
    host.backupPassword = text('vault_backup_password');
    this.onMoment();
    if (this.refuses) throw new Error('the new release is not well');
    host.running = {
      secretKeys: [text('vault_secret_key'), ...vault.list('vault_secret_key_fallbacks')],
      brokerUser: user,
      brokerPassword: text('vault_broker_password'),
      own: vault.texts('vault_application_secrets'),
    };
  }

  #answer(): void {
    if (this.isAway) throw new Error('the host does not answer');
  }

  #connection(): SshConnection {
    const { host } = this;
    return {
      execute: async () => ({ exitCode: 0, stdout: '', stderr: '' }),
      stream: async (
        command: string,
        { input, onLine }: { input?: Readable; onLine: (line: string) => void },
      ) => {
        if (command.includes('add-password')) {
          const [password] = (await (input as Readable).toArray()) as [string];
          host.backupKeys = [...new Set([...host.backupKeys, password.trim()])];
        } else {
          host.backupKeys = host.backupKeys.filter((key) => key === host.backupPassword);
        }
        onLine(JSON.stringify({ event: 'result', status: 'ok', message: '' }));
        return { exitCode: 0, stderr: '' };
      },
    } as unknown as SshConnection;
  }
}
