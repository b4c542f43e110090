import { GobootError, toGobootError } from '../errors.ts';
import { commit, uncommittedPaths } from '../git.ts';
import { deploymentSettings } from '../github/deployment-settings.ts';
import { projectPaths } from '../paths.ts';
import { run } from '../process.ts';
import { randomSecret } from '../vault.ts';
import { findProjectOnGitHub, lookAtGitHub, OwnWrites, writeWhereHeld } from './github-secrets.ts';
import type { RotatableSecret, Rotation, RotationContext, RotationStep } from './rotation.ts';
import { VaultRekeying } from './vault-rekeying.ts';

const setting = deploymentSettings.vaultPassword;
const commitMessage = 'Rotate the password of the vaults';

/** The password that opens the vaults of all environments. */
export const vaultPassword: RotatableSecret = {
  name: 'vault-password',
  describe: ({ project }) => ({
    name: vaultPassword.name,
    kind: 'vault password',
    purpose: 'Opens the vaults of all environments, which hold every other secret.',
    places: [
      { kind: 'computer', path: projectPaths.vaultPassword },
      ...(project.github.owner === undefined ? [] : [{ kind: 'GitHub' as const, name: setting.name }]),
    ],
    rotation:
      'Every vault is encrypted anew beside the old one, and opened for a try, before all of them are replaced.',
    shared: true,
  }),
  async look(context) {
    const rotated = await lastRotation(context.projectRoot);
    return {
      ...(rotated !== undefined && { changedAt: rotated }),
      ...(await lookAtGitHub(context, setting, {
        secret: vaultPassword.name,
        current: async () => [await VaultRekeying.password(context.projectRoot)],
      })),
    };
  },
  worksWithoutHost: true,
  rotation: vaultPasswordRotation,
  afterLeak: [
    'The vaults of older commits open with the old password for ever: rotate everything that is in them, in every environment.',
    'Whoever has the old password and a copy of the repository can read all of that now.',
  ],
};

/** When the password was rotated last, ISO 8601; undefined where it never was. */
async function lastRotation(projectRoot: string): Promise<string | undefined> {
  const { stdout } = await run(
    'git',
    ['log', '-1', '--format=%cI', '--fixed-strings', `--grep=${commitMessage}`],
    {
      cwd: projectRoot,
    },
  );
  return stdout.trim() ? new Date(stdout.trim()).toISOString() : undefined;
}

/** The rotation of the password of the vaults. Throws a GobootError where this computer does not have it. */
async function vaultPasswordRotation(context: RotationContext): Promise<Rotation> {
  const { projectRoot } = context;
  const rekeying = new VaultRekeying(projectRoot, context.begun);
  await rekeying.checkPassword();
  return {
    secret: vaultPassword.name,
    steps: [
      {
        name: 'prepare',
        title: 'Encrypt every vault with a new password, beside the old ones',
        run: () => prepare(context, rekeying),
        undo: () => rekeying.remove(),
      },
      {
        name: 'replace',
        title: 'Replace the vaults and the password on this computer',
        run: () => rekeying.bringTo('new'),
        undo: () => rekeying.bringTo('old'),
      },
      gitHubStep(context, rekeying),
      {
        name: 'commit',
        title: 'Commit the vaults',
        run: () => commitVaults(context, rekeying),
      },
      {
        name: 'hosts',
        title: 'Open the new vaults with Ansible, and tell every host that nothing else has changed',
        run: () => tellHosts(context),
      },
      {
        name: 'finish',
        title: 'See the old password fail, and forget it',
        run: () => finish(rekeying),
      },
    ],
    afterwards: [
      `Give the new ${projectPaths.vaultPassword} to everybody who works with the project, by a way that only they can read.`,
      'Push the commit at once: until then workflows on GitHub have the new password and the old vaults.',
      'Keep the old password where you keep passwords if you may need vaults of older commits.',
    ],
  };
}

async function prepare({ projectRoot }: RotationContext, rekeying: VaultRekeying): Promise<void> {
  if (await rekeying.isPrepared()) return;
  const changed = await uncommittedPaths(projectRoot);
  const [path] = (await rekeying.sealedFiles()).filter((file) => changed.includes(file));
  if (path) {
    throw new GobootError(`${path} has changes that are not committed`, {
      remedy:
        'Commit them, or put them aside with git stash: the vaults are committed with their new password.',
    });
  }
  await rekeying.prepare(randomSecret());
}

/** GitHub gets the new password for every environment that has the old one there. */
function gitHubStep(context: RotationContext, rekeying: VaultRekeying): RotationStep {
  const write = async (which: 'old' | 'new') => {
    const github = await context.openGitHub();
    const onGitHub = github && (await findProjectOnGitHub(github, context.project));
    if (!onGitHub) return;
    const value = await rekeying.passwordOf(which);
    const writes = OwnWrites.open(context.projectRoot);
    for (const environment of context.environments) {
      await writeWhereHeld(onGitHub, writes, { environment, setting, value, rotation: context.begun });
    }
  };
  return {
    name: 'github',
    title: 'Give GitHub the new password, for every environment',
    run: () => write('new'),
    undo: () => write('old'),
  };
}

async function commitVaults(
  { projectRoot, project }: RotationContext,
  rekeying: VaultRekeying,
): Promise<void> {
  await commit(projectRoot, {
    message: commitMessage,
    paths: await rekeying.trackedFiles(),
    identity: { name: project.authorName, email: project.authorEmail },
  });
}

/** A host that is away is none the worse for it. */
async function tellHosts({ environments, reporter, applySecrets }: RotationContext): Promise<void> {
  for (const environment of environments) {
    try {
      await applySecrets(environment);
    } catch (error) {
      reporter.warn(
        `The host of ${environment.name} was not told: ${toGobootError(error).message}. Nothing has to change there; its next deploy provisions it again`,
      );
    }
  }
}

async function finish(rekeying: VaultRekeying): Promise<void> {
  await rekeying.verify();
  await rekeying.remove();
}
