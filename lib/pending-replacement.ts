import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GobootError } from './errors.ts';
import { makeLocalDirectory } from './journal-file.ts';
import { projectPaths } from './paths.ts';
import type { AnswerName } from './questions.ts';
import { quoted } from './validate.ts';

/** A replacement of a host that has begun: what --resume and --undo need to know of it. Nothing in it is secret. */
export interface PendingReplacement {
  environment: string;
  /** About the new host, as text. */
  answers: Partial<Record<AnswerName, string>>;
}

function fileIn(projectRoot: string): string {
  return join(projectRoot, projectPaths.replacement);
}

/** The replacement that has begun from this directory; undefined without one. Throws a GobootError for a damaged file. */
export async function pendingReplacement(projectRoot: string): Promise<PendingReplacement | undefined> {
  const file = fileIn(projectRoot);
  if (!existsSync(file)) return undefined;
  try {
    const { environment, answers } = JSON.parse(await readFile(file, 'utf8'));
    if (typeof environment === 'string' && typeof answers?.host === 'string') return { environment, answers };
    throw new Error('it names no environment and host');
  } catch (cause) {
    throw new GobootError(`${quoted(file)} cannot be read: ${(cause as Error).message}`, {
      remedy: 'Remove it and begin the replacement anew; what is on the new host is found there.',
      cause,
    });
  }
}

/** Notes that a replacement begins. */
export async function beginReplacement(projectRoot: string, pending: PendingReplacement): Promise<void> {
  const file = fileIn(projectRoot);
  await makeLocalDirectory(file);
  await writeFile(file, `${JSON.stringify(pending, null, 2)}\n`);
}

/** Notes that it has ended. */
export async function endReplacement(projectRoot: string): Promise<void> {
  await rm(fileIn(projectRoot), { force: true });
}
