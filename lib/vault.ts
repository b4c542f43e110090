import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Vault } from 'ansible-vault';
import type { Document, Scalar, ScalarTag, YAMLSeq } from 'yaml';
import { encoders } from './encoders.ts';
import { GobootError } from './errors.ts';
import { projectPaths } from './paths.ts';
import type { Environment } from './project.ts';

// 50 characters of base64url carry 300 bits; Django asks for at least 50 characters.
const secretCharacters = 50;

/** A text of letters, digits, hyphens and underscores that nobody can guess. */
export function randomSecret(characters = secretCharacters): string {
  return randomBytes(characters).toString('base64url').slice(0, characters);
}

/** Typed by people. 24 characters of base64url carry 144 bits. */
export const visitorPasswordCharacters = 24;

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

/** Ansible's mark for a text that is no template: its curly brackets mean nothing. */
const unsafeTag: ScalarTag = { tag: '!unsafe', resolve: (text) => text };

/** The opened vault of an environment: variables and their order, comments too. */
export class VaultContents {
  readonly #document: Document;

  /** Throws an Error when the text is no mapping. */
  constructor(text: string, { parseDocument, isMap }: typeof import('yaml')) {
    this.#document = parseDocument(text, { customTags: [unsafeTag] });
    const [problem] = this.#document.errors;
    if (problem) throw new Error(problem.message);
    if (this.#document.contents === null) this.#document.contents = this.#document.createNode({}) as never;
    if (!isMap(this.#document.contents)) throw new Error('it holds no variables');
  }

  /** All variables by name. */
  get variables(): Record<string, unknown> {
    return this.#document.toJS();
  }

  /** A text, or undefined where there is none: of a variable, or of an entry in one. */
  text(...path: [string, ...string[]]): string | undefined {
    const value = this.#document.getIn(path);
    return value === undefined || value === null ? undefined : String(value);
  }

  /** The texts in a variable that is a mapping; none where there is no such variable. */
  texts(variable: string): Record<string, string> {
    const value = this.variables[variable];
    if (value === undefined || value === null) return {};
    return Object.fromEntries(Object.entries(value).map(([name, text]) => [name, String(text)]));
  }

  /** The items of a variable that is a list; none where there is no such variable. */
  list(variable: string): string[] {
    const value = this.variables[variable];
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** Sets a text, which Ansible takes as it is; a mapping is made where one is missing. */
  set(value: string | string[], ...path: [string, ...string[]]): void {
    const node = this.#document.createNode(value);
    for (const scalar of 'items' in (node as object) ? (node as YAMLSeq).items : [node]) {
      // YAML of other versions reads more into plain words than this library does.
      Object.assign(scalar as Scalar, { type: 'QUOTE_DOUBLE', tag: '!unsafe' });
    }
    const before = this.#document.getIn(path, true) as Scalar | undefined;
    if (before) Object.assign(node as Scalar, { comment: before.comment, spaceBefore: before.spaceBefore });
    this.#document.setIn(path, node);
  }

  /** Removes a variable, or an entry of one. Does nothing where there is none. */
  remove(...path: [string, ...string[]]): void {
    if (!this.#document.hasIn(path)) return;
    this.#document.deleteIn(path);
    const [variable, entry] = path;
    if (entry !== undefined && Object.keys(this.texts(variable)).length === 0) this.remove(variable);
  }

  /** The text of the vault. */
  toString(): string {
    // A line that is folded could be folded in a secret.
    return this.#document.toString({ lineWidth: 0 });
  }
}

/**
 * Opens the vault of an environment. Throws a GobootError when it, or its password, is not on this computer or does not
 * fit.
 */
export async function openVault(projectRoot: string, environment: string): Promise<VaultContents> {
  const path = projectPaths.vault(environment);
  try {
    const [sealed, password] = await Promise.all([
      readFile(join(projectRoot, path), 'utf8'),
      readPassword(projectRoot),
    ]);
    const text = await new Vault({ password }).decrypt(sealed, '');
    return new VaultContents(String(text), await import('yaml'));
  } catch (error) {
    throw new GobootError(`${path} cannot be opened: ${(error as Error).message.split('\n')[0]}`, {
      remedy: existsSync(join(projectRoot, projectPaths.vaultRekeying))
        ? 'A rotation of the password was cut off. To end it: yo goboot:secrets --resume'
        : `Check that ${projectPaths.vaultPassword} holds the password of this project. Somebody may have rotated it: get the new one from them.`,
      cause: error,
    });
  }
}

/** The variables in the vault of an environment. Throws like `openVault`. */
export async function readVault(projectRoot: string, environment: string): Promise<Record<string, unknown>> {
  return (await openVault(projectRoot, environment)).variables;
}

async function readPassword(projectRoot: string): Promise<string> {
  return (await readFile(join(projectRoot, projectPaths.vaultPassword), 'utf8')).trim();
}

/**
 * Changes the vault of an environment and returns whether that made a difference; the file is encrypted anew only then,
 * and replaced in one step. Throws like `openVault`.
 */
export async function changeVault(
  projectRoot: string,
  environment: string,
  change: (vault: VaultContents) => void,
): Promise<boolean> {
  const vault = await openVault(projectRoot, environment);
  const before = vault.toString();
  change(vault);
  const after = vault.toString();
  if (after === before) return false;
  const password = await readPassword(projectRoot);
  await replaceVault(projectRoot, environment, await seal(after, password));
  return true;
}

/** Puts another encrypted text in the place of a vault, in one step. */
export async function replaceVault(projectRoot: string, environment: string, sealed: string): Promise<void> {
  const path = join(projectRoot, projectPaths.vault(environment));
  const next = `${path}.new`;
  await writeFile(next, sealed, { flush: true });
  await rename(next, path);
}

async function seal(text: string, password: string): Promise<string> {
  return `${(await new Vault({ password }).encrypt(text, '')).trim()}\n`;
}

/** Encrypts variables as an Ansible Vault file of format 1.1. */
export async function encryptVariables(variables: Record<string, string>, password: string): Promise<string> {
  const document = Object.entries(variables).map(([name, value]) => `${name}: ${encoders.yaml(value)}\n`);
  return seal(document.join(''), password);
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
  if (existsSync(path)) return readPassword(projectRoot);
  if (hasVault(projectRoot)) return undefined;
  const password = randomSecret();
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${password}\n`, { mode: 0o600, flag: 'wx' });
  return password;
}
