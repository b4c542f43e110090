import { keyIdentity, readDeployPublicKeys } from '../ansible/deploy-public-keys.ts';
import { GobootError } from '../errors.ts';
import { mainBranch } from '../git.ts';
import type { Creation, Journal } from '../journal.ts';
import type { Environment, Project } from '../project.ts';
import { OwnWrites, rememberWrites } from '../secrets/github-secrets.ts';
import { readStoredAnswers } from '../settings-file.ts';
import type { KeyPair } from '../ssh/key-pair.ts';
import { count } from '../terminal/format.ts';
import { type Reporter, runStep } from '../terminal/reporter.ts';
import type { Owner } from './account.ts';
import { ensureBranches } from './branches.ts';
import { pullRequestChecks } from './checks.ts';
import type { GitHub } from './client.ts';
import { newDeployKey, readDeployKey } from './deploy-key.ts';
import {
  type DeploymentValue,
  deploymentSettings,
  deploymentValues,
  nameInPlace,
  type SettingsPlace,
} from './deployment-settings.ts';
import { ensureEnvironment } from './environments.ts';
import type { GitHubFacts } from './facts.ts';
import { deploymentRefs, longLivedBranches } from './flow.ts';
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
import { putSecrets } from './secrets.ts';
import type { ValueStore } from './stored-values.ts';
import { deleteVariable, listVariables, putVariables } from './variables.ts';
import type { Watcher } from './watcher.ts';

const notInThePlan = 'not in the plan of the account';

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

/**
 * Collects what a publication needs from what was found on GitHub. Changes nothing. Throws a GobootError.
 *
 * @param deployKeyFile a private key of the user's, in place of a new one.
 */
export async function preparePublication(
  facts: GitHubFacts,
  environment: Environment,
  projectRoot: string,
  deployKeyFile?: string,
): Promise<PreparedPublication> {
  const given =
    deployKeyFile === undefined ? undefined : await readDeployKey(deployKeyFile, environment, projectRoot);
  const [github, found, owner] = await Promise.all([facts.github, facts.repository, facts.owner]);
  const known = await readDeployPublicKeys(projectRoot, environment.name);
  return {
    github,
    found,
    owner,
    deployKey: given ?? (await newDeployKey(github, found, environment, known)),
  };
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
    project.github.flow === 'trunk'
      ? 'Push main, require its checks'
      : 'Push main, create the branches of the flow, require their checks',
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
    ({ unavailable }) => (unavailable ? notInThePlan : undefined),
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
  const branches = furtherBranches(context);
  if (branches.length > 0) {
    await runStep(
      reporter,
      'Branches',
      () => ensureBranches(context.github, repository, branches, commit),
      (missing) => (missing.length > 0 ? missing.join(', ') : `${branches.join(', ')} were there`),
    );
  }
  const rules = await runStep(
    reporter,
    'Rules for main',
    () => protect(context, repository),
    ({ skipped, rulesets }) => (skipped ? notInThePlan : count(rulesets, 'ruleset')),
  );
  if (rules.skipped) missing.push(`${rules.skipped} main is not protected.`);
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
  let repository: Repository;
  if (found.state === 'absent') {
    const description = project.title;
    repository = await createRepository(
      github,
      { owner, name: project.name, visibility, description },
      noting(journal, () => creation),
    );
  } else {
    repository = found.repository;
    await journal.begin(creation, 'kept');
    // Also of one that an earlier run has begun, whose answer was lost.
    await journal.made(creation, repository.id);
  }
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

async function environmentOf(context: PublishContext, repository: Repository): Promise<EnvironmentOnGitHub> {
  const { github, journal, environment } = context;
  const { name } = environment;
  const watcher = watching(journal, repository, { kind: 'environment' });
  const refs = deploymentRefs(context.project.github.flow, name);
  const result = await ensureEnvironment(github, repository, name, refs, watcher);
  if ('unavailable' in result) {
    await journal.remove({ kind: 'environment', name, place: fullName(repository) });
    const example = nameInPlace(deploymentSettings.host, name, 'repository');
    return {
      place: 'repository',
      unavailable: result.unavailable,
      variablePrefix: example.slice(0, -deploymentSettings.host.name.length),
    };
  }
  return { place: 'environment' };
}

/** Lets the journal keep up with what is written in a repository. */
function watching(
  journal: Journal,
  repository: Repository,
  creation: Omit<Creation, 'name' | 'place'>,
): Watcher {
  return noting(journal, (name) => ({ ...creation, name, place: fullName(repository) }));
}

function noting(journal: Journal, creationOf: (name: string) => Creation): Watcher {
  // What an earlier run may have made stays ours, whatever becomes of this attempt.
  const begunNow = new Set<string>();
  return {
    async before(name, before) {
      const known = journal.find(creationOf(name))?.state;
      if (known !== 'begun' && known !== 'made') begunNow.add(name);
      await journal.begin(creationOf(name), before);
    },
    after: (name, id) => journal.made(creationOf(name), id),
    async refused(name) {
      if (begunNow.has(name)) await journal.remove(creationOf(name));
    },
  };
}

/** Sets what the workflows need, and returns the names. */
async function putSettings(
  context: PublishContext,
  repository: Repository,
  place: SettingsPlace,
): Promise<string[]> {
  const { github, found, environment, journal, deployKey, knownHosts, vaultPassword } = context;
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
  const valuesOf = (kind: DeploymentValue['kind']) =>
    Object.fromEntries(
      settings.flatMap((setting) =>
        setting.kind === kind && setting.value !== undefined ? [[setting.name, setting.value]] : [],
      ),
    );
  const [variables, secrets] = [valuesOf('variable'), valuesOf('secret')];
  const within = store.environment ? { environment: store.environment } : {};
  const gone = settings.filter(({ removable, value }) => removable && value === undefined);
  if (found.state !== 'absent' && gone.length > 0) {
    const present = await github.afterCreation(() => listVariables(github, store));
    for (const { name } of gone.filter((setting) => present.has(setting.name))) {
      await deleteVariable(github, store, name);
      await journal.remove({ kind: 'variable', name, place: fullName(repository), ...within });
    }
  }
  await putVariables(
    github,
    store,
    variables,
    watching(journal, repository, { kind: 'variable', ...within }),
  );
  await putSecrets(github, store, secrets, watching(journal, repository, { kind: 'secret', ...within }));
  await rememberSecrets(context, repository);
  return [...Object.keys(variables), ...Object.keys(secrets)];
}

/** Lets it be told later whether GitHub still has these secrets. That nobody can tell is no reason to fail. */
async function rememberSecrets(
  { github, projectRoot, environment, deployKey, vaultPassword }: PublishContext,
  repository: Repository,
): Promise<void> {
  try {
    await rememberWrites({ github, repository }, OwnWrites.open(projectRoot), environment, {
      ...(deployKey && { [deploymentSettings.sshKey.name]: keyIdentity(deployKey.publicKey) }),
      ...(vaultPassword && { [deploymentSettings.vaultPassword.name]: vaultPassword }),
    });
  } catch (error) {
    if (!(error instanceof GobootError)) throw error;
  }
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
    pace: github.pace,
    // git knows whole seconds only.
    silence: Math.ceil(github.timeout / 1000),
  });
  await journal.made(creation);
  return result;
}

/** The branches that the flow of the project has besides main. */
function furtherBranches({ projectRoot, project, environment }: PublishContext): string[] {
  const stored = Object.keys(readStoredAnswers(projectRoot).environments);
  const environments = [...new Set([...stored, environment.name])];
  return longLivedBranches(project.github.flow, environments).filter((branch) => branch !== mainBranch);
}

async function protect(
  context: PublishContext,
  repository: Repository,
): Promise<{ rulesets: number; skipped?: string }> {
  const { projectRoot, github, journal } = context;
  const checks = await pullRequestChecks(projectRoot);
  const watcher = watching(journal, repository, { kind: 'ruleset' });
  const branches = furtherBranches(context);
  const protection = await protectDefaultBranch(github, repository, checks, watcher, branches);
  return 'skipped' in protection ? { rulesets: 0, ...protection } : { rulesets: protection.rulesets.length };
}
