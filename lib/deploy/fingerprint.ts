import { join, relative } from 'node:path';
import { projectPaths } from '../paths.ts';
import { runOrThrow } from '../process.ts';

/** What the provisioning of an environment depends on, relative to `.ansible`. */
const provisionedPaths = (environment: string): string[] => [
  ...['provision.yml', 'group_vars', 'plugins', 'roles'],
  `inventory/${environment}`,
];

/**
 * What the provisioning of an environment depends on, as one hash of the committed playbook, plug-ins, roles and inventory.
 * provision.yml leaves the same value on the host.
 */
export async function provisionFingerprint(projectRoot: string, environment: string): Promise<string> {
  const cwd = join(projectRoot, projectPaths.ansible);
  const failure = 'git cannot list the files of the playbooks';
  const { stdout } = await runOrThrow('git', ['ls-files', '-s', '--', ...provisionedPaths(environment)], {
    cwd,
    failure,
  });
  return hashOf(stdout, cwd);
}

async function hashOf(files: string, cwd: string): Promise<string> {
  const failure = 'git cannot hash the list of the playbooks';
  const hash = await runOrThrow('git', ['hash-object', '--stdin'], { cwd, input: `${files}\n`, failure });
  return hash.stdout.trim();
}

/** Many more changes than a rotation makes. */
const mostChanges = 50;

/**
 * The same for the commits before, the newest first, as far back as nothing but the vault of the environment differs from
 * one to the next: a host that was provisioned with one of them lacks secrets only.
 */
export async function fingerprintsBeforeVault(projectRoot: string, environment: string): Promise<string[]> {
  const cwd = join(projectRoot, projectPaths.ansible);
  const failure = 'git cannot read the history of the playbooks';
  const paths = provisionedPaths(environment);
  const { stdout } = await runOrThrow(
    'git',
    ['log', `--max-count=${mostChanges}`, '--format=commit %H', '--name-only', '--relative', '--', ...paths],
    { cwd, failure },
  );
  const commits = stdout
    .split(/^commit /m)
    .slice(1)
    .map((entry) => entry.split('\n').filter(Boolean));
  const vault = relative(projectPaths.ansible, projectPaths.vault(environment));
  const end = commits.findIndex(([, ...names]) => names.some((name) => name !== vault));
  const changes = commits.slice(0, end === -1 ? commits.length : end);
  return Promise.all(
    changes.map(async ([commit]) => {
      const tree = await runOrThrow('git', ['ls-tree', '-r', `${commit}^`, '--', ...paths], { cwd, failure });
      // As `git ls-files -s` writes it.
      return hashOf(tree.stdout.replace(/^(\d+) \w+ (\w+)\t/gm, '$1 $2 0\t'), cwd);
    }),
  );
}
