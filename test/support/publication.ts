import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commit } from '../../lib/git.ts';
import { type GitHubOptions, openGitHub } from '../../lib/github/client.ts';
import { useDeployKey } from '../../lib/github/deploy-key.ts';
import { lookAtGitHub } from '../../lib/github/facts.ts';
import { type Publication, preparePublication, publish } from '../../lib/github/publish.ts';
import { type Undone, undo } from '../../lib/github/undo.ts';
import { type Creation, Journal } from '../../lib/journal.ts';
import { projectPaths } from '../../lib/paths.ts';
import { runChecks, throwOnFailures } from '../../lib/preflight/check.ts';
import { gitHubChecks } from '../../lib/preflight/github.ts';
import type { Environment, GitHubSettings, Project } from '../../lib/project.ts';
import { publicKeyOf } from '../../lib/ssh/key-pair.ts';
import { createReporter } from '../../lib/terminal/reporter.ts';
import { ensureVaultPassword } from '../../lib/vault.ts';
import type { GitHub as GitHubServer, RepositoryState } from './github/server.ts';
import { pace } from './github-client.ts';
import { git } from './local-project.ts';
import { sampleEnvironment, sampleProject } from './sample.ts';
import { writeSampleProject } from './sample-project.ts';

const identity = { name: 'Ada', email: 'ada@example.com' };

/** What a project's directory is called, and its repository with it. */
export const projectName = 'shop';

/** Lines of known_hosts as they are after a first login. */
export const knownHosts =
  'shop.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKbLYjIm9G5PHQY8rkYc3M8H1yTyn0hPXFjE1xOJ0FhA\n';

/** A rendered project with its vault, committed; copies of it spare rendering it again for each test. */
export class ProjectTemplate {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** @param only the directories that matter; everything unless given. */
  static async make({ only }: { only?: readonly string[] } = {}): Promise<ProjectTemplate> {
    const directory = await mkdtemp(join(tmpdir(), 'goboot-publication-'));
    const template = join(directory, 'template');
    const paths = await writeSampleProject(template, projectName);
    for (const path of only ? paths : []) {
      if (!only?.some((part) => path.startsWith(part))) await rm(join(template, path));
    }
    await commit(template, { message: 'Start', identity });
    await rm(join(template, '.git', 'hooks'), { recursive: true });
    return new ProjectTemplate(directory);
  }

  /** A copy of its own, which is removed with the template. */
  async copy(): Promise<string> {
    const root = join(await mkdtemp(join(this.#directory, 'copy-')), projectName);
    await cp(join(this.#directory, 'template'), root, { recursive: true });
    return root;
  }

  remove(): Promise<void> {
    return rm(this.#directory, { recursive: true, force: true });
  }
}

export interface RunOptions {
  server: GitHubServer;
  root: string;
  token: string;
  gitHub?: Partial<GitHubSettings>;
  environment?: Partial<Environment>;
  knownHosts?: string;
  client?: Partial<GitHubOptions>;
}

function described({ server, gitHub, environment }: Pick<RunOptions, 'server' | 'gitHub' | 'environment'>): {
  project: Project;
  environment: Environment;
} {
  const settings = { ...sampleProject(projectName).github, apiUrl: server.url, ...gitHub };
  return {
    project: { ...sampleProject(projectName), github: settings },
    environment: sampleEnvironment(environment, projectName),
  };
}

const reporter = createReporter({ json: false, quiet: true });

/** Publishes a project in the way of `yo goboot:github`: check, key, commit, publish. */
export async function runPublication(options: RunOptions): Promise<Publication> {
  const { server, root, token } = options;
  const { project, environment } = described(options);
  const github = openGitHub({ url: server.url, token, pace, timeout: 5000, ...options.client });
  const facts = lookAtGitHub(github, project, root);
  const context = { projectRoot: root, projectName: project.name, environment, gitHub: facts };
  throwOnFailures(await runChecks(gitHubChecks, context));
  const prepared = await preparePublication(facts, environment, root);
  if (prepared.deployKey) await useDeployKey(root, environment, prepared.deployKey);
  await commit(root, {
    message: 'Publish',
    paths: [projectPaths.environmentVariables(environment.name)],
    identity,
  });
  return publish({
    ...prepared,
    projectRoot: root,
    project,
    environment,
    knownHosts: options.knownHosts ?? knownHosts,
    vaultPassword: await ensureVaultPassword(root),
    journal: Journal.open(root),
    reporter,
  });
}

/** Undoes what was published from a directory. */
export async function runUndo({ server, root, token, client }: RunOptions): Promise<Undone> {
  const github = await openGitHub({ url: server.url, token, pace, timeout: 5000, ...client });
  return undo({ projectRoot: root, github, journal: Journal.open(root), reporter });
}

/** What of the journal's kinds is in a repository of the server, as the journal writes it down. */
export function creationsIn(fullName: string, state: RepositoryState | undefined): Creation[] {
  if (!state) return [];
  const inside = (
    { secrets, variables }: Pick<RepositoryState, 'secrets' | 'variables'>,
    environment?: string,
  ): Creation[] => {
    const within = { place: fullName, ...(environment && { environment }) };
    return [
      ...Object.keys(secrets).map((name): Creation => ({ kind: 'secret', name, ...within })),
      ...Object.keys(variables).map((name): Creation => ({ kind: 'variable', name, ...within })),
    ];
  };
  return [
    { kind: 'repository', name: fullName },
    ...inside(state),
    ...Object.entries(state.environments).flatMap(([name, environment]): Creation[] => [
      { kind: 'environment', name, place: fullName },
      ...inside(environment, name),
    ]),
    ...state.rulesets.map(({ name }): Creation => ({ kind: 'ruleset', name, place: fullName })),
    ...(state.commits.length > 0 ? [{ kind: 'push', name: 'main', place: fullName } as const] : []),
  ];
}

/** The things in a repository that the journal of a directory does not count as made by it. */
export function unknownTo(root: string, fullName: string, state: RepositoryState | undefined): Creation[] {
  const key = ({ kind, name, place, environment }: Creation) =>
    JSON.stringify({ kind, name, place, environment });
  const keys = new Set(Journal.open(root).ours().map(key));
  return creationsIn(fullName, state).filter((creation) => !keys.has(key(creation)));
}

/** What a repository holds, without ids and dates, which GitHub gives. */
export function comparable(state: RepositoryState | undefined) {
  if (!state) return undefined;
  const { path: _, commits, rulesets, ...rest } = state;
  return {
    ...rest,
    rulesets: rulesets.map(({ id: _id, createdAt: _created, updatedAt: _updated, ...ruleset }) => ruleset),
    commit: commits[0]?.sha,
  };
}

/** The same, with the deploy key and the commit replaced by whether they fit the project in a directory. */
export function besidesKeys(state: RepositoryState | undefined, root: string): unknown {
  const text = JSON.stringify(comparable(state), (name, value) => {
    if (name.endsWith('DEPLOY_SSH_KEY'))
      return fitsProject(root, value) ? 'fits the project' : 'does not fit';
    if (name === 'commit') return value === git(root, 'rev-parse', 'main') ? 'main' : 'another';
    return value;
  });
  return text === undefined ? undefined : JSON.parse(text);
}

/** Whether the public half of a private key is the one that the committed project lets deploy. */
export function fitsProject(root: string, privateKey: string): boolean {
  const file = projectPaths.environmentVariables('production');
  // The project may belong to the user of an end-to-end test.
  const variables = git(root, '-c', `safe.directory=${root}`, 'show', `main:${file}`);
  return variables.includes(publicKeyOf(privateKey));
}

/** The vault password of the project in a directory. */
export function vaultPassword(root: string): string {
  const path = join(root, projectPaths.vaultPassword);
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
}
