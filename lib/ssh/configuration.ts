import SSHConfig from 'ssh-config';
import type { Environment, SshTarget } from '../project.ts';

const heading = `# How the machines of this project are reached. Ansible, \`ssh -F ssh_config\` and the deploy workflow read this
# file from inside the .ansible directory. Host keys are committed in known_hosts beside it.
`;

/** The name under which ssh finds the jump host of a site. */
export function jumpAlias(site: string): string {
  return `${site}-jump`;
}

function hostBlock(alias: string, target: SshTarget, proxyJump?: string): Record<string, string> {
  return {
    Host: alias,
    HostName: target.address,
    User: target.user,
    Port: String(target.port),
    ...(target.keyFile ? { IdentityFile: target.keyFile, IdentitiesOnly: 'yes' } : {}),
    ...(proxyJump ? { ProxyJump: proxyJump } : {}),
    ForwardAgent: 'no',
  };
}

export interface SshConfigurationOptions {
  /** Path of the known_hosts file, absolute or relative to where ssh is started. */
  knownHostsFile: string;
  /** `accept-new` only to see an unknown host's key; everything else is strict. */
  hostKeyChecking: 'yes' | 'accept-new';
}

/** The text of an OpenSSH client configuration for the hosts of one environment. */
export function sshConfiguration(
  environment: Environment,
  options: SshConfigurationOptions = { knownHostsFile: 'known_hosts', hostKeyChecking: 'yes' },
): string {
  const config = new SSHConfig();
  const jump = environment.jump && jumpAlias(environment.site);
  if (environment.jump && jump) config.append(hostBlock(jump, environment.jump));
  config.append(hostBlock(environment.site, environment.host, jump));
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
