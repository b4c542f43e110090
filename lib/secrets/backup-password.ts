import { Readable } from 'node:stream';
import { onBehalf } from '../deploy/begun-deploy.ts';
import { runReleaseCommand, throwOnFailure } from '../deploy/release-command.ts';
import { GobootError } from '../errors.ts';
import { openVault, randomSecret } from '../vault.ts';
import type { RotatableSecret, RotationContext } from './rotation.ts';
import { changedAt, hostStep, setChangedAt, stateOf, vaultStep } from './vault-step.ts';

const [variable, nextVariable] = ['vault_backup_password', 'vault_backup_next_password'] as const;

/** Seconds that a backup in progress is waited for. */
const wait = 2 * 60 * 60;

/** The password of the repositories of the backups. A repository of restic's can have several. */
export const backupPassword: RotatableSecret = {
  name: 'backup-password',
  describe: () => ({
    name: backupPassword.name,
    kind: 'generated',
    purpose: 'Opens the backups, in all their places. Without it none can be read.',
    places: [
      { kind: 'vault', variable },
      { kind: 'host', where: 'backup.env, and a key of each repository' },
    ],
    rotation: 'The repositories get a second key before anything uses it, and lose the first one at the end.',
  }),
  async look({ vault, host }) {
    return stateOf(vault, backupPassword.name, host, (found) =>
      found.opensBackupsWith(vault.text(variable)) ? [] : ['backup.env on the host'],
    );
  },
  async rotation(context) {
    const { environment } = context;
    const isRenewed: Parameters<typeof vaultStep>[1]['isDone'] = (vault) =>
      changedAt(vault, backupPassword.name) === context.begun;
    return {
      secret: backupPassword.name,
      environment: environment.name,
      steps: [
        vaultStep(context, {
          name: 'next',
          title: 'Make a new password',
          message: `Make a new password for the backups of ${environment.name}`,
          isDone: (vault) => vault.text(nextVariable) !== undefined || isRenewed(vault),
          change: (vault) => vault.set(randomSecret(), nextVariable),
          undoable: true,
        }),
        {
          name: 'second key',
          title: 'Let it open the backups, too',
          run: () => addPassword(context),
          undo: () => workOnPasswords(context, 'remove-other-passwords'),
        },
        vaultStep(context, {
          name: 'vault',
          title: 'Put it in the place of the old one',
          message: `Rotate the password for the backups of ${environment.name}`,
          isDone: isRenewed,
          change(vault) {
            vault.set(vault.text(nextVariable) as string, variable);
            vault.remove(nextVariable);
            setChangedAt(vault, backupPassword.name, context.begun);
          },
          undoable: true,
        }),
        hostStep(context, 'host', 'Back up with the new password'),
        {
          name: 'old keys',
          title: 'Let no other password open the backups',
          run: () => workOnPasswords(context, 'remove-other-passwords'),
        },
      ],
    };
  },
  afterLeak: [
    'Whoever has copied a repository together with the old password can read that copy for ever: rotate what is in the database, too.',
    'Look at who can read the second place.',
  ],
};

async function addPassword(context: RotationContext): Promise<void> {
  const { projectRoot, environment } = context;
  const vault = await openVault(projectRoot, environment.name);
  const password = vault.text(nextVariable);
  if (password === undefined) {
    throw new GobootError(`${nextVariable} is missing in the vault of ${environment.name}`, {
      remedy: 'Bring the commit back that made it.',
    });
  }
  await workOnPasswords(context, 'add-password', password);
}

/** Runs one half of the rotation on the host. A password goes through standard input. */
async function workOnPasswords(
  { connect, environment, reporter }: RotationContext,
  command: 'add-password' | 'remove-other-passwords',
  password?: string,
): Promise<void> {
  const run = await runReleaseCommand(
    { connection: await connect(), environment },
    [command, '--wait', String(wait), ...onBehalf()],
    {
      program: 'backup',
      ...(password !== undefined && { input: Readable.from([`${password}\n`]) }),
      onEvent({ event, message }) {
        if (event === 'warning' && message) reporter.info(message);
      },
    },
  );
  throwOnFailure(run);
}
