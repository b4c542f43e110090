import type { VaultContents } from '../vault.ts';
import { backupPassword } from './backup-password.ts';
import { basicAuthPassword } from './basic-auth-password.ts';
import { brokerPassword } from './broker-password.ts';
import { deployKey } from './deploy-key-rotation.ts';
import { ownSecret } from './own-secret.ts';
import { ownSecretsVariable } from './own-secrets.ts';
import type { RotatableSecret } from './rotation.ts';
import { oldSecretKeys, secretKey } from './secret-key.ts';
import { vaultPassword } from './vault-password-rotation.ts';

/** The secrets that goboot makes, in the order in which they are rotated. */
export const generatedSecrets: readonly RotatableSecret[] = [
  secretKey,
  brokerPassword,
  basicAuthPassword,
  backupPassword,
  deployKey,
  vaultPassword,
];

/** Everything that an environment may have, in the order of the table. */
export function secretsOf(vault: VaultContents): RotatableSecret[] {
  return [
    ...generatedSecrets.flatMap((secret) => (secret === secretKey ? [secret, oldSecretKeys] : [secret])),
    ...Object.keys(vault.texts(ownSecretsVariable))
      .sort()
      .map((name) => ownSecret(name)),
  ];
}

/** A secret by its name; one that goboot does not make is the owner's. */
export function secretNamed(name: string): RotatableSecret {
  return [...generatedSecrets, oldSecretKeys].find((secret) => secret.name === name) ?? ownSecret(name);
}
