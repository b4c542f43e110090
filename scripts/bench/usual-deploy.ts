import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../lib/paths.ts';
import { packageIndexSettings } from '../../lib/rehearsal/package-index.ts';
import { giveTo } from '../../test/support/normal-user.ts';
import { onHost, type Station } from './workshop.ts';

/** The domain under which the host serves what the usual deploy puts there. */
export const usualDomain = 'usual.example.com';

const files = join(packageRoot, 'scripts/bench/usual-deploy');

/** Runs a playbook of the project with Ansible as it comes: without the project's ansible.cfg. */
export async function playWithDefaults(
  { site, place }: Station,
  playbook: string,
  {
    args = [],
    env = {},
    sshArguments = [],
  }: {
    args?: readonly string[];
    env?: Record<string, string>;
    /** Besides Ansible's own. */
    sshArguments?: readonly string[];
  } = {},
): Promise<void> {
  const configuration = join(place.user.home, 'defaults.cfg');
  writeFileSync(configuration, '');
  const words = ['uv', 'run', '--quiet', '--only-group', 'ansible', 'ansible-playbook', ...args, playbook];
  const { exitCode, stdout, stderr } = await site.run(words, join(site.directory, '.ansible'), {
    ...place.environment(),
    LC_ALL: 'C.UTF-8',
    ANSIBLE_CONFIG: configuration,
    // Ansible's default, to which only the way to the host is added.
    ANSIBLE_SSH_ARGS: ['-C -o ControlMaster=auto -o ControlPersist=60s', ...sshArguments].join(' '),
    ...env,
  });
  if (exitCode !== 0) throw new Error(`${playbook} failed:\n${`${stdout}\n${stderr}`.slice(-2000)}`);
}

/** Prepares a provisioned host for the usual deploy; returns what deploys the current commit with it. */
export async function prepareUsualDeploy(station: Station): Promise<() => Promise<void>> {
  const { site, place } = station;
  await onHost(station, 'bash -s', readFileSync(join(files, 'prepare.sh'), 'utf8'));
  const directory = join(place.user.home, 'usual-deploy');
  cpSync(files, directory, { recursive: true });
  const exported = await site.run([
    ...['uv', 'export', '--quiet', '--frozen', '--no-default-groups', '--no-hashes', '--no-emit-project'],
  ]);
  if (exported.exitCode !== 0) throw new Error(exported.stderr);
  writeFileSync(join(directory, 'requirements.txt'), exported.stdout);
  for (const path of ['.', 'requirements.txt']) giveTo(place.user, join(directory, path));
  const { python_package_index_url } = await packageIndexSettings();
  return async () => {
    const variables = {
      project: site.directory,
      archive: join(directory, 'release.tar.gz'),
      requirements: join(directory, 'requirements.txt'),
      revision: String(site.revision),
      domain: usualDomain,
      index_url: python_package_index_url,
    };
    await playWithDefaults(station, join(directory, 'deploy.yml'), {
      args: ['--inventory', `${site.name},`, '--extra-vars', JSON.stringify(variables)],
      sshArguments: ['-F ssh_config'],
    });
  };
}

/** Provisions with the playbook of the project and Ansible’s default settings. */
export function provisionWithDefaults(station: Station): Promise<void> {
  return playWithDefaults(station, 'provision.yml', {
    args: ['--inventory', 'inventory/production'],
    env: {
      ANSIBLE_ROLES_PATH: 'roles',
      ANSIBLE_LIBRARY: 'plugins/modules',
      ANSIBLE_VAULT_PASSWORD_FILE: 'vault_password',
    },
    sshArguments: ['-F ssh_config'],
  });
}
