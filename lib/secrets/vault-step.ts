import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GobootError } from '../errors.ts';
import { commit } from '../git.ts';
import { projectPaths } from '../paths.ts';
import type { Environment, Project } from '../project.ts';
import { changeVault, openVault, replaceVault, type VaultContents } from '../vault.ts';
import type { HostSecrets } from './host-secrets.ts';
import type { RotationContext, RotationStep, SecretState } from './rotation.ts';

/** The variable of a vault that says when each secret got its value: ISO 8601, by the name of the secret. */
const changedAtVariable = 'vault_changed_at';

/** When a secret got its value; undefined where it has the one that it began with. */
export function changedAt(vault: VaultContents, secret: string): string | undefined {
  return vault.text(changedAtVariable, secret);
}

/** Notes when a secret got its value. */
export function setChangedAt(vault: VaultContents, secret: string, time: string): void {
  vault.set(time, changedAtVariable, secret);
}

/** Forgets when a secret got its value: there is none any more. */
export function removeChangedAt(vault: VaultContents, secret: string): void {
  vault.remove(changedAtVariable, secret);
}

/** How a secret is whose value is in the vault and on the host. */
export function stateOf(
  vault: VaultContents,
  secret: string,
  host: HostSecrets | undefined,
  differences: (host: HostSecrets) => string[],
): SecretState {
  const time = changedAt(vault, secret);
  return {
    ...(time !== undefined && { changedAt: time }),
    differences: host ? differences(host) : [],
    unknown: host ? [] : ['host'],
  };
}

/** Commits the vault of an environment and returns whether there was anything to commit. */
export function commitVault(
  projectRoot: string,
  { authorName, authorEmail }: Project,
  { name }: Environment,
  message: string,
): Promise<boolean> {
  return commit(projectRoot, {
    message,
    paths: [projectPaths.vault(name)],
    identity: { name: authorName, email: authorEmail },
  });
}

export interface VaultStepOptions {
  name: string;
  title: string;
  /** Of the commit. */
  message: string;
  /** Whether the vault is as this step leaves it. */
  isDone: (vault: VaultContents) => boolean;
  change: (vault: VaultContents) => void;
  /** Whether it may be taken back, together with what the steps after it did on the host: that follows the vault. */
  undoable: boolean;
}

/** A step that changes the vault of the environment in one go and commits it. */
export function vaultStep(context: RotationContext, options: VaultStepOptions): RotationStep {
  const { projectRoot, project, environment } = context;
  const { name, title, message, isDone, change, undoable } = options;
  const path = join(projectRoot, projectPaths.vault(environment.name));
  let before: string | undefined;
  return {
    name,
    title,
    async run() {
      const sealed = await readFile(path, 'utf8');
      const changed = await changeVault(projectRoot, environment.name, (vault) => {
        if (!isDone(vault)) change(vault);
      });
      if (changed) before = sealed;
      await commitVault(projectRoot, project, environment, message);
    },
    ...(undoable && {
      async undo() {
        if (before === undefined) {
          // It failed before it had changed anything.
          if (!isDone(await openVault(projectRoot, environment.name))) return;
          throw new GobootError('the run that knew the vault as it was before was cut off');
        }
        // What the host has done nobody knows otherwise; then the vault must not be older than the host.
        await context.connect();
        await replaceVault(projectRoot, environment.name, before);
        await commitVault(projectRoot, project, environment, `Take back: ${message}`);
        await context.applySecrets();
      },
    }),
  };
}

/** A step that brings the vault to the host. It is taken back with the change of the vault. */
export function hostStep(context: RotationContext, name: string, title: string): RotationStep {
  return { name, title, run: () => context.applySecrets(), undo: async () => {} };
}
