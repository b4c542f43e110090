import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  addDeployPublicKey,
  keyIdentity,
  readDeployPublicKeys,
  removeDeployPublicKey,
} from '../ansible/deploy-public-keys.ts';
import { provisionFingerprint } from '../deploy/fingerprint.ts';
import { GobootError, toGobootError } from '../errors.ts';
import { commit, uncommittedPaths } from '../git.ts';
import { deployAccount, deploymentSettings } from '../github/deployment-settings.ts';
import { isGitHubFailure } from '../github/errors.ts';
import { projectPaths } from '../paths.ts';
import { jumpHosts } from '../project.ts';
import { deployKeyComment, type KeyPair, makeDeployKeyPair } from '../ssh/key-pair.ts';
import { describeTarget } from '../ssh/target.ts';
import { type DeployKeyDoors, deployKeyDoors, deployKeysPlaybook } from './deploy-key-doors.ts';
import { DeployKeyStates } from './deploy-key-states.ts';
import {
  findProjectOnGitHub,
  lookAtGitHub,
  notOnGitHub,
  OwnWrites,
  type ProjectOnGitHub,
  placesHolding,
  writeWhereHeld,
} from './github-secrets.ts';
import type { RotatableSecret, Rotation, RotationContext, RotationStep } from './rotation.ts';

const setting = deploymentSettings.sshKey;

/** The key with which GitHub deploys a site. */
export const deployKey: RotatableSecret = {
  name: 'deploy-key',
  describe({ project, environment }) {
    // Whoever has published the project has said, or was told, who owns it there.
    if (project.github.owner === undefined) return undefined;
    return {
      name: deployKey.name,
      kind: 'key pair',
      purpose: `Lets GitHub deploy ${environment.site}, and do nothing else there.`,
      places: [
        { kind: 'GitHub', name: setting.name },
        { kind: 'host', where: `authorized_keys of ${deployAccount}` },
        ...jumpHosts(environment).map((jumpHost) => ({
          kind: 'host' as const,
          where: `authorized_keys of ${describeTarget(jumpHost)}`,
        })),
      ],
      rotation:
        'The new key is let in beside the old one and has to log in before GitHub gets it; then the old one is taken away.',
    };
  },
  look: (context) =>
    lookAtGitHub(context, setting, {
      secret: deployKey.name,
      current: async () =>
        (await readDeployPublicKeys(context.projectRoot, context.environment.name)).map(keyIdentity),
    }),
  rotation: (context) => deployKeyRotation(context, deployKeyDoors(context)),
  afterLeak: [
    'Whoever had the key could put any commit live. Look at who deployed what, with yo goboot:releases.',
    'What is deployed runs with the secrets and the data of the site: if a release is not yours, rotate all secrets.',
    'Connections that were open with it last until they are closed: on the server, loginctl terminate-user deploy.',
    'On a jump host the key could connect to the server’s SSH port and to nothing else.',
  ],
};

/** The rotation of the deploy key of an environment. Throws a GobootError where GitHub holds none. */
export async function deployKeyRotation(context: RotationContext, doors: DeployKeyDoors): Promise<Rotation> {
  const { projectRoot, environment, leaked } = context;
  if (!existsSync(join(projectRoot, projectPaths.ansible, deployKeysPlaybook))) {
    throw new GobootError(
      `${projectPaths.ansible}/${deployKeysPlaybook} is missing: the project is of an earlier goboot`,
      {
        remedy: 'Bring its playbooks up to date, and provision: yo goboot, then yo goboot:deploy',
      },
    );
  }
  const onGitHub = await findOnGitHub(context);
  const change = new DeployKeyChange(context, onGitHub, doors);
  const { check, install, prove, store, remove, refuse, record } = change.steps();
  const revoke = { ...remove, name: 'revoke', run: () => change.revoke() };
  const others = await change.otherKeys();
  return {
    secret: deployKey.name,
    environment: environment.name,
    steps: !leaked
      ? [check, install, prove, store, remove, refuse, record]
      : onGitHub
        ? [check, revoke, refuse, install, prove, store, remove, record].map(withoutUndo)
        : [check, revoke, refuse, record].map(withoutUndo),
    afterwards: [
      ...(onGitHub ? [] : ['GitHub cannot deploy until it has a new key: yo goboot:github']),
      'Push the commit: whoever provisions from an older one lets the old key in and takes the new one away.',
      ...(leaked && jumpHosts(environment).length > 0
        ? [
            'On the jump hosts the new key has the usual options in authorized_keys. Add those that were beside the old one.',
          ]
        : []),
      ...(others.length > 0
        ? [`These keys were not made for GitHub, and may deploy as before: ${others.join('; ')}`]
        : []),
    ],
  };
}

/** The project on GitHub; undefined where a leaked key is to be refused without. Throws a GobootError. */
async function findOnGitHub({
  openGitHub,
  project,
  leaked,
}: RotationContext): Promise<ProjectOnGitHub | undefined> {
  try {
    const github = await openGitHub();
    const onGitHub = github && (await findProjectOnGitHub(github, project));
    if (onGitHub || leaked) return onGitHub;
  } catch (error) {
    const { message, remedy, code } = toGobootError(error);
    if (!leaked) throw error;
    throw new GobootError(message, {
      exitCode: code,
      remedy: `${remedy ? `${remedy}\n  ` : ''}To refuse the old key now, and give GitHub a new one later: yo goboot:secrets --leaked deploy-key --skip-github`,
      cause: error,
    });
  }
  throw new GobootError(
    'The deploy key cannot be rotated without GitHub, which alone holds its private half',
    {
      remedy: 'Publish the project first: yo goboot:github',
    },
  );
}

/** What was refused because it had leaked is never let in again. */
function withoutUndo({ undo: _, ...step }: RotationStep): RotationStep {
  return step;
}

/** The steps of one rotation, and what they know of each other within one run. */
class DeployKeyChange {
  readonly #context: RotationContext;
  readonly #onGitHub: ProjectOnGitHub | undefined;
  readonly #doors: DeployKeyDoors;
  readonly #states: DeployKeyStates;
  readonly #writes: OwnWrites;
  /** In memory alone. A run that goes on where another was killed makes a new one. */
  #pair: KeyPair | undefined;
  #isProven = false;

  constructor(context: RotationContext, onGitHub: ProjectOnGitHub | undefined, doors: DeployKeyDoors) {
    const { projectRoot, environment, begun } = context;
    this.#context = context;
    this.#onGitHub = onGitHub;
    this.#doors = doors;
    this.#states = new DeployKeyStates(projectRoot, environment.name, begun);
    this.#writes = OwnWrites.open(projectRoot);
  }

  steps(): Record<'check' | 'install' | 'prove' | 'store' | 'remove' | 'refuse' | 'record', RotationStep> {
    const nothing = async () => {};
    const { environment } = this.#context;
    const { name } = environment;
    const places = jumpHosts(environment).length > 0 ? 'the host and every jump host' : 'the host';
    return {
      check: {
        name: 'check',
        title: `Reach GitHub, ${places}`,
        run: () => this.#check(),
        undo: nothing,
      },
      install: {
        name: 'install',
        title: `Let a new deploy key of ${name} in on ${places}`,
        run: () => this.#install(),
        undo: () => this.#uninstall(),
      },
      prove: {
        name: 'prove',
        title: 'Log in with the new deploy key alone',
        run: () => this.#prove(),
        undo: nothing,
      },
      store: {
        name: 'store',
        title: `Give GitHub the new deploy key of ${name}`,
        run: () => this.#store(),
        undo: () => this.#refuseToTakeBack(),
      },
      remove: {
        name: 'remove',
        title: `Take old deploy keys of ${name} from ${places}`,
        run: () => this.#remove(),
      },
      refuse: {
        name: 'refuse',
        title: 'See the old deploy key refused',
        run: () => this.#refuse(),
      },
      record: {
        name: 'record',
        title: 'Commit the new deploy key',
        run: () => this.#record(),
      },
    };
  }

  async #check(): Promise<void> {
    const { projectRoot, environment } = this.#context;
    const path = projectPaths.environmentVariables(environment.name);
    const isOurs = this.#states.keys('let in', 'sent', 'given', 'retired').length > 0;
    if (!isOurs && (await uncommittedPaths(projectRoot)).includes(path)) {
      throw new GobootError(`${path} has changes that are not committed`, {
        remedy:
          'Commit them, or put them aside with git stash: the new deploy key is committed in that file.',
      });
    }
    if (this.#onGitHub) {
      const held = await placesHolding(this.#onGitHub, environment, setting);
      if (held.length === 0) throw notOnGitHub(this.#onGitHub, environment, setting);
    }
    await this.#doors.check();
  }

  #keys(): Promise<string[]> {
    const { projectRoot, environment } = this.#context;
    return readDeployPublicKeys(projectRoot, environment.name);
  }

  #isMadeForGitHub(key: string): boolean {
    return key.endsWith(` ${deployKeyComment(this.#context.environment.site)}`);
  }

  async #ownKeys(): Promise<string[]> {
    return (await this.#keys()).filter((key) => this.#isMadeForGitHub(key));
  }

  /** The keys that may release the site and are none of our business. */
  async otherKeys(): Promise<string[]> {
    return (await this.#keys()).filter((key) => !this.#isMadeForGitHub(key));
  }

  /** The key that this rotation has given to GitHub; undefined before. */
  get #given(): string | undefined {
    return this.#states.keys('given').at(-1);
  }

  async #install(): Promise<void> {
    if (this.#given || this.#pair) return;
    const { projectRoot, environment } = this.#context;
    const pair = makeDeployKeyPair(environment.site);
    const { publicKey } = pair;
    this.#pair = pair;
    const oldKeys = [...(await this.#ownKeys()), ...this.#states.keys('retired')];
    await this.#states.note([publicKey], 'let in');
    await addDeployPublicKey(projectRoot, environment.name, publicKey);
    await this.#doors.bringInventory();
    await this.#doors.letThrough(publicKey, oldKeys);
  }

  /** Also those that earlier runs have let in and forgotten. */
  async #uninstall(): Promise<void> {
    const keys = this.#states.keys('let in');
    await this.#takeAway(keys);
    await this.#states.note(keys, 'gone');
    this.#pair = undefined;
  }

  async #prove(): Promise<void> {
    if (this.#given || this.#isProven) return;
    await this.#install();
    await this.#doors.logIn(this.#pair as KeyPair);
    this.#isProven = true;
  }

  async #store(): Promise<void> {
    if (this.#given) return;
    await this.#prove();
    const { environment, begun } = this.#context;
    const onGitHub = this.#onGitHub as ProjectOnGitHub;
    const { privateKey, publicKey } = this.#pair as KeyPair;
    await this.#states.note([publicKey], 'sent');
    try {
      const held = await writeWhereHeld(onGitHub, this.#writes, {
        environment,
        setting,
        value: privateKey,
        known: keyIdentity(publicKey),
        rotation: begun,
      });
      if (held.length === 0) throw notOnGitHub(onGitHub, environment, setting);
    } catch (error) {
      // Of one that was refused for certain it is known that GitHub does not have it.
      if (!isGitHubFailure(error) || !error.lostAnswer) await this.#states.note([publicKey], 'let in');
      throw error;
    }
    await this.#states.note([publicKey], 'given');
  }

  async #refuseToTakeBack(): Promise<void> {
    if (this.#states.keys('sent', 'given').length === 0) return;
    throw new GobootError(
      'GitHub may hold the new deploy key already, so the old and the new one stay valid',
    );
  }

  /** Takes every key away but the one that GitHub got. */
  async #remove(): Promise<void> {
    const given = this.#given;
    if (given === undefined) {
      throw new GobootError('It is not known on this computer which deploy key GitHub has', {
        remedy: 'Rotate it once more: yo goboot:secrets --rotate deploy-key',
      });
    }
    await this.#retireAllBut(given);
  }

  /** Takes every key away that was made for GitHub, before there is another one. */
  async revoke(): Promise<void> {
    await this.#retireAllBut(this.#given ?? this.#pair?.publicKey);
  }

  async #retireAllBut(stays: string | undefined): Promise<void> {
    const old = (await this.#ownKeys()).filter((key) => key !== stays);
    // Those that were let in on their way here and are not in the file any more, too.
    const forgotten = this.#states.keys('let in', 'sent').filter((key) => key !== stays);
    await this.#states.note([...old, ...forgotten], 'retired');
    await this.#takeAway(this.#states.keys('retired'));
  }

  /** Takes keys from the inventory, the host and the jump hosts. */
  async #takeAway(keys: readonly string[]): Promise<void> {
    const { projectRoot, environment } = this.#context;
    for (const key of keys) await removeDeployPublicKey(projectRoot, environment.name, key);
    await this.#doors.bringInventory();
    await this.#doors.takeAway(keys);
  }

  async #refuse(): Promise<void> {
    const retired = this.#states.keys('retired');
    if (retired.length === 0) return;
    const given = this.#given;
    // The new one last: that it is accepted proves that the others were asked about.
    const asked = [...retired, ...(given ? [given] : [])];
    for (const [target, accepted] of await this.#doors.accepted(asked)) {
      const [old] = accepted.filter((key) => key !== given);
      if (old) {
        throw new GobootError(`${target} still accepts an old deploy key: ${old}`, {
          remedy:
            'Look for it in every authorized_keys file of that account, remove it, and run the same command again.',
        });
      }
      if (given && accepted.length === 0) {
        throw new GobootError(`${target} does not accept the new deploy key any more: ${given}`, {
          remedy:
            'Look who else changes the authorized_keys of that account, and run the same command again.',
        });
      }
    }
  }

  async #record(): Promise<void> {
    const { projectRoot, project, environment } = this.#context;
    const before = await provisionFingerprint(projectRoot, environment.name);
    await commit(projectRoot, {
      message: `Rotate the deploy key of ${environment.name}`,
      paths: [projectPaths.environmentVariables(environment.name)],
      identity: { name: project.authorName, email: project.authorEmail },
    });
    await this.#doors.bringInventory(before);
    await this.#states.note(this.#states.keys('retired'), 'gone');
  }
}
