import { usageError } from '../errors.ts';
import { asList } from '../jump-hosts.ts';
import { type Environment, jumpHosts, type SshTarget } from '../project.ts';
import { quoted } from '../validate.ts';

/** What a deploy by GitHub needs to know about one environment. */
export interface DeploymentSource {
  environment: Environment;
  /** The private half of the site's deploy key; undefined where GitHub holds it already. */
  deployPrivateKey?: string;
  /** Undefined where this computer does not have it. */
  vaultPassword?: string;
  /** The lines of known_hosts for every host on the way; empty before the first login. */
  knownHosts: string;
}

/** Something that GitHub has to hold so that a workflow can deploy an environment. */
export interface DeploymentSetting {
  /** As GitHub and the workflow call it. */
  name: string;
  /** Nobody can read a secret back; a variable can be read and changed by whoever administers the repository. */
  kind: 'secret' | 'variable';
  /** What it is for, as one sentence of the documents. */
  purpose: string;
  /** What needs it: a deploy, or only workflows that run the playbooks. */
  usedBy: 'deploys' | 'playbooks';
  /** Whether the site has it only if its host is behind a jump host. */
  onlyWithJumpHost: boolean;
  /** Its value; undefined where the environment has none. */
  value(source: DeploymentSource): string | undefined;
}

/** The account on a host that can release a site and do nothing else; the playbooks make it under this name. */
export const deployAccount = 'deploy';

/** Every secret and variable of an environment that workflows use, and the one place that knows their names. */
export const deploymentSettings = {
  sshKey: {
    name: 'DEPLOY_SSH_KEY',
    kind: 'secret',
    purpose: 'The private half of the site’s deploy key. It can release this site and do nothing else.',
    usedBy: 'deploys',
    onlyWithJumpHost: false,
    value: ({ deployPrivateKey }) => deployPrivateKey,
  },
  vaultPassword: {
    name: 'ANSIBLE_VAULT_PASSWORD',
    kind: 'secret',
    purpose: 'Opens the vault of the playbooks, for workflows that run them. A deploy does not need it.',
    usedBy: 'playbooks',
    onlyWithJumpHost: false,
    value: ({ vaultPassword }) => vaultPassword,
  },
  planKey: {
    name: 'PLAN_SSH_KEY',
    kind: 'secret',
    purpose:
      'A private key that may provision, for plans in pull requests; you set it yourself, in the environment for plans, or do without.',
    usedBy: 'playbooks',
    onlyWithJumpHost: false,
    value: () => undefined,
  },
  host: {
    name: 'DEPLOY_HOST',
    kind: 'variable',
    purpose: 'Name or address of the server.',
    usedBy: 'deploys',
    onlyWithJumpHost: false,
    value: ({ environment }) => environment.host.address,
  },
  port: {
    name: 'DEPLOY_PORT',
    kind: 'variable',
    purpose: 'SSH port of the server.',
    usedBy: 'deploys',
    onlyWithJumpHost: false,
    value: ({ environment }) => String(environment.host.port),
  },
  user: {
    name: 'DEPLOY_USER',
    kind: 'variable',
    purpose: `Account on the server that the deploy key opens: \`${deployAccount}\`.`,
    usedBy: 'deploys',
    onlyWithJumpHost: false,
    value: () => deployAccount,
  },
  knownHosts: {
    name: 'DEPLOY_KNOWN_HOSTS',
    kind: 'variable',
    purpose:
      'The host keys of the server and the jump host, as lines of known_hosts. No other key is accepted.',
    usedBy: 'deploys',
    onlyWithJumpHost: false,
    value: ({ knownHosts }) => (knownHosts.trim() ? knownHosts : undefined),
  },
  jumpHost: {
    name: 'DEPLOY_JUMP_HOST',
    kind: 'variable',
    purpose: 'Name or address of the jump host; of several in a row, with commas, the first one first.',
    usedBy: 'deploys',
    onlyWithJumpHost: true,
    value: ({ environment }) => ofJumpHosts(environment, ({ address }) => address),
  },
  jumpPort: {
    name: 'DEPLOY_JUMP_PORT',
    kind: 'variable',
    purpose: 'SSH port of the jump host, or of each.',
    usedBy: 'deploys',
    onlyWithJumpHost: true,
    value: ({ environment }) => ofJumpHosts(environment, ({ port }) => port),
  },
  jumpUser: {
    name: 'DEPLOY_JUMP_USER',
    kind: 'variable',
    purpose: 'Account on the jump host, or on each. The deploy key must be let through there.',
    usedBy: 'deploys',
    onlyWithJumpHost: true,
    value: ({ environment }) => ofJumpHosts(environment, ({ user }) => user),
  },
} as const satisfies Record<string, DeploymentSetting>;

function ofJumpHosts(
  environment: Environment,
  value: (jump: SshTarget) => string | number,
): string | undefined {
  return asList(jumpHosts(environment).map(value)) || undefined;
}

export type DeploymentSettingName = keyof typeof deploymentSettings;

/** The same as a list, in the order in which people read it. */
export const deploymentSettingList: readonly DeploymentSetting[] = Object.values(deploymentSettings);

/**
 * Where GitHub keeps the settings of an environment: in an environment of the repository, or, where the plan has none
 * (private repositories of free accounts), in the repository itself, under names that begin with the environment's.
 */
export type SettingsPlace = 'environment' | 'repository';

/**
 * The name of a setting in a repository without environments: `production` and `DEPLOY_HOST` make
 * `PRODUCTION_DEPLOY_HOST`.
 *
 * Throws a usage error for an environment whose name GitHub would not let a secret begin with (a digit, or `GITHUB_`),
 * or that could not be told from another one: names have no underscores, so a hyphen can become one.
 */
export function prefixedName(environment: string, name: string): string {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(environment)) {
    throw usageError(
      `The environment name ${quoted(environment)} cannot begin the name of a secret`,
      'Use lower-case letters, digits and single hyphens, and begin with a letter, for example staging.',
    );
  }
  const prefixed = `${environment.toUpperCase().replaceAll('-', '_')}_${name}`;
  if (prefixed.startsWith('GITHUB_')) {
    throw usageError(
      `The environment name ${quoted(environment)} cannot begin the name of a secret: GitHub keeps GITHUB_ for itself`,
      'Choose another name, for example staging.',
    );
  }
  return prefixed;
}

/** The name that a setting has in a place. Throws like `prefixedName`. */
export function nameInPlace(setting: DeploymentSetting, environment: string, place: SettingsPlace): string {
  return place === 'environment' ? setting.name : prefixedName(environment, setting.name);
}

/** A setting as a workflow of one environment uses it. */
export interface WorkflowSetting extends DeploymentSetting {
  /** Its name in a repository without environments. */
  prefixedName: string;
  /** Yields the environment's own value, else the repository's. */
  expression: string;
}

/** The settings as the workflows of an environment can use them. Throws like `prefixedName`. */
export function workflowSettings(environment: string): Record<DeploymentSettingName, WorkflowSetting> {
  const entries = Object.entries<DeploymentSetting>(deploymentSettings).map(([key, setting]) => {
    const context = setting.kind === 'secret' ? 'secrets' : 'vars';
    const prefixed = prefixedName(environment, setting.name);
    const expression = `\${{ ${context}.${setting.name} || ${context}.${prefixed} }}`;
    return [key, { ...setting, prefixedName: prefixed, expression }];
  });
  return Object.fromEntries(entries);
}

/** A setting as it has to be on GitHub. */
export interface DeploymentValue {
  kind: DeploymentSetting['kind'];
  /** The name in the place that was asked for. */
  name: string;
  /** Undefined: it is not known here, or there is none. */
  value: string | undefined;
  /** Whether it must not be there without a value: the jump host of an environment that has none any more. */
  removable: boolean;
}

/** Every setting of an environment with its value, in the order of the table. Throws like `prefixedName`. */
export function deploymentValues(source: DeploymentSource, place: SettingsPlace): DeploymentValue[] {
  return deploymentSettingList.map((setting) => ({
    kind: setting.kind,
    name: nameInPlace(setting, source.environment.name, place),
    value: setting.value(source),
    removable: setting.onlyWithJumpHost,
  }));
}

/**
 * For each jump host, the line for authorized_keys of its account that lets the deploy key through to the next machine
 * and to nothing else: no shell, no command, no other forwarding.
 */
export function jumpHostAuthorizedKeys(
  environment: Environment,
  deployPublicKey: string,
): { jumpHost: SshTarget; line: string }[] {
  const way = [...jumpHosts(environment), environment.host];
  return jumpHosts(environment).map((jumpHost, index) => {
    const { address, port } = way[index + 1] as SshTarget;
    const target = `${address.includes(':') ? `[${address}]` : address}:${port}`;
    return {
      jumpHost,
      line: `restrict,port-forwarding,permitopen="${target}",command="false" ${deployPublicKey}`,
    };
  });
}

/** The table as Markdown, for the documents. */
export function deploymentSettingsTable(): string {
  const rows = deploymentSettingList.map(
    ({ name, kind, purpose, onlyWithJumpHost }) =>
      `| \`${name}\` | ${kind} | ${purpose}${onlyWithJumpHost ? ' Only with a jump host.' : ''} |`,
  );
  return ['| name | kind | what it is for |', '|---|---|---|', ...rows].join('\n');
}
