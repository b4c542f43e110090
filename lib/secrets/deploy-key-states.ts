import { join } from 'node:path';
import { keyIdentity } from '../ansible/deploy-public-keys.ts';
import { JournalFile } from '../journal-file.ts';
import { projectPaths } from '../paths.ts';

/**
 * What a rotation has done with a deploy key: let it in beside others; begun to give it to GitHub; given it to GitHub;
 * begun to take it away; and seen it refused.
 */
export type DeployKeyState = 'let in' | 'sent' | 'given' | 'retired' | 'gone';

interface DeployKeyEntry {
  environment: string;
  /** The public half, as one line of authorized_keys. */
  key: string;
  state: DeployKeyState;
  /** The rotation, by the time of its beginning. */
  rotation: string;
}

/**
 * What rotations have done with the deploy keys of an environment, from a file below `.goboot`. It holds public halves
 * only: which key GitHub has, and which ones have to be refused everywhere, is known also when a run was cut off.
 */
export class DeployKeyStates {
  readonly #environment: string;
  readonly #rotation: string;
  readonly #file: JournalFile<DeployKeyEntry>;
  readonly #last = new Map<string, DeployKeyEntry>();

  /** Reads the file of a project. Throws a GobootError when it is damaged. */
  constructor(projectRoot: string, environment: string, rotation: string) {
    this.#environment = environment;
    this.#rotation = rotation;
    this.#file = new JournalFile(
      join(projectRoot, projectPaths.deployKeys),
      'It lists public keys and where they are. Repair the line, or remove the file if no rotation is unfinished.',
    );
    for (const entry of this.#file.read(isEntry)) this.#remember(entry);
  }

  /** The keys in a state. That GitHub has one counts only within this rotation: another one may follow any time. */
  keys(...states: readonly DeployKeyState[]): string[] {
    return [...this.#last.values()].flatMap(({ key, state, rotation }) =>
      states.includes(state) && (state !== 'given' || rotation === this.#rotation) ? [key] : [],
    );
  }

  /** Notes what is about to happen to keys, or has happened. */
  async note(keys: readonly string[], state: DeployKeyState): Promise<void> {
    for (const key of keys) {
      const known = this.#last.get(keyIdentity(key));
      if (known?.state === state && known.rotation === this.#rotation) continue;
      const entry = { environment: this.#environment, key, state, rotation: this.#rotation };
      await this.#file.append(entry);
      this.#remember(entry);
    }
  }

  #remember(entry: DeployKeyEntry): void {
    if (entry.environment === this.#environment) this.#last.set(keyIdentity(entry.key), entry);
  }
}

const states: readonly unknown[] = ['let in', 'sent', 'given', 'retired', 'gone'] satisfies DeployKeyState[];

function isEntry(value: unknown): value is DeployKeyEntry {
  const { environment, key, state, rotation } = (value ?? {}) as Partial<DeployKeyEntry>;
  return [environment, key, rotation].every((text) => typeof text === 'string') && states.includes(state);
}
