import type { Before } from '../journal.ts';

/**
 * Hears of each thing before it is written to GitHub and when it is there, so that a journal knows of everything
 * whenever a run is cut off.
 */
export interface Watcher {
  before(name: string, before: Before): Promise<void>;
  /** @param id GitHub's number for it, where it has one. */
  after(name: string, id?: number): Promise<void>;
  /** GitHub has refused it for certain: whatever of that name turns up later is somebody else's. */
  refused(name: string): Promise<void>;
}

/** For callers that keep no journal. */
export const unwatched: Watcher = { before: async () => {}, after: async () => {}, refused: async () => {} };
