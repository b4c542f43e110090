import { ownSecretsVariable, setOwnSecret } from './own-secrets.ts';
import type { RotatableSecret } from './rotation.ts';
import type { Secret } from './secret.ts';
import { changedAt, hostStep, removeChangedAt, setChangedAt, stateOf, vaultStep } from './vault-step.ts';

/** What is to happen to a secret of the owner's: it gets a value, it goes, or what an earlier run has begun goes on. */
export type OwnSecretChange = { value: string } | 'unset' | 'resume';

function describe(name: string): Secret {
  return {
    name,
    kind: 'own',
    purpose: 'Given by you, for the application.',
    places: [
      { kind: 'vault', variable: ownSecretsVariable },
      { kind: 'host', where: name },
    ],
    rotation: `Get a new value from whoever issues it: yo goboot:secrets --set ${name}`,
  };
}

/** A secret that the project's owner gives the application, as a variable of its environment. */
export function ownSecret(name: string, change: OwnSecretChange = 'resume'): RotatableSecret {
  return {
    name,
    describe: ({ vault }) => (name in vault.texts(ownSecretsVariable) ? describe(name) : undefined),
    async look({ vault, host }) {
      return stateOf(vault, name, host, (found) =>
        found.differences(name, vault.text(ownSecretsVariable, name)),
      );
    },
    async rotation(context) {
      const { begun, environment } = context;
      const removes = change === 'unset';
      return {
        secret: name,
        environment: environment.name,
        steps: [
          vaultStep(context, {
            name: 'vault',
            title: removes ? `Remove ${name} from the vault` : `Put ${name} into the vault`,
            message: `${removes ? 'Remove' : 'Set'} the secret ${name} of ${environment.name}`,
            isDone: (vault) =>
              removes ? vault.text(ownSecretsVariable, name) === undefined : changedAt(vault, name) === begun,
            change(vault) {
              if (change === 'unset') {
                vault.remove(ownSecretsVariable, name);
                removeChangedAt(vault, name);
              } else if (change !== 'resume') {
                setOwnSecret(vault, name, change.value);
                setChangedAt(vault, name, begun);
              }
            },
            undoable: true,
          }),
          hostStep(
            context,
            'host',
            removes
              ? 'Start the site anew beside itself without it'
              : 'Start the site anew beside itself with it',
          ),
        ],
      };
    },
    afterLeak: [`Whoever has issued ${name} may be able to tell what was done with it.`],
  };
}
