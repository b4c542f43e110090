import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

function findPackageRoot(start: string): string {
  for (let directory = start; ; directory = dirname(directory)) {
    if (existsSync(join(directory, 'package.json'))) return directory;
    if (directory === dirname(directory)) throw new Error(`no package.json above ${start}`);
  }
}

/** The directory of this package's package.json, from the sources as well as from `dist`. */
export const packageRoot = findPackageRoot(import.meta.dirname);

/** Absolute path of one template layer, for example `templates/django`. */
export function layerPath(layer: string): string {
  return join(packageRoot, 'templates', layer);
}

/** Paths inside a rendered project, relative to its root; every other place derives from these. */
export const projectPaths = {
  answers: '.yo-rc.json',
  ansible: '.ansible',
  sshConfiguration: '.ansible/ssh_config',
  knownHosts: '.ansible/known_hosts',
  vaultPassword: '.ansible/vault_password',
  inventories: '.ansible/inventory',
  inventory: (environment: string) => `.ansible/inventory/${environment}/hosts.yml`,
  environmentVariables: (environment: string) => `.ansible/inventory/${environment}/group_vars/all/main.yml`,
  vault: (environment: string) => `.ansible/inventory/${environment}/group_vars/all/vault.yml`,
  pythonLock: 'uv.lock',
  journal: '.goboot/journal.jsonl',
  rotationJournal: '.goboot/rotations.jsonl',
  /** What was written to GitHub from this computer; without values. */
  gitHubSecrets: '.goboot/github-secrets.jsonl',
  /** Which deploy keys were let in, given to GitHub and taken away; public halves. */
  deployKeys: '.goboot/deploy-keys.jsonl',
  /** Both passwords and the re-encrypted vaults while the password of the vaults is rotated. */
  vaultRekeying: '.goboot/vault-password-rotation',
  /** What a replacement of a host that has begun, and not ended, is about. */
  replacement: '.goboot/replacement.json',
} as const;
