import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type PlaybookOptions, type PlaybookResult, runPlaybook } from '../../lib/ansible/playbook.ts';
import { commit } from '../../lib/git.ts';
import { defaultEnvironment, siteName } from '../../lib/project.ts';
import { lockPythonPackages } from '../../lib/python-lock.ts';
import { packageIndexSettings } from '../../lib/rehearsal/package-index.ts';
import type { RehearsalAcme, RehearsalHost } from '../../lib/rehearsal/rehearsal.ts';
import { newVaultFile, projectFiles } from '../../lib/scaffold.ts';
import { ensureVaultPassword } from '../../lib/vault.ts';
import { sampleEnvironment, sampleProject } from './sample.ts';

const identity = { name: 'Ada Example', email: 'ada@example.com' };

export interface ScaffoldedSiteOptions {
  /** Where the project's directory is made. */
  directory: string;
  host: RehearsalHost;
  /** The project's name. */
  project?: string;
  domain?: string;
  /** Issues the certificate; without it the authority is the one that every project gets. */
  acme?: RehearsalAcme;
  /** Variables that win over those of the inventory. */
  variables?: Record<string, unknown>;
}

/**
 * A project that is scaffolded from this clone's templates and brought to a host by its playbooks, without `yo`: for
 * what concerns the host more than the generator.
 */
export class ScaffoldedSite {
  readonly host: RehearsalHost;
  readonly directory: string;
  readonly domain: string;
  /** The name of the site on its host. */
  readonly name: string;
  readonly variables: Record<string, unknown>;

  private constructor(
    { host, directory, variables = {} }: ScaffoldedSiteOptions,
    project: string,
    domain: string,
  ) {
    this.host = host;
    this.directory = join(directory, project);
    this.domain = domain;
    this.name = siteName(project, defaultEnvironment);
    this.variables = variables;
  }

  /** Scaffolds and commits the project. Nothing reaches the host yet. */
  static async scaffold(options: ScaffoldedSiteOptions): Promise<ScaffoldedSite> {
    const { host, acme, project = 'shop', domain = `${project}.example.com` } = options;
    const variables = {
      ...(await packageIndexSettings()),
      ...(acme && {
        acme_directory_url: acme.directoryUrl,
        acme_certificate_authority_file: acme.tlsAuthorityPath,
      }),
      ...options.variables,
    };
    const site = new ScaffoldedSite({ ...options, variables }, project, domain);
    const { address, port, user, keyFile } = host;
    const environment = sampleEnvironment(
      { domain, host: { address, port, user, ...(keyFile && { keyFile }) } },
      project,
    );
    const files = await projectFiles(sampleProject(project), [environment], `${host.knownHostsLine}\n`);
    const password = await ensureVaultPassword(site.directory);
    if (password) files.push(await newVaultFile(environment, password));
    for (const { path, contents, mode } of files) {
      mkdirSync(dirname(join(site.directory, path)), { recursive: true });
      writeFileSync(join(site.directory, path), contents, { mode });
    }
    const problem = await lockPythonPackages(site.directory);
    if (problem) throw new Error(`The packages of ${project} could not be locked: ${problem}`);
    await site.commit('Start');
    return site;
  }

  /** A connection of this site's own: Ansible names shared ones after the site, and another one's may be open. */
  get sshArguments(): string {
    const sharing = `-o ControlMaster=auto -o ControlPersist=30s -o ControlPath=${this.directory}.ssh`;
    return `-F ssh_config ${sharing} -o ServerAliveInterval=5`;
  }

  /** Runs a playbook of the project against the host. */
  play(playbook: string, options: Partial<PlaybookOptions> = {}): Promise<PlaybookResult> {
    return runPlaybook({
      projectRoot: this.directory,
      environment: defaultEnvironment,
      playbook,
      sshArguments: this.sshArguments,
      ...options,
      variables: { ...this.variables, ...options.variables },
    });
  }

  provision(options: Partial<PlaybookOptions> = {}): Promise<PlaybookResult> {
    return this.play('provision.yml', options);
  }

  /** Puts the current commit live. */
  deploy(): Promise<PlaybookResult> {
    return this.play('deploy.yml');
  }

  /** Changes a file of the project and commits that. */
  async change(path: string, change: (text: string) => string): Promise<void> {
    const file = join(this.directory, path);
    writeFileSync(file, change(readFileSync(file, 'utf8')));
    await this.commit(`Change ${path}`);
  }

  async commit(message: string): Promise<void> {
    await commit(this.directory, { message, paths: ['.'], identity });
  }

  /** Runs a shell command as root on the host and returns what it prints. Throws when it fails. */
  async shell(command: string, input?: string): Promise<string> {
    const { exitCode, stdout, stderr } = await this.host.rootShell(command, input);
    if (exitCode !== 0) throw new Error(`${command}: exit status ${exitCode}\n${stdout}\n${stderr}`);
    return stdout.trim();
  }
}
