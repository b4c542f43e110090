import { join } from 'node:path';
import { projectPaths } from '../paths.ts';
import { runOrThrow } from '../process.ts';

/**
 * What the provisioning of an environment depends on, as one hash of the committed playbook, plug-ins, roles and inventory.
 * provision.yml leaves the same value on the host.
 */
export async function provisionFingerprint(projectRoot: string, environment: string): Promise<string> {
  const cwd = join(projectRoot, projectPaths.ansible);
  const failure = 'git cannot list the files of the playbooks';
  const { stdout } = await runOrThrow(
    'git',
    ['ls-files', '-s', '--', 'provision.yml', 'group_vars', 'plugins', 'roles', `inventory/${environment}`],
    {
      cwd,
      failure,
    },
  );
  const hash = await runOrThrow('git', ['hash-object', '--stdin'], { cwd, input: `${stdout}\n`, failure });
  return hash.stdout.trim();
}
