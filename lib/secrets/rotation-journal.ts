import { join } from 'node:path';
import { JournalFile } from '../journal-file.ts';
import { projectPaths } from '../paths.ts';
import type { RotationSettings } from './rotation.ts';

/** Which rotation an entry of the journal is about. */
interface RotationName {
  secret: string;
  /** Undefined for what all environments share. */
  environment?: string;
}

/** A rotation that has begun: by what it is decided, and the steps that have ended. */
export interface RotationRecord extends RotationName, RotationSettings {
  ended: string[];
}

/** How a rotation came to its end: done, taken back, or given up because nothing had happened yet. */
export type RotationEnd = 'rotated' | 'undone' | 'given up';

type RotationEntry = RotationName & { begun: string; time: string } & (
    | ({ event: 'begun' } & RotationSettings)
    | { event: 'step begun' | 'step ended' | 'step undone'; step: string }
    | { event: 'ended'; how: RotationEnd }
  );

/**
 * The record of the rotations of a project, on this computer: which step has ended is written before the next one begins.
 * It holds no value of any secret.
 */
export class RotationJournal {
  readonly #file: JournalFile<RotationEntry>;
  readonly #unfinished = new Map<string, RotationRecord>();

  private constructor(file: string) {
    this.#file = new JournalFile(
      file,
      'It lists what was done to rotate secrets. Repair the line, or remove the file if you know that no rotation is unfinished.',
    );
    for (const entry of this.#file.read(isEntry)) this.#remember(entry);
  }

  /** Reads the journal of a project. Throws a GobootError when the file is damaged. */
  static open(projectRoot: string): RotationJournal {
    return new RotationJournal(join(projectRoot, projectPaths.rotationJournal));
  }

  /** The rotations that were begun and neither came to their end nor were taken back, the oldest first. */
  unfinished(): RotationRecord[] {
    return [...this.#unfinished.values()];
  }

  /** Notes that a rotation begins. */
  async begin(name: RotationName, settings: RotationSettings): Promise<RotationRecord> {
    await this.#write({ event: 'begun', ...name, ...settings, time: now() });
    return this.#unfinished.get(keyOf({ ...name, ...settings })) as RotationRecord;
  }

  /** Notes what happens to a step. */
  step(
    record: RotationRecord,
    event: 'step begun' | 'step ended' | 'step undone',
    step: string,
  ): Promise<void> {
    return this.#write({ event, ...nameOf(record), begun: record.begun, step, time: now() });
  }

  /** Notes how a rotation has ended. */
  end(record: RotationRecord, how: RotationEnd): Promise<void> {
    return this.#write({ event: 'ended', ...nameOf(record), begun: record.begun, how, time: now() });
  }

  async #write(entry: RotationEntry): Promise<void> {
    await this.#file.append(entry);
    this.#remember(entry);
  }

  #remember(entry: RotationEntry): void {
    const key = keyOf(entry);
    const record = this.#unfinished.get(key);
    switch (entry.event) {
      case 'begun': {
        const { begun, leaked, keepOldDays, removes } = entry;
        const settings = { begun, leaked, keepOldDays, ...(removes && { removes }) };
        this.#unfinished.set(key, { ...nameOf(entry), ...settings, ended: [] });
        break;
      }
      case 'step ended':
        record?.ended.push(entry.step);
        break;
      case 'step undone':
        if (record) record.ended = record.ended.filter((step) => step !== entry.step);
        break;
      case 'ended':
        this.#unfinished.delete(key);
        break;
    }
  }
}

const now = (): string => new Date().toISOString();

function nameOf({ secret, environment }: RotationName): RotationName {
  return { secret, ...(environment !== undefined && { environment }) };
}

function keyOf({ secret, environment = '', begun }: RotationName & { begun: string }): string {
  return JSON.stringify([secret, environment, begun]);
}

function isEntry(value: unknown): value is RotationEntry {
  const { event, secret, begun } = (value ?? {}) as Partial<RotationEntry>;
  return [event, secret, begun].every((text) => typeof text === 'string');
}
