import { projectPaths } from '../paths.ts';
import { randomSecret, visitorPasswordCharacters } from '../vault.ts';
import type { RotatableSecret } from './rotation.ts';
import { changedAt, hostStep, setChangedAt, stateOf, vaultStep } from './vault-step.ts';

const variable = 'vault_basic_auth_password';

/** The password that visitors of a site have to give that is not for everybody. */
export const basicAuthPassword: RotatableSecret = {
  name: 'basic-auth-password',
  describe: ({ environment: { basicAuthUser } }) =>
    basicAuthUser === undefined
      ? undefined
      : {
          name: basicAuthPassword.name,
          kind: 'generated',
          purpose: `What visitors have to give, together with the name ${basicAuthUser}.`,
          places: [
            { kind: 'vault', variable },
            { kind: 'host', where: 'nginx, as a hash' },
          ],
          rotation:
            'From one request to the next, nginx asks for the new one: a name has one password. Nothing restarts.',
        },
  async look({ vault, host }) {
    return stateOf(vault, basicAuthPassword.name, host, ({ letsVisitorsIn }) =>
      letsVisitorsIn === false ? ['nginx on the host'] : [],
    );
  },
  async rotation(context) {
    const { environment } = context;
    return {
      secret: basicAuthPassword.name,
      environment: environment.name,
      steps: [
        vaultStep(context, {
          name: 'vault',
          title: 'Make a new password for visitors',
          message: `Rotate the password for visitors of ${environment.name}`,
          isDone: (vault) => changedAt(vault, basicAuthPassword.name) === context.begun,
          change(vault) {
            vault.set(randomSecret(visitorPasswordCharacters), variable);
            setChangedAt(vault, basicAuthPassword.name, context.begun);
          },
          undoable: true,
        }),
        hostStep(context, 'host', 'Let visitors in with the new password only'),
      ],
      afterwards: [
        `Tell your visitors: cd .ansible && uv run --only-group ansible ansible-vault view ${projectPaths.vault(environment.name).replace('.ansible/', '')}`,
      ],
    };
  },
  afterLeak: ['Look at who has visited: /var/log/nginx/ on the host.'],
};
