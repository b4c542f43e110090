import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Vault } from 'ansible-vault';
import { encoders } from './encoders.ts';
import { GobootError } from './errors.ts';
import { projectPaths } from './paths.ts';
import type { Environment } from './project.ts';

// 50 characters of base64url carry 300 bits; Django asks for at least 50 characters.
const secretCharacters = 50;

function randomSecret(characters = secretCharacters): string {
  return randomBytes(characters).toString('base64url').slice(0, characters);
}

// Typed by people. 24 characters of base64url carry 144 bits.
const visitorPasswordCharacters = 24;

/** The secrets that a site needs, freshly made; the names are those of the playbooks' variables. */
export function newSiteSecrets({
  basicAuthUser,
}: Pick<Environment, 'basicAuthUser'> = {}): Record<string, string> {
  return {
    vault_secret_key: randomSecret(),
    vault_broker_password: randomSecret(),
    vault_backup_password: randomSecret(),
    ...(basicAuthUser && { vault_basic_auth_password: randomSecret(visitorPasswordCharacters) }),
  };
}

/**
 * Opens the vault of an environment. Throws a GobootError when it, or its password, is not on this computer or does not
 * fit.
 */
export async function readVault(projectRoot: string, environment: string): Promise<Record<string, unknown>> {
  const path = projectPaths.vault(environment);
  try {
    const [sealed, password] = await Promise.all(
      [path, projectPaths.vaultPassword].map((file) => readFile(join(projectRoot, file), 'utf8')),
    );
    const text = await new Vault({ password: String(password).trim() }).decrypt(String(sealed), '');
    const { parse } = await import('yaml');
    return parse(String(text)) ?? {};
  } catch (error) {
    throw new GobootError(`${path} cannot be opened: ${(error as Error).message.split('\n')[0]}`, {
      remedy: `Check that ${projectPaths.vaultPassword} holds the password of this project.`,
      cause: error,
    });
  }
}

/** Encrypts variables as an Ansible Vault file of format 1.1. */
export async function encryptVariables(variables: Record<string, string>, password: string): Promise<string> {
  const document = Object.entries(variables).map(([name, value]) => `${name}: ${encoders.yaml(value)}\n`);
  return `${(await new Vault({ password }).encrypt(document.join(''), '')).trim()}\n`;
}

/** Whether an environment of a project has its vault. */
export function hasVaultOf(projectRoot: string, environment: string): boolean {
  return existsSync(join(projectRoot, projectPaths.vault(environment)));
}

function hasVault(projectRoot: string): boolean {
  const inventories = join(projectRoot, projectPaths.inventories);
  const environments = existsSync(inventories) ? readdirSync(inventories) : [];
  return environments.some((environment) => hasVaultOf(projectRoot, environment));
}

/**
 * Reads the password of the project's vaults, or makes one (readable by its owner alone) for a project that has no vault
 * yet. All environments have the same one. Returns undefined when there is a vault whose password is not on this
 * computer.
 */
export async function ensureVaultPassword(projectRoot: string): Promise<string | undefined> {
  const path = join(projectRoot, projectPaths.vaultPassword);
  if (existsSync(path)) return (await readFile(path, 'utf8')).trim();
  if (hasVault(projectRoot)) return undefined;
  const password = randomSecret();
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${password}\n`, { mode: 0o600, flag: 'wx' });
  return password;
}
