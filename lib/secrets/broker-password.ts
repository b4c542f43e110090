import { setTimeout as sleep } from 'node:timers/promises';
import { releaseCommandLine, shellWord } from '../deploy/release-command.ts';
import { GobootError } from '../errors.ts';
import { randomSecret } from '../vault.ts';
import type { RotatableSecret, RotationContext } from './rotation.ts';
import { changedAt, hostStep, setChangedAt, stateOf, vaultStep } from './vault-step.ts';

const [variable, userVariable, oldUserVariable] = [
  'vault_broker_password',
  'vault_broker_user',
  'vault_broker_old_user',
] as const;

/** More than a task in work gets to end when its worker is to stop. */
const longestWaitSeconds = 10 * 60;

/** The names that the site's user at the broker has in turn; roles/rabbitmq/vars/main.yml knows them, too. */
function userNames(site: string): [string, string] {
  return [site, `${site}.2`];
}

/** The password of the site at RabbitMQ. A user has one password there, so a new one comes with another user. */
export const brokerPassword: RotatableSecret = {
  name: 'broker-password',
  describe: () => ({
    name: brokerPassword.name,
    kind: 'generated',
    purpose: 'Opens the site’s virtual host of RabbitMQ for its web server and worker.',
    places: [
      { kind: 'vault', variable },
      { kind: 'host', where: 'CELERY_BROKER_URL, RabbitMQ' },
    ],
    rotation: 'A second user gets the new one; the first one goes when nothing that knows it runs any more.',
  }),
  async look({ vault, host, environment }) {
    const user = vault.text(userVariable) ?? environment.site;
    return stateOf(vault, brokerPassword.name, host, (found) => [
      ...new Set([
        ...found.differences('CELERY_BROKER_URL', vault.text(variable), 'password'),
        ...found.differences('CELERY_BROKER_URL', user, 'user'),
      ]),
    ]);
  },
  async rotation(context) {
    const { environment, leaked } = context;
    const names = userNames(environment.site);
    return {
      secret: brokerPassword.name,
      environment: environment.name,
      steps: [
        vaultStep(context, {
          name: 'vault',
          title: leaked
            ? 'Make another user with a new password'
            : 'Make another user with a new password; the old one stays for now',
          message: `Rotate the password of ${environment.name} at the message broker`,
          isDone: (vault) => changedAt(vault, brokerPassword.name) === context.begun,
          change(vault) {
            const old = vault.text(userVariable) ?? names[0];
            vault.set(randomSecret(), variable);
            vault.set(names.find((name) => name !== old) as string, userVariable);
            if (leaked) vault.remove(oldUserVariable);
            else vault.set(old, oldUserVariable);
            setChangedAt(vault, brokerPassword.name, context.begun);
          },
          undoable: true,
        }),
        hostStep(
          context,
          'host',
          leaked
            ? 'Refuse the old user, and start the site anew with the new one'
            : 'Let both users in, and start the site anew beside itself with the new one',
        ),
        ...(leaked
          ? []
          : [
              {
                name: 'old processes',
                title: 'Wait until no process uses the old user',
                run: () => waitForOldProcesses(context),
              },
              vaultStep(context, {
                name: 'vault without the old user',
                title: 'Give the old user up',
                message: `Remove the old user of ${environment.name} at the message broker`,
                isDone: (vault) => vault.text(oldUserVariable) === undefined,
                change: (vault) => vault.remove(oldUserVariable),
                undoable: false,
              }),
              {
                name: 'host without the old user',
                title: 'Refuse the old user',
                run: () => context.applySecrets(),
              },
            ]),
      ],
    };
  },
  afterLeak: [
    'RabbitMQ listens on its host only: whoever used the password was on the host, or in the site. Look at both.',
    'Tasks may have been read, or sent by others: look at the results in Django’s admin.',
  ],
};

/** Lets what is not live end, and waits for it: a worker ends when its tasks have. Throws a GobootError. */
async function waitForOldProcesses({ connect, environment }: RotationContext): Promise<void> {
  const connection = await connect();
  const { site } = environment;
  await connection.execute(releaseCommandLine(site, ['retire']));
  const units = ['web', 'worker'].map((kind) => shellWord(`${site}-${kind}@*.service`)).join(' ');
  const list = `systemctl list-units --plain --no-legend --state=active,activating,deactivating,reloading ${units}`;
  const others = `live=$(basename "$(readlink /srv/${site}/current)") && ${list} | awk '{print $1}' | grep -vF "@$live.service" || true`;
  for (const deadline = Date.now() + longestWaitSeconds * 1000; ; ) {
    const { exitCode, stdout, stderr } = await connection.execute(others);
    if (exitCode !== 0) throw new GobootError(`systemctl cannot list what runs: ${stderr.trim()}`);
    if (stdout.trim() === '') return;
    if (Date.now() > deadline) {
      throw new GobootError(
        `These still run after ${longestWaitSeconds / 60} minutes: ${stdout.trim().replaceAll('\n', ', ')}`,
        { remedy: 'A long task keeps its worker. Wait for it.' },
      );
    }
    await sleep(1000);
  }
}
