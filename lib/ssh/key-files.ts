import { existsSync } from 'node:fs';
import { type Environment, type JumpHost, jumpHosts, type SshTarget } from '../project.ts';
import { expandPath } from '../validate.ts';

function isMissing({ keyFile }: SshTarget): boolean {
  return keyFile !== undefined && !existsSync(expandPath(keyFile));
}

function withoutMissingKey<T extends SshTarget>(target: T): T {
  if (!isMissing(target)) return target;
  const { keyFile, ...rest } = target;
  return rest as T;
}

function withoutMissingKeys({ jump, ...last }: JumpHost): JumpHost {
  return { ...withoutMissingKey(last), ...(jump && { jump: withoutMissingKeys(jump) }) };
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
  const missing = [host, ...jumpHosts(environment)].flatMap((target) =>
    isMissing(target) ? [target.keyFile as string] : [],
  );
  return {
    environment: {
      ...rest,
      host: withoutMissingKey(host),
      ...(jump && { jump: withoutMissingKeys(jump) }),
    },
    missingKeyFiles: [...new Set(missing)],
  };
}
