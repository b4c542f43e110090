import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { ProgramResult } from './normal-user.ts';
import type { Workplace, YoOptions } from './workplace.ts';

/** Flags that answer every question whose default depends on who starts `yo`; the server is left alone. */
export const answeringFlags = [
  '--domain=shop.example.com',
  '--author=Ada Example',
  '--email=ada@example.com',
  '--user=admin',
  '--skip-github',
  '--skip-deploy',
];

/** Scaffolds a project in the working directory, `shop` unless named. Throws with the output when that fails. */
export async function scaffold(
  place: Workplace,
  options: YoOptions & { args?: readonly string[]; name?: string } = {},
): Promise<ProgramResult> {
  const result = await place.yo(
    ['goboot', options.name ?? 'shop', '--yes', ...answeringFlags, ...(options.args ?? [])],
    options,
  );
  if (result.exitCode !== 0) throw new Error(`${result.stdout}\n${result.stderr}`);
  return result;
}

/** The text of a file in the project `shop`. */
export function projectFile(place: Workplace, path: string): string {
  return readFileSync(join(place.cwd, 'shop', path), 'utf8');
}

/** Runs git in the project `shop` and returns what it prints. */
export async function git(place: Workplace, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await place.run(['git', ...args], { cwd: 'shop' });
  if (exitCode !== 0) throw new Error(`git ${args[0]}: ${stderr}`);
  return stdout;
}

/** Opens a vault of the project `shop` with its own locked Ansible and returns its variables. */
export async function vaultVariables(
  place: Workplace,
  environment = 'production',
): Promise<Record<string, string>> {
  const view = ['uv', 'run', '--quiet', '--only-group', 'ansible', 'ansible-vault', 'view'];
  const vault = `inventory/${environment}/group_vars/all/vault.yml`;
  const { exitCode, stdout, stderr } = await place.run(
    [...view, '--vault-password-file', 'vault_password', vault],
    {
      cwd: 'shop/.ansible',
    },
  );
  if (exitCode !== 0) throw new Error(`ansible-vault: ${stderr}`);
  return parse(stdout);
}
