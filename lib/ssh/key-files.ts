import { existsSync } from 'node:fs';
import type { Environment, SshTarget } from '../project.ts';
import { expandPath } from '../validate.ts';

function isMissing({ keyFile }: SshTarget): boolean {
  return keyFile !== undefined && !existsSync(expandPath(keyFile));
}

function withoutMissingKey(target: SshTarget): SshTarget {
  if (!isMissing(target)) return target;
  const { keyFile, ...rest } = target;
  return rest;
}

/**
 * The environment as this computer can reach it, and the key files that the project names and this computer has not:
 * whoever set the project up may keep the key elsewhere. Without them ssh tries the keys of the agent and the usual ones.
 */
export function reachableFromHere(environment: Environment): {
  environment: Environment;
  missingKeyFiles: string[];
} {
  const { host, jump, ...rest } = environment;
  const missing = [host, jump].flatMap((target) =>
    target && isMissing(target) ? [target.keyFile as string] : [],
  );
  return {
    environment: {
      ...rest,
      host: withoutMissingKey(host),
      ...(jump && { jump: withoutMissingKey(jump) }),
    },
    missingKeyFiles: [...new Set(missing)],
  };
}
