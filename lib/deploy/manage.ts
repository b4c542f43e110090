import { usageError } from '../errors.ts';
import type { Environment } from '../project.ts';
import type { SshConnection } from '../ssh/connection.ts';
import { releaseCommandLine } from './release-command.ts';

/** What is needed to run a command of the project on a site's host. */
export interface ManageContext {
  connection: SshConnection;
  environment: Environment;
}

/** Checks the words for manage.py. Throws a usage error where there are none. */
export function manageWords(words: readonly string[]): readonly string[] {
  if (words.length > 0) return words;
  throw usageError(
    'It is not said what manage.py is to do',
    'Say it behind two dashes, for example: yo goboot:manage -- createsuperuser',
  );
}

function commandLine({ site }: Environment, words: readonly string[]): string {
  return releaseCommandLine(site, ['manage', '--', ...words]);
}

/**
 * Runs manage.py of the live release on the host, as the site's user, at the terminal of this program. Returns its exit
 * status.
 */
export function manage(
  { connection, environment }: ManageContext,
  words: readonly string[],
): Promise<number> {
  return connection.interact(commandLine(environment, words));
}

/**
 * The same without a terminal: what it prints comes line by line. Throws a GobootError when the connection fails.
 */
export async function manageForPrograms(
  { connection, environment }: ManageContext,
  words: readonly string[],
  onLine: (line: string) => void,
): Promise<{ exitCode: number; stderr: string }> {
  const { connectionError, ...result } = await connection.stream(commandLine(environment, words), { onLine });
  if (connectionError) throw connectionError;
  return result;
}
