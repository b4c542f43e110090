import { randomBytes, scryptSync, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import { GobootError } from '../errors.ts';
import { lookUpAccount } from '../github/account.ts';
import type { GitHub } from '../github/client.ts';
import {
  type DeploymentSetting,
  deploymentSettingList,
  nameInPlace,
  type SettingsPlace,
} from '../github/deployment-settings.ts';
import { isGitHubFailure } from '../github/errors.ts';
import { findRepository, fullName, type Repository } from '../github/repository.ts';
import { type ListedSecret, listSecretsWithTimes, putSecrets } from '../github/secrets.ts';
import { describeStore, type ValueStore } from '../github/stored-values.ts';
import { JournalFile } from '../journal-file.ts';
import { projectPaths } from '../paths.ts';
import type { Environment, Project } from '../project.ts';
import type { LookContext, SecretState } from './rotation.ts';

/** The repository of a project on GitHub, and the client that reaches it. */
export interface ProjectOnGitHub {
  github: GitHub;
  repository: Repository;
}

/** Finds the repository of a project; undefined where there is none that the token may see. Throws a GitHubError. */
export async function findProjectOnGitHub(
  github: GitHub,
  project: Project,
): Promise<ProjectOnGitHub | undefined> {
  const owner = project.github.owner ?? (await lookUpAccount(github)).login;
  const repository = await findRepository(github, { owner, name: project.name });
  return repository && { github, repository };
}

/** A secret in one of the places where workflows look for it. */
export interface PlacedSecret {
  /** The name of the environment whose workflows use it. */
  environment: string;
  /** As the workflows call it, whatever its name is in its place. */
  setting: string;
  store: ValueStore;
  /** The name that it has there. */
  name: string;
}

/** What this computer knows of the last value that it has given to a secret on GitHub. */
interface OwnWrite {
  repository: string;
  store: SettingsPlace;
  environment: string;
  setting: string;
  /** When GitHub says that it got the value. */
  updatedAt: string;
  /** Tells the value from others without giving it away, see `fingerprintOf`. */
  fingerprint: string;
  /** The rotation in which it was written, by the time of its beginning. */
  rotation?: string;
}

/** What is known of a secret on GitHub. GitHub never gives its value back. */
export interface GitHubSecretState extends PlacedSecret {
  present: boolean;
  /** When it got its value, ISO 8601; undefined where it is missing. */
  updatedAt?: string;
  /**
   * - `agrees`: it has the value that the project has: that was written from this computer, and nothing since then
   * - `overwritten`: the value that the project has was written from this computer, and another one after it
   * - `outdated`: it has the value that was written from this computer last, and the project has another one by now
   * - `unknown`: nobody can tell from here
   * - `missing`: GitHub does not have it
   */
  agreement: 'agrees' | 'overwritten' | 'outdated' | 'unknown' | 'missing';
}

/** The settings that GitHub keeps as secrets. */
const secretSettings = deploymentSettingList.filter(({ kind }) => kind === 'secret');

const places: readonly SettingsPlace[] = ['environment', 'repository'];

function storeOf({ owner, name }: Repository, environment: string, place: SettingsPlace): ValueStore {
  return { owner, name, ...(place === 'environment' && { environment }) };
}

const placeOf = ({ environment }: ValueStore): SettingsPlace => (environment ? 'environment' : 'repository');

/** The secrets of a place; none where there is no such environment. */
async function listIn(github: GitHub, store: ValueStore): Promise<ListedSecret[]> {
  try {
    return await listSecretsWithTimes(github, store);
  } catch (error) {
    if (store.environment && isGitHubFailure(error, 'not found')) return [];
    throw error;
  }
}

/** Where GitHub holds the secrets of an environment: in the environment, in the repository, or in both. */
async function findSecrets(
  { github, repository }: ProjectOnGitHub,
  environment: Pick<Environment, 'name'>,
): Promise<(PlacedSecret & { updatedAt: string })[]> {
  const found = await Promise.all(
    places.map(async (place) => {
      const store = storeOf(repository, environment.name, place);
      const listed = await listIn(github, store);
      return secretSettings.flatMap((setting) => {
        const name = nameInPlace(setting, environment.name, place);
        const there = listed.find((secret) => secret.name === name);
        return there
          ? [
              {
                environment: environment.name,
                setting: setting.name,
                store,
                name,
                updatedAt: there.updatedAt,
              },
            ]
          : [];
      });
    }),
  );
  return found.flat();
}

/**
 * A text that tells a value from others, for a file that must not give it away: deriving it takes as long as a password's
 * hash does, and no two of a value are alike.
 */
export function fingerprintOf(value: string): string {
  const salt = randomBytes(16);
  return `${salt.toString('base64url')}.${derived(value, salt).toString('base64url')}`;
}

/** Whether a fingerprint is that of a value. */
export function fits(value: string, fingerprint: string): boolean {
  const [salt = '', hash = ''] = fingerprint.split('.').map((part) => Buffer.from(part, 'base64url'));
  const expected = derived(value, Buffer.from(salt));
  return hash.length === expected.length && timingSafeEqual(expected, Buffer.from(hash));
}

function derived(value: string, salt: Buffer): Buffer {
  return scryptSync(value, salt, 32);
}

/** What was written to GitHub from this computer, from a file below `.goboot`; it holds no value. */
export class OwnWrites {
  readonly #file: JournalFile<OwnWrite>;
  readonly #last = new Map<string, OwnWrite>();

  private constructor(file: string) {
    this.#file = new JournalFile(
      file,
      'It only helps to tell whether secrets on GitHub are up to date: repair the line, or remove the file.',
    );
    for (const write of this.#file.read(isOwnWrite)) this.#last.set(keyOf(write), write);
  }

  /** Reads the file of a project. Throws a GobootError when it is damaged. */
  static open(projectRoot: string): OwnWrites {
    return new OwnWrites(join(projectRoot, projectPaths.gitHubSecrets));
  }

  /** The last write of a secret in a place. */
  find({ store, environment, setting }: PlacedSecret): OwnWrite | undefined {
    return this.#last.get(
      keyOf({ repository: fullName(store), store: placeOf(store), environment, setting }),
    );
  }

  /** Notes a write that GitHub has confirmed. */
  async add(
    { store, environment, setting }: PlacedSecret,
    write: Pick<OwnWrite, 'updatedAt' | 'fingerprint' | 'rotation'>,
  ): Promise<void> {
    const entry = { repository: fullName(store), store: placeOf(store), environment, setting, ...write };
    await this.#file.append(entry);
    this.#last.set(keyOf(entry), entry);
  }
}

function keyOf({
  repository,
  store,
  environment,
  setting,
}: Pick<OwnWrite, 'repository' | 'store' | 'environment' | 'setting'>): string {
  return JSON.stringify([repository.toLowerCase(), store, environment, setting]);
}

function isOwnWrite(value: unknown): value is OwnWrite {
  const { repository, store, environment, setting, updatedAt, fingerprint } = (value ??
    {}) as Partial<OwnWrite>;
  const texts = [repository, store, environment, setting, updatedAt, fingerprint];
  return texts.every((text) => typeof text === 'string');
}

/**
 * What GitHub holds of a secret of an environment, and whether that is what the project has: one state for each place that
 * holds it, or one that says that it is missing.
 *
 * @param current the value that the project has now, or what stood in for it when it was written; several where it has
 *   several for a while.
 * Throws a GitHubError.
 */
export async function gitHubSecretStates(
  onGitHub: ProjectOnGitHub,
  writes: OwnWrites,
  { environment, setting, current }: SecretQuestion,
): Promise<GitHubSecretState[]> {
  const held = await placesHolding(onGitHub, environment, setting);
  if (held.length === 0) {
    const store = storeOf(onGitHub.repository, environment.name, 'environment');
    const missing = { environment: environment.name, setting: setting.name, store, name: setting.name };
    return [{ ...missing, present: false, agreement: 'missing' }];
  }
  return held.map((secret) => ({
    ...secret,
    present: true,
    agreement: agreementOf(secret, writes.find(secret), current),
  }));
}

interface SecretQuestion {
  environment: Pick<Environment, 'name'>;
  setting: Pick<DeploymentSetting, 'name'>;
  current: readonly string[];
}

function agreementOf(
  { updatedAt }: { updatedAt: string },
  write: OwnWrite | undefined,
  current: readonly string[],
): GitHubSecretState['agreement'] {
  if (!write) return 'unknown';
  const isCurrent = current.some((value) => fits(value, write.fingerprint));
  const isLast = write.updatedAt === updatedAt;
  if (isLast) return isCurrent ? 'agrees' : 'outdated';
  // Where the project has moved on as well, somebody else has rotated it.
  return isCurrent ? 'overwritten' : 'unknown';
}

const inWords: Record<GitHubSecretState['agreement'], string | undefined> = {
  agrees: undefined,
  overwritten: 'GitHub (written from elsewhere since)',
  outdated: 'GitHub',
  unknown: undefined,
  missing: 'GitHub (missing)',
};

/**
 * How a secret on GitHub is, for the list of all secrets. Does not fail: what GitHub does not tell is not known. A project
 * without an owner was never published.
 */
export async function lookAtGitHub(
  { project, projectRoot, environment, openGitHub }: LookContext,
  setting: Pick<DeploymentSetting, 'name'>,
  { secret, current }: { secret: string; current: () => Promise<string[]> },
): Promise<SecretState> {
  if (project.github.owner === undefined) return { differences: [], unknown: [] };
  let states: GitHubSecretState[];
  try {
    const github = await openGitHub();
    const onGitHub = github && (await findProjectOnGitHub(github, project));
    if (!onGitHub) return { differences: [], unknown: ['GitHub'] };
    states = await gitHubSecretStates(onGitHub, OwnWrites.open(projectRoot), {
      environment,
      setting,
      current: await current(),
    });
  } catch (error) {
    if (!(error instanceof GobootError)) throw error;
    return { differences: [], unknown: ['GitHub'] };
  }
  const newest = states
    .flatMap(({ updatedAt }) => updatedAt ?? [])
    .sort()
    .at(-1);
  return {
    ...(newest && { changedAt: newest }),
    differences: [...new Set(states.flatMap(({ agreement }) => inWords[agreement] ?? []))],
    unknown: states.some(({ agreement }) => agreement === 'unknown') ? ['GitHub'] : [],
    repair: `rotate it: yo goboot:secrets --rotate ${secret}`,
  };
}

/** What is written to GitHub in a rotation. */
export interface SecretWrite {
  environment: Pick<Environment, 'name'>;
  setting: Pick<DeploymentSetting, 'name'>;
  value: string;
  /** What stands in for the value when fingerprints are compared: the public half of a key. The value unless given. */
  known?: string;
  rotation: string;
}

/** The places on GitHub that hold a secret of an environment now. Throws a GitHubError. */
export async function placesHolding(
  onGitHub: ProjectOnGitHub,
  environment: Pick<Environment, 'name'>,
  setting: Pick<DeploymentSetting, 'name'>,
): Promise<(PlacedSecret & { updatedAt: string })[]> {
  return (await findSecrets(onGitHub, environment)).filter((secret) => secret.setting === setting.name);
}

/**
 * Gives a secret another value in every place on GitHub that holds it, and remembers that. Returns the places; none where
 * GitHub does not hold it. Throws a GitHubError.
 */
export async function writeWhereHeld(
  onGitHub: ProjectOnGitHub,
  writes: OwnWrites,
  { environment, setting, value, known = value, rotation }: SecretWrite,
): Promise<PlacedSecret[]> {
  const held = await placesHolding(onGitHub, environment, setting);
  for (const { store, name } of held) await putSecrets(onGitHub.github, store, { [name]: value });
  await rememberWrites(onGitHub, writes, environment, { [setting.name]: known }, rotation);
  return held;
}

/**
 * Notes when GitHub says that secrets of an environment were written, a moment ago from this computer. Throws a GitHubError.
 *
 * @param known by the name of the setting, the value or what stands in for it.
 */
export async function rememberWrites(
  onGitHub: ProjectOnGitHub,
  writes: OwnWrites,
  environment: Pick<Environment, 'name'>,
  known: Readonly<Record<string, string>>,
  rotation?: string,
): Promise<void> {
  for (const secret of await findSecrets(onGitHub, environment)) {
    const value = known[secret.setting];
    if (value === undefined) continue;
    await writes.add(secret, {
      updatedAt: secret.updatedAt,
      fingerprint: fingerprintOf(value),
      ...(rotation !== undefined && { rotation }),
    });
  }
}

/** The error for a secret that GitHub should hold and does not. */
export function notOnGitHub(
  { repository }: ProjectOnGitHub,
  environment: Pick<Environment, 'name'>,
  setting: Pick<DeploymentSetting, 'name'>,
): GobootError {
  const store = storeOf(repository, environment.name, 'environment');
  return new GobootError(`GitHub has no secret ${setting.name} for ${describeStore(store)}`, {
    remedy: `Publish it: yo goboot:github --environment ${environment.name}`,
  });
}
