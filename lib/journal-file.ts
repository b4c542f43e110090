import { existsSync, readFileSync } from 'node:fs';
import { appendFile, mkdir, open, truncate, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GobootError } from './errors.ts';
import { quoted } from './validate.ts';

/**
 * A file of lines of JSON below `.goboot`. What is appended is on the disk when that returns; a line that was cut off
 * when it was written counts as not written.
 */
export class JournalFile<Entry extends object> {
  readonly #file: string;
  readonly #remedy: string;
  /** In bytes; undefined unless the last line was cut off. */
  #wholeLength: number | undefined;

  /** @param remedy what to do when the file is damaged: a sentence. */
  constructor(file: string, remedy: string) {
    this.#file = file;
    this.#remedy = remedy;
  }

  /** All entries, oldest first. Throws a GobootError when the file is damaged, or an entry is none. */
  read(isEntry: (value: unknown) => value is Entry): Entry[] {
    if (!existsSync(this.#file)) return [];
    const text = readFileSync(this.#file, 'utf8');
    const lines = text.split('\n');
    const cutOff = lines.pop();
    if (cutOff) this.#wholeLength = Buffer.byteLength(text) - Buffer.byteLength(cutOff);
    return lines.map((line, index) => {
      try {
        const entry: unknown = JSON.parse(line);
        if (isEntry(entry)) return entry;
        throw new Error('not an entry');
      } catch (cause) {
        throw new GobootError(`Line ${index + 1} of ${quoted(this.#file)} cannot be read`, {
          remedy: this.#remedy,
          cause,
        });
      }
    });
  }

  /** Adds an entry. */
  async append(entry: Entry): Promise<void> {
    if (!existsSync(this.#file)) await this.#start();
    if (this.#wholeLength !== undefined) await truncate(this.#file, this.#wholeLength);
    this.#wholeLength = undefined;
    await appendFile(this.#file, `${JSON.stringify(entry)}\n`, { mode: 0o600, flush: true });
  }

  async #start(): Promise<void> {
    const directory = await makeLocalDirectory(this.#file);
    const handle = await open(directory);
    await handle.sync();
    await handle.close();
  }
}

/** Makes the directory of a file that is for this computer alone, and that git does not see. Returns its path. */
export async function makeLocalDirectory(file: string): Promise<string> {
  const directory = dirname(file);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // It ignores itself, so no list of the user's has to be changed.
  await writeFile(`${directory}/.gitignore`, '*\n');
  return directory;
}
