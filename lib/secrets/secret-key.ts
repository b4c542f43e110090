import { randomSecret, type VaultContents } from '../vault.ts';
import type { RotatableSecret, RotationContext } from './rotation.ts';
import { changedAt, hostStep, setChangedAt, stateOf, vaultStep } from './vault-step.ts';

const [variable, oldVariable, untilVariable] = [
  'vault_secret_key',
  'vault_secret_key_fallbacks',
  'vault_secret_key_fallbacks_until',
] as const;

const millisecondsPerDay = 24 * 60 * 60 * 1000;

/** Until when old keys are accepted, ISO 8601; undefined where there are none. */
export function oldSecretKeysUntil(vault: VaultContents): string | undefined {
  return vault.list(oldVariable).length > 0 ? (vault.text(untilVariable) ?? '') : undefined;
}

function removeOldKeys(vault: VaultContents): void {
  vault.remove(oldVariable);
  vault.remove(untilVariable);
}

/** Puts a new key into a vault; the old one is accepted for so many more days. */
function renew(vault: VaultContents, { begun, leaked, keepOldDays }: RotationContext): void {
  const [old, until] = [vault.text(variable), vault.text(untilVariable)];
  const stillAccepted = until !== undefined && until > begun ? vault.list(oldVariable) : [];
  vault.set(randomSecret(), variable);
  setChangedAt(vault, secretKey.name, begun);
  if (leaked || keepOldDays === 0 || old === undefined) {
    removeOldKeys(vault);
    return;
  }
  vault.set([old, ...stillAccepted], oldVariable);
  const end = new Date(Date.parse(begun) + keepOldDays * millisecondsPerDay).toISOString();
  vault.set(until !== undefined && until > end ? until : end, untilVariable);
}

/** Django's SECRET_KEY. */
export const secretKey: RotatableSecret = {
  name: 'secret-key',
  describe: () => ({
    name: secretKey.name,
    kind: 'generated',
    purpose: 'Django’s SECRET_KEY: signs sessions, links to set a password, and messages.',
    places: [
      { kind: 'vault', variable },
      { kind: 'host', where: 'SECRET_KEY' },
    ],
    rotation: 'The old key stays valid for a while (SECRET_KEY_FALLBACKS), so nobody has to log in again.',
  }),
  async look({ vault, host }) {
    return stateOf(vault, secretKey.name, host, (found) =>
      found.differences('SECRET_KEY', vault.text(variable)),
    );
  },
  async rotation(context) {
    const { environment, leaked, keepOldDays } = context;
    const keeps = !leaked && keepOldDays > 0;
    return {
      secret: secretKey.name,
      environment: environment.name,
      steps: [
        vaultStep(context, {
          name: 'vault',
          title: keeps
            ? `Make a new key; the old one stays valid for ${keepOldDays} days`
            : 'Make a new key, and refuse what the old one has signed',
          message: `Rotate the secret key of ${environment.name}`,
          isDone: (vault) => changedAt(vault, secretKey.name) === context.begun,
          change: (vault) => renew(vault, context),
          undoable: true,
        }),
        hostStep(context, 'host', 'Start the site anew beside itself with the new key'),
      ],
      ...(keeps && {
        afterwards: [`After ${keepOldDays} days: yo goboot:secrets --finish removes the old key.`],
      }),
    };
  },
  afterLeak: [
    'Everybody had to log in again: with the key, sessions could be forged. Look for accounts and changes that nobody knows of.',
    'Links to set a password that were sent before do not work any more.',
  ],
};

/** The keys that were Django’s SECRET_KEY before; its rotation is that they go. */
export const oldSecretKeys: RotatableSecret = {
  name: 'old-secret-keys',
  describe: ({ vault }) =>
    oldSecretKeysUntil(vault) === undefined
      ? undefined
      : {
          name: oldSecretKeys.name,
          kind: 'generated',
          purpose: 'Former values of the secret key: what they have signed is still valid.',
          places: [
            { kind: 'vault', variable: oldVariable },
            { kind: 'host', where: 'SECRET_KEY_FALLBACKS' },
          ],
          rotation: 'They are removed. Sessions that nobody has used since end then.',
        },
  async look({ vault, host }) {
    const until = oldSecretKeysUntil(vault);
    return {
      ...stateOf(vault, secretKey.name, host, (found) =>
        found.differences('SECRET_KEY_FALLBACKS', vault.list(oldVariable).join(',')),
      ),
      ...(until !== undefined && { due: { at: until, what: 'remove them: yo goboot:secrets --finish' } }),
    };
  },
  async rotation(context) {
    return {
      secret: oldSecretKeys.name,
      environment: context.environment.name,
      steps: [
        vaultStep(context, {
          name: 'vault',
          title: 'Remove the old keys',
          message: `Remove the old secret keys of ${context.environment.name}`,
          isDone: (vault) => vault.list(oldVariable).length === 0,
          change: removeOldKeys,
          undoable: true,
        }),
        hostStep(context, 'host', 'Start the site anew beside itself without the old keys'),
      ],
    };
  },
  afterLeak: secretKey.afterLeak,
};
