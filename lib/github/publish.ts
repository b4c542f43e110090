import { readDeployPublicKeys } from '../ansible/deploy-public-keys.ts';
import type { Journal } from '../journal.ts';
import type { Environment, Project } from '../project.ts';
import type { KeyPair } from '../ssh/key-pair.ts';
import { count } from '../terminal/format.ts';
import { type Reporter, runStep } from '../terminal/reporter.ts';
import type { Owner } from './account.ts';
import { pullRequestChecks } from './checks.ts';
import type { GitHub } from './client.ts';
import { newDeployKey } from './deploy-key.ts';
import {
  type DeploymentValue,
  deploymentSettings,
  deploymentValues,
  nameInPlace,
  type SettingsPlace,
} from './deployment-settings.ts';
import { ensureEnvironment } from './environments.ts';
import type { GitHubFacts } from './facts.ts';
import { protectDefaultBranch } from './protection.ts';
import { pushMain } from './push.ts';
import {
  createRepository,
  fullName,
  type Repository,
  type RepositoryName,
  type RepositoryState,
  updateRepository,
} from './repository.ts';
import { listSecrets, putSecrets } from './secrets.ts';
import type { ValueStore } from './stored-values.ts';
import { deleteVariable, listVariables, putVariables } from './variables.ts';

/** What may deploy: main by hand, and whatever tag a release has. */
const deploymentRefs = { branches: ['main'], tags: ['*'] };

const topics = ['django', 'ansible'];

export interface PublishContext {
  projectRoot: string;
  project: Project;
  environment: Environment;
  github: GitHub;
  /** What stood at the repository's address when it was looked at. */
  found: RepositoryState;
  /** Who is to own a repository that is still to be created. */
  owner: Owner;
  /** The lines of known_hosts for every host on the way to the site. */
  knownHosts: string;
  /** Undefined where this computer does not have it. */
  vaultPassword: string | undefined;
  /** A new deploy key; undefined where GitHub holds one already. */
  deployKey: KeyPair | undefined;
  journal: Journal;
  reporter: Reporter;
}

/** What is on GitHub after a run. */
export interface Publication {
  repository: Repository;
  place: SettingsPlace;
  commit: string;
  /** What the plan of the owner does not include, in words. */
  missing: string[];
}

export type PreparedPublication = Pick<PublishContext, 'github' | 'found' | 'owner' | 'deployKey'>;

/** Collects what a publication needs from what was found on GitHub. Changes nothing. Throws a GobootError. */
export async function preparePublication(
  facts: GitHubFacts,
  environment: Environment,
  projectRoot: string,
): Promise<PreparedPublication> {
  const [github, found, owner] = await Promise.all([facts.github, facts.repository, facts.owner]);
  const known = await readDeployPublicKeys(projectRoot, environment.name);
  return { github, found, owner, deployKey: await newDeployKey(github, found, environment, known) };
}

/** What `publish` is about to do, as lines for people. */
export function publishPlan({
  found,
  owner,
  project,
  environment,
  deployKey,
}: Pick<PublishContext, 'found' | 'owner' | 'project' | 'environment' | 'deployKey'>): string[] {
  const name =
    found.state === 'absent'
      ? `${owner.login}/${project.name}`
      : fullName(found.repository as RepositoryName);
  return [
    found.state === 'absent'
      ? `Create the ${project.github.visibility} repository ${name}`
      : `Use the repository ${name}, which is ${found.state === 'empty' ? 'empty' : 'this project’s'}`,
    `Environment ${environment.name}: variables, secrets${deployKey ? ' and a new deploy key' : ''}`,
    'Push main, require its checks',
  ];
}

/**
 * Brings a project to GitHub: repository, environment, variables, secrets, then main, then its rules. No workflow can
 * start before what it needs is there. Each step looks at what there is, so a run that was cut off can be repeated.
 *
 * Throws a GobootError; the journal then holds what was created.
 */
export async function publish(context: PublishContext): Promise<Publication> {
  const { reporter } = context;
  const missing: string[] = [];
  const repository = await runStep(
    reporter,
    'Repository',
    () => repositoryOf(context),
    ({ htmlUrl }) => htmlUrl,
  );
  const environment = await runStep(
    reporter,
    `Environment ${context.environment.name}`,
    () => environmentOf(context, repository),
    ({ unavailable }) => unavailable,
  );
  if (environment.unavailable) {
    const { variablePrefix } = environment;
    missing.push(
      `${environment.unavailable}: the settings are in the repository, under names that begin with ${variablePrefix}.`,
    );
  }
  await runStep(
    reporter,
    'Variables and secrets',
    () => putSettings(context, repository, environment.place),
    (names) => names.join(', '),
  );
  if (!context.knownHosts.trim()) {
    missing.push(
      `The host key of ${context.environment.host.address} is not known yet, so GitHub cannot deploy: run yo goboot:github again after the first deploy.`,
    );
  }
  const { commit } = await runStep(
    reporter,
    'Push main',
    (step) => push(context, repository, (text) => step.update(text)),
    ({ commit: sha, pushed }) => (pushed ? sha.slice(0, 8) : `${sha.slice(0, 8)} was there`),
  );
  const skipped = await runStep(
    reporter,
    'Rules for main',
    () => protect(context, repository),
    (protection) => protection.skipped ?? count(protection.rulesets, 'ruleset'),
  );
  if (skipped.skipped) missing.push(skipped.skipped);
  return { repository, place: environment.place, commit, missing };
}

async function repositoryOf(context: PublishContext): Promise<Repository> {
  const { github, found, owner, project, environment, journal } = context;
  const { visibility } = project.github;
  const name =
    found.state === 'absent'
      ? { owner: owner.login, name: project.name }
      : (found.repository as RepositoryName);
  const creation = { kind: 'repository', name: fullName(name) } as const;
  await journal.begin(creation, found.state === 'absent' ? 'absent' : 'kept');
  const repository =
    found.state === 'absent'
      ? await createRepository(github, {
          owner,
          name: project.name,
          visibility,
          description: project.title,
        })
      : found.repository;
  await journal.made(creation, repository.id);
  if (found.state !== 'ours' && journal.find(creation)?.state === 'made') {
    await updateRepository(github, repository, { topics, homepage: `https://${environment.domain}/` });
  }
  return repository;
}

interface EnvironmentOnGitHub {
  place: SettingsPlace;
  unavailable?: string;
  variablePrefix?: string;
}

async function environmentOf(
  { github, environment, journal }: PublishContext,
  repository: Repository,
): Promise<EnvironmentOnGitHub> {
  const { name } = environment;
  const creation = { kind: 'environment', name, place: fullName(repository) } as const;
  const existed = await github.find(`look up the environment ${name} of ${fullName(repository)}`, (api) =>
    api.repos.getEnvironment({ owner: repository.owner, repo: repository.name, environment_name: name }),
  );
  await journal.begin(creation, existed ? 'kept' : 'absent');
  const result = await ensureEnvironment(github, repository, name, deploymentRefs);
  if ('unavailable' in result) {
    await journal.remove(creation);
    const example = nameInPlace(deploymentSettings.host, name, 'repository');
    return {
      place: 'repository',
      unavailable: result.unavailable,
      variablePrefix: example.slice(0, -deploymentSettings.host.name.length),
    };
  }
  await journal.made(creation);
  return { place: 'environment' };
}

/** Sets what the workflows need, and returns the names. */
async function putSettings(
  context: PublishContext,
  repository: Repository,
  place: SettingsPlace,
): Promise<string[]> {
  const { github, environment, journal, deployKey, knownHosts, vaultPassword } = context;
  const store: ValueStore = {
    owner: repository.owner,
    name: repository.name,
    ...(place === 'environment' && { environment: environment.name }),
  };
  const settings = deploymentValues(
    {
      environment,
      knownHosts,
      ...(vaultPassword && { vaultPassword }),
      ...(deployKey && { deployPrivateKey: deployKey.privateKey }),
    },
    place,
  );
  const creation = (kind: DeploymentValue['kind'], name: string) => ({
    kind,
    name,
    place: fullName(repository),
    ...(store.environment && { environment: store.environment }),
  });
  const valuesOf = (kind: DeploymentValue['kind']) =>
    Object.fromEntries(
      settings.flatMap((setting) =>
        setting.kind === kind && setting.value !== undefined ? [[setting.name, setting.value]] : [],
      ),
    );
  const [variables, secrets] = [valuesOf('variable'), valuesOf('secret')];

  const existing = await github.afterCreation(() => listVariables(github, store));
  for (const { kind, name, value } of settings) {
    if (kind === 'variable' && value === undefined && existing.has(name))
      await deleteVariable(github, store, name);
  }
  for (const [name, value] of Object.entries(variables)) {
    const before = existing.get(name);
    await journal.begin(
      creation('variable', name),
      before === undefined ? 'absent' : before === value ? 'kept' : 'replaced',
    );
  }
  await putVariables(github, store, variables, ({ name }) => journal.made(creation('variable', name)));

  const known = await listSecrets(github, store);
  for (const name of Object.keys(secrets)) {
    await journal.begin(creation('secret', name), known.includes(name) ? 'replaced' : 'absent');
  }
  await putSecrets(github, store, secrets, ({ name }) => journal.made(creation('secret', name)));
  return [...Object.keys(variables), ...Object.keys(secrets)];
}

async function push(
  { projectRoot, github, found, journal }: PublishContext,
  repository: Repository,
  onProgress: (text: string) => void,
) {
  const creation = { kind: 'push', name: 'main', place: fullName(repository) } as const;
  await journal.begin(creation, found.state === 'ours' ? 'kept' : 'absent');
  const result = await pushMain(projectRoot, {
    cloneUrl: repository.cloneUrl,
    token: github.token(),
    isNew: found.state === 'absent',
    onProgress,
  });
  await journal.made(creation);
  return result;
}

async function protect(
  { projectRoot, github, journal }: PublishContext,
  repository: Repository,
): Promise<{ rulesets: number; skipped?: string }> {
  const creation = (name: string) => ({ kind: 'ruleset', name, place: fullName(repository) }) as const;
  const checks = await pullRequestChecks(projectRoot);
  const protection = await protectDefaultBranch(github, repository, checks, (name, existed) =>
    journal.begin(creation(name), existed ? 'replaced' : 'absent'),
  );
  if ('skipped' in protection) return { rulesets: 0, skipped: protection.skipped };
  for (const { id, name } of protection.rulesets) await journal.made(creation(name), id);
  return { rulesets: protection.rulesets.length };
}
