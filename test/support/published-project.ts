import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { commit } from '../../lib/git.ts';
import type { GitHub } from '../../lib/github/client.ts';
import { projectPaths } from '../../lib/paths.ts';
import { newVaultFile } from '../../lib/scaffold.ts';
import { ensureVaultPassword } from '../../lib/vault.ts';
import type { GitHub as GitHubServer } from './github/server.ts';
import { openClient } from './github-client.ts';
import { ProjectTemplate, projectName, runPublication } from './publication.ts';
import type { RotationBench } from './rotations.ts';
import { sampleEnvironment, sampleProject, sampleStaging } from './sample.ts';

const owner = 'pro-user';

/** A project with two environments that is on GitHub with its secrets. */
export class PublishedProject implements RotationBench {
  readonly root: string;
  readonly environments = [sampleEnvironment(), sampleStaging()] as const;
  readonly project: RotationBench['project'];
  readonly openGitHub: () => Promise<GitHub>;
  applySecrets?: NonNullable<RotationBench['applySecrets']>;
  onWarning?: NonNullable<RotationBench['onWarning']>;
  readonly #server: GitHubServer;
  readonly #template: ProjectTemplate;

  private constructor(server: GitHubServer, template: ProjectTemplate, root: string, github: GitHub) {
    this.#server = server;
    this.#template = template;
    this.root = root;
    this.project = {
      ...sampleProject(projectName),
      github: { ...sampleProject(projectName).github, apiUrl: server.url, owner },
    };
    this.openGitHub = async () => github;
  }

  /** Publishes one. There is one at a time on a server. */
  static async publish(server: GitHubServer): Promise<PublishedProject> {
    const template = await ProjectTemplate.make({ only: ['.ansible/', '.github/', '.gitignore'] });
    const root = await template.copy();
    const token = server.token('classic', owner);
    const project = new PublishedProject(server, template, root, await openClient(server, token));
    const [production, staging] = project.environments;
    const password = (await ensureVaultPassword(root)) as string;
    const vault = await newVaultFile(staging, password);
    project.write(vault.path, vault.contents.toString());
    project.write(projectPaths.environmentVariables(staging.name), 'deploy_public_keys: []\n');
    await project.commit('Add staging');
    for (const environment of [production, staging])
      await runPublication({ server, root, token, environment });
    return project;
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true });
    writeFileSync(join(this.root, path), text);
  }

  commit(message: string): Promise<boolean> {
    return commit(this.root, { message, paths: ['.'], identity: { name: 'Ada', email: 'ada@example.com' } });
  }

  /** What GitHub holds of an environment's secrets. */
  secrets(environment: string): Record<string, string> {
    const found = this.#server.repository(`${owner}/${projectName}`)?.environments[environment];
    if (!found) throw new Error(`GitHub has no environment ${environment}`);
    return found.secrets;
  }

  remove(): Promise<void> {
    return this.#template.remove();
  }
}
