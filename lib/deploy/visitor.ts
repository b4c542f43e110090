import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GobootError } from '../errors.ts';
import { projectPaths } from '../paths.ts';
import { readVault } from '../vault.ts';

/**
 * The headers that a visitor has to send to see the site of an environment: none, unless its inventory asks visitors for
 * a name and the password that is in the vault. Throws a GobootError where the vault has none.
 */
export async function visitorHeaders(
  projectRoot: string,
  environment: string,
): Promise<Record<string, string>> {
  const path = join(projectRoot, projectPaths.environmentVariables(environment));
  const text = await readFile(path, 'utf8').catch(() => '');
  if (!/^nginx_basic_auth_user:/m.test(text)) return {};
  const { parse } = await import('yaml');
  const name = String(parse(text).nginx_basic_auth_user ?? '');
  if (!name) return {};
  const { vault_basic_auth_password: password } = await readVault(projectRoot, environment);
  if (typeof password !== 'string') {
    throw new GobootError(`Visitors have to give a password, but the vault of ${environment} has none`, {
      remedy: `Add vault_basic_auth_password to ${projectPaths.vault(environment)} with ansible-vault edit.`,
    });
  }
  return { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` };
}
