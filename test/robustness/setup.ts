import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { summarizeFaults } from '../support/fault-results.ts';

/** Prints the sum at the end: so many of so many. */
export default function setup(project: TestProject): () => void {
  const directory = mkdtempSync(join(tmpdir(), 'robustness-'));
  const file = join(directory, 'results.jsonl');
  project.provide('faultResults', file);
  return () => {
    console.log(`\n${summarizeFaults(file).join('\n')}\n`);
    rmSync(directory, { recursive: true, force: true });
  };
}
