import { shellWord } from '../deploy/release-command.ts';
import { GobootError } from '../errors.ts';
import { jumpHostAuthorizedKeys } from '../github/deployment-settings.ts';
import { type Environment, type JumpHost, jumpHosts } from '../project.ts';
import { withAuthorizedKey, withoutAuthorizedKeys } from '../ssh/authorized-keys.ts';
import { jumpAliases } from '../ssh/configuration.ts';
import { openConnection, type SshConnection } from '../ssh/connection.ts';
import { reachableFromHere } from '../ssh/key-files.ts';
import { describeTarget } from '../ssh/target.ts';

/** The environment of which a jump host is the host: to log in there, and to go no further. */
export function asHost(environment: Environment, jumpHost: JumpHost): Environment {
  const { jump: before, ...host } = jumpHost;
  const { jump: _, ...rest } = environment;
  const alias = jumpAliases(environment)[jumpHosts(environment).indexOf(jumpHost)] as string;
  // A name of its own, because that of the machine before it is made of it.
  return { ...rest, site: `at-${alias}`, host, ...(before && { jump: before }) };
}

// The full stop keeps the last line end: whoever reads what a program prints takes it off.
const readFile = 'cat ~/.ssh/authorized_keys 2>/dev/null || [ ! -e ~/.ssh/authorized_keys ]; printf .';

/**
 * A script that replaces the file in one step, so that nobody is locked out at any moment. A symbolic link stays one;
 * owner and mode stay as they are.
 */
function replaceFile(before: string, after: string): string {
  return `set -eu
umask 077
mkdir -p ~/.ssh
file=$(readlink -f ~/.ssh/authorized_keys)
[ -e "$file" ] || : > "$file"
[ "$(cat "$file"; printf .)" = ${shellWord(`${before}.`)} ] || { echo "somebody else changes it" >&2; exit 1; }
cp -p "$file" "$file.goboot"
printf %s ${shellWord(after)} > "$file.goboot"
mv "$file.goboot" "$file"
`;
}

/** Does something on each jump host in turn, as its own user. */
async function onEach(
  environment: Environment,
  knownHosts: string,
  action: (connection: SshConnection, jumpHost: JumpHost) => Promise<void>,
): Promise<void> {
  const { environment: reachable } = reachableFromHere(environment);
  for (const jumpHost of jumpHosts(reachable)) {
    const connection = await openConnection(asHost(reachable, jumpHost), knownHosts);
    try {
      await action(connection, jumpHost);
    } finally {
      await connection.close();
    }
  }
}

async function shell(connection: SshConnection, jumpHost: JumpHost, script: string): Promise<string> {
  // From its standard input, so that the login shell may be any, and nothing of it is seen in a list of processes.
  const { exitCode, stdout, stderr } = await connection.execute('sh -s', script);
  if (exitCode === 0) return stdout;
  const reason = stderr.trim().split('\n').at(-1) || `exit status ${exitCode}`;
  const target = describeTarget(jumpHost);
  throw new GobootError(`The authorized_keys of ${target} cannot be changed: ${reason}`, {
    remedy: `GitHub logs in there with the deploy key, so a new one has to be put there. Let ${target} have a shell and write its ~/.ssh/authorized_keys, and run the same command again.`,
  });
}

async function change(
  environment: Environment,
  knownHosts: string,
  edit: (text: string, jumpHost: JumpHost) => string,
): Promise<void> {
  await onEach(environment, knownHosts, async (connection, jumpHost) => {
    const before = (await shell(connection, jumpHost, readFile)).slice(0, -1);
    const after = edit(before, jumpHost);
    if (after !== before) await shell(connection, jumpHost, replaceFile(before, after));
  });
}

/** Makes sure that every jump host can be logged in to and its authorized_keys be read. Throws a GobootError that names it. */
export async function checkJumpHosts(environment: Environment, knownHosts: string): Promise<void> {
  await change(environment, knownHosts, (text) => text);
}

/**
 * Lets a new deploy key go through every jump host, as the old ones may. Throws a GobootError that names the jump host
 * that does not answer or cannot be changed.
 */
export function letThroughJumpHosts(
  environment: Environment,
  knownHosts: string,
  { oldKeys, newKey }: { oldKeys: readonly string[]; newKey: string },
): Promise<void> {
  const usual = jumpHostAuthorizedKeys(environment, newKey);
  const all = jumpHosts(environment).map(describeTarget);
  return change(environment, knownHosts, (text, jumpHost) => {
    const { line = '' } = usual[all.indexOf(describeTarget(jumpHost))] ?? {};
    return withAuthorizedKey(text, { oldKeys, newKey, line });
  });
}

/** Takes deploy keys from every jump host, like `letThroughJumpHosts`. */
export function removeFromJumpHosts(
  environment: Environment,
  knownHosts: string,
  keys: readonly string[],
): Promise<void> {
  return change(environment, knownHosts, (text) => withoutAuthorizedKeys(text, keys));
}
