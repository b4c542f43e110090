import { runPlaybook } from '../ansible/playbook.ts';
import { GobootError } from '../errors.ts';
import { deployAccount } from '../github/deployment-settings.ts';
import { type Environment, jumpHosts } from '../project.ts';
import { reachableFromHere } from '../ssh/key-files.ts';
import { acceptedKeys, type KeyLogin, runWithKey } from '../ssh/key-login.ts';
import type { KeyPair } from '../ssh/key-pair.ts';
import { describeTarget } from '../ssh/target.ts';
import { asHost, checkJumpHosts, letThroughJumpHosts, removeFromJumpHosts } from './jump-host-keys.ts';
import type { RotationContext } from './rotation.ts';

/** The playbook that lets exactly the keys of the inventory release a site. */
export const deployKeysPlaybook = 'deploy_keys.yml';

/** The machines that a deploy key opens: the host of an environment, and the jump hosts on the way to it. */
export interface DeployKeyDoors {
  /** Makes sure that all of them can be reached, and changed. Throws a GobootError that names the one that cannot. */
  check(): Promise<void>;
  /**
   * Lets exactly the keys of the inventory in on the host.
   *
   * @param provisionedBefore the fingerprint before the inventory was changed: a host that had it is recorded to be up to date.
   */
  bringInventory(provisionedBefore?: string): Promise<void>;
  /** Lets a new key go through the jump hosts, as old ones may. */
  letThrough(newKey: string, oldKeys: readonly string[]): Promise<void>;
  /** Takes keys from the jump hosts. */
  takeAway(keys: readonly string[]): Promise<void>;
  /** Runs the release command with a key alone, all the way as GitHub goes it. Throws a GobootError when that fails. */
  logIn(pair: KeyPair): Promise<void>;
  /** Which of some keys each machine accepts, by its name for people. */
  accepted(keys: readonly string[]): Promise<[machine: string, keys: string[]][]>;
}

/** The real ones, over SSH. */
export function deployKeyDoors({
  projectRoot,
  environment,
  connect,
}: Pick<RotationContext, 'projectRoot' | 'environment' | 'connect'>): DeployKeyDoors {
  const { environment: reachable } = reachableFromHere(environment);
  const knownHosts = async () => (await connect(environment)).knownHosts();
  const login = async (): Promise<KeyLogin> => {
    const { host, ...rest } = reachable;
    const { address, port } = host;
    return {
      environment: { ...rest, host: { address, port, user: deployAccount } },
      knownHosts: await knownHosts(),
    };
  };
  return {
    async check() {
      await checkJumpHosts(reachable, await knownHosts());
    },
    async bringInventory(provisionedBefore) {
      const { sharingArguments } = await connect(environment);
      await runPlaybook({
        projectRoot,
        environment: environment.name,
        playbook: deployKeysPlaybook,
        variables: { ...(provisionedBefore !== undefined && { provisioned_before: provisionedBefore }) },
        sshArguments: `-F ssh_config ${sharingArguments}`,
      });
    },
    async letThrough(newKey, oldKeys) {
      await letThroughJumpHosts(reachable, await knownHosts(), { oldKeys, newKey });
    },
    async takeAway(keys) {
      await removeFromJumpHosts(reachable, await knownHosts(), keys);
    },
    async logIn(pair) {
      const { exitCode, stderr } = await runWithKey(await login(), pair, 'list --json');
      if (exitCode === 0) return;
      const reason = stderr.trim().split('\n').at(-1) || `exit status ${exitCode}`;
      throw new GobootError(`The new deploy key logs in, but cannot run the release command: ${reason}`, {
        remedy: 'Provision the host, and run the same command again: yo goboot:deploy --provision',
      });
    },
    async accepted(keys) {
      const deploy = await login();
      const atEach: Environment[] = [
        deploy.environment,
        ...jumpHosts(reachable).map((jumpHost) => asHost(reachable, jumpHost)),
      ];
      const answers: [string, string[]][] = [];
      for (const machine of atEach) {
        const found = await acceptedKeys({ ...deploy, environment: machine }, keys);
        answers.push([describeTarget(machine.host), found]);
      }
      return answers;
    },
  };
}
