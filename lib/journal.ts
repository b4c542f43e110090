import { join } from 'node:path';
import { JournalFile } from './journal-file.ts';
import { projectPaths } from './paths.ts';

/** Something outside the project's directory that a run may create. None of the values is secret. */
export interface Creation {
  kind: 'repository' | 'environment' | 'secret' | 'variable' | 'ruleset' | 'push' | 'site';
  name: string;
  /** Where it is: a repository for what is in it, a host for a site. */
  place?: string;
  /** The environment of a secret or variable; those of the repository itself have none. */
  environment?: string;
}

/** Whether something was there before we came, and whether we changed it then. */
export type Before = 'absent' | 'kept' | 'replaced';

/**
 * What is known about a creation: it was begun and nobody heard how it ended; it was made by us; it was there before
 * and was left alone, or got another value from us; or ours is gone again.
 */
export type CreationState = 'begun' | 'made' | 'kept' | 'replaced' | 'removed';

export interface JournalEntry extends Creation {
  state: CreationState;
  /** ISO 8601. */
  time: string;
  /** GitHub's number for it, where a name could come to mean something else. */
  id?: number;
}

/**
 * The record of what runs have created outside the project's directory, from which a run resumes or undoes.
 *
 * Each line is written, and is on the disk, before what it tells of begins, and again when it has ended: whenever a run
 * is cut off, nothing exists that the journal does not know.
 */
export class Journal {
  readonly #file: JournalFile<JournalEntry>;
  readonly #entries = new Map<string, JournalEntry>();

  private constructor(file: string) {
    this.#file = new JournalFile(
      file,
      'It lists what was created on GitHub and on servers. Repair the line, or remove the file if you know that nothing is left to undo.',
    );
    for (const entry of this.#file.read(isEntry)) this.#remember(entry);
  }

  /** Reads the journal of a project. Throws a GobootError when the file is damaged. */
  static open(projectRoot: string): Journal {
    return new Journal(join(projectRoot, projectPaths.journal));
  }

  /** What is known, in the order in which it was begun. */
  entries(): JournalEntry[] {
    return [...this.#entries.values()];
  }

  /** What may exist because of us. */
  ours(): JournalEntry[] {
    return this.entries().filter(isOurs);
  }

  /** What is known about one thing. */
  find(creation: Creation): JournalEntry | undefined {
    return this.#entries.get(keyOf(creation));
  }

  /**
   * Notes that something is about to be created, or was there before. What an earlier run of ours has begun or made
   * stays ours.
   */
  async begin(creation: Creation, before: Before): Promise<void> {
    const known = this.find(creation);
    if (known && isOurs(known)) return;
    await this.#write(creation, before === 'absent' ? 'begun' : before);
  }

  /** Notes that what was begun is there now. */
  async made(creation: Creation, id?: number): Promise<void> {
    if (this.find(creation)?.state === 'begun') await this.#write(creation, 'made', id);
  }

  /**
   * Creates something, or changes what is there: notes it, does it, and notes that it is done. Whether it was there
   * before must have been looked up. When the action fails, the note that it was begun stays.
   */
  async create<T>(creation: Creation, before: Before, action: () => Promise<T>): Promise<T> {
    await this.begin(creation, before);
    const result = await action();
    await this.made(creation);
    return result;
  }

  /** Notes that something is gone. */
  async remove(creation: Creation): Promise<void> {
    await this.#write(creation, 'removed');
  }

  async #write(
    { kind, name, place, environment }: Creation,
    state: CreationState,
    id?: number,
  ): Promise<void> {
    const entry: JournalEntry = {
      time: new Date().toISOString(),
      state,
      kind,
      name,
      ...(place && { place }),
      ...(environment && { environment }),
      ...(id !== undefined && { id }),
    };
    await this.#file.append(entry);
    this.#remember(entry);
  }

  #remember(entry: JournalEntry): void {
    const key = keyOf(entry);
    // What is made anew comes after what was made meanwhile.
    if (this.#entries.get(key)?.state === 'removed') this.#entries.delete(key);
    this.#entries.set(key, entry);
  }
}

function isEntry(value: unknown): value is JournalEntry {
  const { kind, name } = (value ?? {}) as Partial<JournalEntry>;
  return typeof kind === 'string' && typeof name === 'string';
}

function isOurs({ state }: JournalEntry): boolean {
  return state === 'begun' || state === 'made';
}

function keyOf({ kind, name, place = '', environment = '' }: Creation): string {
  return JSON.stringify([kind, name, place, environment]);
}

/** One line for people: `secret DEPLOY_SSH_KEY of production in octocat/shop`. */
export function describeCreation({ kind, name, place, environment }: Creation): string {
  const owner = environment ? ` of ${environment}` : '';
  const where = place ? ` ${kind === 'site' ? 'on' : 'in'} ${place}` : '';
  return `${kind === 'push' ? `commit ${name.slice(0, 8)}` : `${kind} ${name}`}${owner}${where}`;
}
