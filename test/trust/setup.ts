import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where the projects of a run are. */
    trustDirectory: string;
  }
}

/** Makes the directory for the projects, and removes it at the end. */
export default function setup(project: TestProject): () => void {
  // Short, because the paths of sockets below it are limited.
  const directory = mkdtempSync(join(tmpdir(), 'trust-'));
  project.provide('trustDirectory', directory);
  return () => rmSync(directory, { recursive: true, force: true });
}
