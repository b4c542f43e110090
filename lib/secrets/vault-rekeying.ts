import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open as openFile, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GobootError } from '../errors.ts';
import { projectPaths } from '../paths.ts';
import { run, runOrThrow } from '../process.ts';
import { open, seal, sealedParts, withParts } from './sealed-text.ts';

type Side = 'old' | 'new';

interface PreparedFile {
  /** Relative to the project. */
  path: string;
  /** SHA-256 of the file as it was, and as it is to be. */
  old: string;
  new: string;
}

interface Plan {
  /** The rotation, by the time of its beginning. */
  begun: string;
  files: PreparedFile[];
}

const planFile = 'plan.json';

/**
 * The change of the password that opens the vaults of a project. Both passwords, and every file in its old and its new form,
 * lie below `.goboot` from the moment when all of them are known to be good until the end. So there is always a way
 * forward, and until the commit one back, at whatever moment a run is killed.
 */
export class VaultRekeying {
  readonly #root: string;
  readonly #directory: string;
  readonly #begun: string;

  constructor(projectRoot: string, begun: string) {
    this.#root = projectRoot;
    this.#directory = join(projectRoot, projectPaths.vaultRekeying);
    this.#begun = begun;
  }

  /** The password of the vaults. Throws a GobootError where this computer does not have it, or cannot replace it. */
  static async password(projectRoot: string): Promise<string> {
    const path = join(projectRoot, projectPaths.vaultPassword);
    if (!existsSync(path)) {
      throw new GobootError(`${projectPaths.vaultPassword} is missing: it is never committed`, {
        remedy: `Only who has the password can change it. Get it from whoever set the project up, and put it into that file: chmod 600 ${projectPaths.vaultPassword}`,
      });
    }
    if (((await stat(path)).mode & 0o111) !== 0) {
      throw new GobootError(`${projectPaths.vaultPassword} is a program that prints the password`, {
        remedy:
          'Change the password where the program gets it from, and rekey the vaults: ansible-vault rekey',
      });
    }
    const password = (await readFile(path, 'utf8')).trim();
    if (password) return password;
    throw new GobootError(`${projectPaths.vaultPassword} is empty`, {
      remedy: 'Put the password of the project into it.',
    });
  }

  /** Throws a GobootError where this computer does not have the password. */
  async checkPassword(): Promise<void> {
    await VaultRekeying.password(this.#root);
  }

  /** Files below `.ansible` that hold something encrypted, relative to the project. */
  async sealedFiles(): Promise<string[]> {
    const { stdout } = await run(
      'git',
      [
        'grep',
        '--untracked',
        '--files-with-matches',
        '--null',
        '--fixed-strings',
        '$ANSIBLE_VAULT;',
        '--',
        projectPaths.ansible,
      ],
      { cwd: this.#root },
    );
    return stdout.split('\0').filter(Boolean).sort();
  }

  /** Those of them that are committed. */
  async trackedFiles(): Promise<string[]> {
    const { stdout } = await runOrThrow('git', ['ls-files', '-z', '--', ...(await this.sealedFiles())], {
      cwd: this.#root,
      failure: 'git cannot list the vaults',
    });
    return stdout.split('\0').filter(Boolean);
  }

  /** Whether everything is ready to be replaced, or was replaced. */
  async isPrepared(): Promise<boolean> {
    return (await this.#plan())?.begun === this.#begun;
  }

  /**
   * Encrypts every file anew, beside the old ones, and opens all of them with the new password. Throws a GobootError, and
   * leaves nothing behind, when one cannot be opened.
   */
  async prepare(password: string): Promise<void> {
    if (await this.#plan()) {
      // Of a rotation that nobody went on with.
      await this.bringTo(
        (await VaultRekeying.password(this.#root)) === (await this.passwordOf('new')) ? 'new' : 'old',
      );
    }
    const old = await VaultRekeying.password(this.#root);
    const draft = this.#draft;
    await this.remove();
    await mkdir(draft, { recursive: true, mode: 0o700 });
    // It ignores itself, also where nothing else was there yet.
    await writeFile(join(dirname(draft), '.gitignore'), '*\n');
    const files: PreparedFile[] = [];
    for (const path of await this.sealedFiles()) {
      const before = await readFile(join(this.#root, path), 'utf8');
      const after = await resealed(path, before, old, password);
      if (after === before) {
        if (!isVault(path)) continue;
        throw new GobootError(`${path} cannot be opened with ${projectPaths.vaultPassword}`, {
          remedy: 'Somebody may have rotated the password: get the new one from them. Nothing was changed.',
        });
      }
      await writeSafely(join(draft, `${files.length}.old`), before);
      await writeSafely(join(draft, `${files.length}.new`), after);
      files.push({ path, old: hashOf(before), new: hashOf(after) });
    }
    await writeSafely(join(draft, 'old'), old);
    await writeSafely(join(draft, 'new'), password);
    await writeSafely(join(draft, planFile), JSON.stringify({ begun: this.#begun, files } satisfies Plan));
    // From here on there are two passwords, and the way to each of them.
    await rename(draft, this.#directory);
    await syncDirectory(dirname(this.#directory));
  }

  /** One of the two passwords. */
  async passwordOf(side: Side): Promise<string> {
    return readFile(join(this.#directory, side), 'utf8');
  }

  /**
   * Makes every file, and the password on this computer, those of one side; each is replaced in one step. What was
   * changed since it was prepared is encrypted anew.
   */
  async bringTo(side: Side): Promise<void> {
    const plan = await this.#plan();
    if (!plan) return;
    const [to, from] = [await this.passwordOf(side), await this.passwordOf(side === 'new' ? 'old' : 'new')];
    for (const path of await this.sealedFiles()) {
      const file = join(this.#root, path);
      const text = await readFile(file, 'utf8');
      const index = plan.files.findIndex((prepared) => prepared.path === path);
      const prepared = plan.files[index];
      const isAsPrepared = prepared && [prepared.old, prepared.new].includes(hashOf(text));
      const wanted = isAsPrepared
        ? await readFile(join(this.#directory, `${index}.${side}`), 'utf8')
        : await resealed(path, text, from, to);
      if (wanted !== text) await this.#replace(file, wanted);
    }
    const passwordFile = join(this.#root, projectPaths.vaultPassword);
    if ((await readFile(passwordFile, 'utf8').catch(() => '')).trim() !== to) {
      await this.#replace(passwordFile, `${to}\n`, 0o600);
    }
  }

  /** Opens every file with the password on this computer, and tries the old one in vain. Throws a GobootError. */
  async verify(): Promise<void> {
    const plan = await this.#plan();
    if (!plan) return;
    const [password, old] = [await VaultRekeying.password(this.#root), await this.passwordOf('old')];
    for (const path of await this.sealedFiles()) {
      for (const { sealed } of sealedParts(await readFile(join(this.#root, path), 'utf8'))) {
        const isOurs = isVault(path) || plan.files.some((prepared) => prepared.path === path);
        if ((await open(sealed, old)) !== undefined) {
          throw new GobootError(`${path} still opens with the old password`, {
            remedy: 'Something else changes the vaults. When it has ended, run the same command again.',
          });
        }
        if (isOurs && (await open(sealed, password)) === undefined) {
          throw new GobootError(`${path} does not open with ${projectPaths.vaultPassword}`, {
            remedy: `Bring it back from the last commit: git checkout -- ${path}`,
          });
        }
      }
    }
  }

  /** Forgets both passwords and all that was prepared. */
  async remove(): Promise<void> {
    await rm(this.#draft, { recursive: true, force: true });
    await rm(this.#directory, { recursive: true, force: true });
  }

  get #draft(): string {
    return `${this.#directory}.draft`;
  }

  /** Replaces a file in one step, with the mode that it has unless one is given. A symbolic link stays one. */
  async #replace(path: string, text: string, newMode?: number): Promise<void> {
    const target = await realpath(path).catch(() => path);
    const mode = newMode ?? (await stat(target)).mode & 0o777;
    // What a killed run leaves goes with the directory. A link may lead to another disk, where nothing can be moved to.
    const next = join(
      target === path ? this.#directory : dirname(target),
      `next-${randomBytes(4).toString('hex')}`,
    );
    try {
      await writeSafely(next, text, mode);
      await rename(next, target);
    } catch (error) {
      await rm(next, { force: true });
      throw error;
    }
    await syncDirectory(dirname(target));
  }

  async #plan(): Promise<Plan | undefined> {
    const file = join(this.#directory, planFile);
    return existsSync(file) ? JSON.parse(await readFile(file, 'utf8')) : undefined;
  }
}

/** Whether a file is the vault of an environment, which the project's own password has to open. */
function isVault(path: string): boolean {
  const [environment = ''] = path.slice(`${projectPaths.inventories}/`.length).split('/');
  return path === projectPaths.vault(environment);
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * A text with everything that one password opens encrypted with another one; what that does not open stays as it is.
 * Throws a GobootError when the result would not say the same.
 */
async function resealed(path: string, text: string, from: string, to: string): Promise<string> {
  const changed: ReturnType<typeof sealedParts> = [];
  for (const part of sealedParts(text)) {
    const plain = await open(part.sealed, from);
    if (plain === undefined) continue;
    const sealed = await seal(plain, to, part.label);
    // What is no text does not survive being taken for one.
    if (plain.includes('\uFFFD') || (await open(sealed, to)) !== plain) {
      throw new GobootError(`${path} holds something else than text, encrypted by Ansible Vault`, {
        remedy: 'Encrypt it in base64, or take it out of .ansible while the password is rotated.',
      });
    }
    changed.push({ ...part, sealed });
  }
  return withParts(text, changed);
}

async function writeSafely(path: string, text: string, mode = 0o600): Promise<void> {
  await writeFile(path, text, { mode, flush: true, flag: 'wx' });
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await openFile(path);
  await handle.sync();
  await handle.close();
}
