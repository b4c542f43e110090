import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Vault } from 'ansible-vault';
import { encoders } from './encoders.ts';
import { projectPaths } from './paths.ts';

// 50 characters of base64url carry 300 bits; Django asks for at least 50 characters.
const secretCharacters = 50;

function randomSecret(): string {
  return randomBytes(secretCharacters).toString('base64url').slice(0, secretCharacters);
}

/** The secrets that every site has, freshly made; the names are those of the playbooks' variables. */
export function newSiteSecrets(): Record<string, string> {
  return {
    vault_secret_key: randomSecret(),
    vault_broker_password: randomSecret(),
    vault_backup_password: randomSecret(),
  };
}

/** Encrypts variables as an Ansible Vault file of format 1.1. */
export async function encryptVariables(variables: Record<string, string>, password: string): Promise<string> {
  const document = Object.entries(variables).map(([name, value]) => `${name}: ${encoders.yaml(value)}\n`);
  return `${(await new Vault({ password }).encrypt(document.join(''), '')).trim()}\n`;
}

/**
 * Reads the project's vault password, or makes one (readable by its owner alone) for a project that has no vault yet.
 * Returns undefined when there is a vault whose password is not on this computer.
 */
export async function ensureVaultPassword(
  projectRoot: string,
  environment: string,
): Promise<string | undefined> {
  const path = join(projectRoot, projectPaths.vaultPassword);
  if (existsSync(path)) return (await readFile(path, 'utf8')).trim();
  if (existsSync(join(projectRoot, projectPaths.vault(environment)))) return undefined;
  const password = randomSecret();
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${password}\n`, { mode: 0o600, flag: 'wx' });
  return password;
}
