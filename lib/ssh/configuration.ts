import SSHConfig from 'ssh-config';
import { encoders } from '../encoders.ts';
import { type Environment, jumpHosts, type SshTarget } from '../project.ts';

const heading = `# How people reach the machines of this project. Ansible and \`ssh -F ssh_config\` read this file from inside the
# .ansible directory. Host keys are committed in known_hosts beside it. GitHub has settings of its own.
`;

/**
 * The names under which ssh finds the jump hosts of a site, in the order in which it goes through them. The last one is
 * `<site>-jump`; those before it count from there.
 */
export function jumpAliases(environment: Pick<Environment, 'site' | 'jump'>): string[] {
  return jumpHosts(environment).map((_, index, { length }) => {
    const distance = length - index;
    return `${environment.site}-jump${distance === 1 ? '' : `-${distance}`}`;
  });
}

function hostBlock(alias: string, target: SshTarget, proxyJump?: string): Record<string, string> {
  return {
    Host: alias,
    HostName: target.address,
    User: target.user,
    Port: String(target.port),
    ...(proxyJump ? { ProxyJump: proxyJump } : {}),
    ForwardAgent: 'no',
  };
}

/**
 * Offers a key file, and then nothing else, where the computer has it. Elsewhere, say on a colleague's, ssh tries the
 * keys of the agent and the usual ones.
 */
function keyBlock(alias: string, keyFile: string): Record<string, string> {
  const key = { IdentityFile: keyFile, IdentitiesOnly: 'yes' };
  // These would need to be escaped for ssh as well as for the shell, and differently from release to release.
  if (/["'\\%$`]/.test(keyFile)) return { Host: alias, ...key };
  const [, home = '', rest = ''] = keyFile.match(/^(~\/)?(.*)$/) ?? [];
  return { Match: `originalhost ${alias} exec "test -r ${home}${encoders.sh(rest)}"`, ...key };
}

export interface SshConfigurationOptions {
  /** Path of the known_hosts file, absolute or relative to where ssh is started. */
  knownHostsFile: string;
  /** `accept-new` only to see an unknown host's key; everything else is strict. */
  hostKeyChecking: 'yes' | 'accept-new';
}

function appendTarget(config: SSHConfig, alias: string, target: SshTarget, proxyJump?: string): void {
  config.append(hostBlock(alias, target, proxyJump));
  if (target.keyFile) config.append(keyBlock(alias, target.keyFile));
}

function appendEnvironment(config: SSHConfig, environment: Environment): void {
  const aliases = [...jumpAliases(environment), environment.site];
  [...jumpHosts(environment), environment.host].forEach((target, index) => {
    appendTarget(config, aliases[index] as string, target, aliases[index - 1]);
  });
}

/**
 * The text of a configuration with what it lacks for one more environment. All that is there, comments too, stays as
 * it is.
 */
export function withEnvironment(text: string, environment: Environment): string {
  const names = text.matchAll(/^[ \t]*Host[ \t=]+(.*)$/gim);
  const known = [...names].flatMap(([, patterns = '']) => patterns.split(/\s+/));
  if (known.includes(environment.site)) return text;
  const config = new SSHConfig();
  appendEnvironment(config, environment);
  const blocks = `${config.toString().trim()}\n`;
  // Before what holds for all hosts, with its comments: ssh takes the first value that it finds.
  const common = text.match(/^(?:[ \t]*#.*\n)*[ \t]*Host[ \t=]+\*[ \t]*$/im);
  if (common?.index === undefined) return `${text.replace(/\n*$/, '\n\n')}${blocks}`;
  return `${text.slice(0, common.index)}${blocks}\n${text.slice(common.index)}`;
}

/** The text of an OpenSSH client configuration for the hosts of environments. */
export function sshConfiguration(
  environments: readonly Environment[],
  options: SshConfigurationOptions = { knownHostsFile: 'known_hosts', hostKeyChecking: 'yes' },
): string {
  const config = new SSHConfig();
  for (const environment of environments) appendEnvironment(config, environment);
  config.append({
    Host: '*',
    UserKnownHostsFile: options.knownHostsFile,
    GlobalKnownHostsFile: '/dev/null',
    StrictHostKeyChecking: options.hostKeyChecking,
    HashKnownHosts: 'no',
    UpdateHostKeys: 'no',
    ServerAliveInterval: '15',
  });
  return `${heading}\n${config.toString().trim()}\n`;
}
