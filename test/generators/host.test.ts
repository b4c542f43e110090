import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import helpers from 'yeoman-test';
import HostGenerator from '../../generators/host/index.ts';
import { extensionOf, revisionOf } from '../../lib/extend.ts';
import { readDeployKey } from '../../lib/github/deploy-key.ts';
import { projectPaths } from '../../lib/paths.ts';
import { beginReplacement, endReplacement, pendingReplacement } from '../../lib/pending-replacement.ts';
import type { Environments } from '../../lib/project.ts';
import { newVaultFile, projectFiles, writeNewFiles } from '../../lib/scaffold.ts';
import { openProject, storedEnvironments, storedOldHosts, storeMove } from '../../lib/settings-file.ts';
import { makeDeployKeyPair } from '../../lib/ssh/key-pair.ts';
import { ensureVaultPassword, readVault } from '../../lib/vault.ts';
import { sampleEnvironment, sampleProject } from '../support/sample.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const git = (cwd: string, ...args: string[]) => execFileSync('git', args, { cwd, encoding: 'utf8' }).trim();

let root: string;

/** A project with production alone, rendered and committed as `yo goboot` does it. */
async function startProject(): Promise<string> {
  const directory = join(temporaryDirectory(), 'shop');
  mkdirSync(directory);
  const password = await ensureVaultPassword(directory);
  const files = await projectFiles(sampleProject(), [sampleEnvironment()], '192.0.2.10 ssh-ed25519 AAAA\n');
  files.push(await newVaultFile({ name: 'production' }, password as string));
  await writeNewFiles(files, directory);
  const stored = {
    project: { projectName: 'shop', author: 'Sample Author', email: 'author@example.com' },
    environments: {
      production: {
        ...{ domain: 'shop.example.com', host: '192.0.2.10', user: 'admin', port: 22, keyFile: '' },
        jumpHost: '',
      },
    },
  };
  writeFileSync(
    join(directory, '.yo-rc.json'),
    `${JSON.stringify({ 'generator-goboot': stored }, null, 2)}\n`,
  );
  git(directory, 'init', '--quiet', '--initial-branch=main');
  git(directory, 'add', '--all');
  const author = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com'];
  git(directory, ...author, 'commit', '--quiet', '--message=Start');
  return directory;
}

beforeEach(async () => {
  root = await startProject();
});

/** Runs the generator as `yo goboot:host …` would. */
async function host(options: Record<string, unknown> = {}, args: string[] = []): Promise<void> {
  await helpers
    .run(
      HostGenerator as never,
      {
        namespace: 'goboot:host',
        resolved: join(import.meta.dirname, '../../generators/host/index.ts'),
      },
      { cwd: root, tmpdir: false } as never,
    )
    .withArguments(args)
    .withOptions({
      ...{ domain: 'staging.example.org', yes: true, quiet: true },
      ...{ 'skip-deploy': true, 'skip-github': true, force: false },
      ...options,
    } as never);
}

const refused = (message: RegExp | string, code = 2) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const changedFiles = () => git(root, 'show', '--format=', '--name-status', 'HEAD').split('\n');

test('an environment is added in one commit, to the same host as production unless said otherwise', async () => {
  await host();
  expect(git(root, 'log', '--format=%s')).toBe('Add the environment staging\nStart');
  expect(git(root, 'status', '--porcelain')).toBe('');
  expect(changedFiles()).toEqual([
    'A\t.ansible/inventory/staging/group_vars/all/main.yml',
    'A\t.ansible/inventory/staging/group_vars/all/vault.yml',
    'A\t.ansible/inventory/staging/hosts.yml',
    'M\t.ansible/ssh_config',
    'A\t.github/workflows/check-staging.yml',
    'A\t.github/workflows/deploy-staging.yml',
    'A\t.github/workflows/plan-staging.yml',
    'M\t.yo-rc.json',
    'M\tREADME.md',
  ]);
  expect(openProject(root, 'staging').environment).toEqual({
    name: 'staging',
    site: 'shop-staging',
    domain: 'staging.example.org',
    www: 'none',
    host: { address: '192.0.2.10', user: 'admin', port: 22 },
  });
  // What a rendering of the whole project would write.
  const environments = storedEnvironments(root) as unknown as Environments;
  for (const { path, contents } of await projectFiles(
    sampleProject(),
    environments,
    read('.ansible/known_hosts'),
  )) {
    expect(read(path), path).toBe(contents.toString('utf8'));
  }
});

test('its secrets are its own, under the password of the project', async () => {
  await host({ 'basic-auth': 'friends' });
  const [production, staging] = await Promise.all(
    ['production', 'staging'].map((environment) => readVault(root, environment)),
  );
  expect(Object.keys(staging ?? {})).toEqual([
    'vault_secret_key',
    'vault_broker_password',
    'vault_backup_password',
    'vault_basic_auth_password',
  ]);
  expect(staging?.vault_secret_key).not.toBe(production?.vault_secret_key);
  expect(read(projectPaths.environmentVariables('staging'))).toContain('nginx_basic_auth_user: "friends"\n');
  expect(openProject(root, 'staging').environment.basicAuthUser).toBe('friends');
});

test('its address, port and jump host are those that are given', async () => {
  await host({ environment: 'qa', port: '2222', 'jump-host': 'jump.example.org' }, ['198.51.100.7']);
  const { environment } = openProject(root, 'qa');
  expect(environment.host).toEqual({ address: '198.51.100.7', user: 'admin', port: 2222 });
  expect(environment.jump).toEqual({ address: 'jump.example.org', user: 'admin', port: 22 });
  expect(read('.ansible/ssh_config')).toContain('Host shop-qa-jump\n');
});

test('what was changed by hand stays, and only the difference is added to it', async () => {
  const edited = {
    '.ansible/ssh_config': (text: string) =>
      text.replace('Host shop-production', '# mine\nHost shop-production'),
    'README.md': (text: string) => text.replace('# Shop\n', '# Our shop\n'),
    '.ansible/known_hosts': (text: string) => `# by hand\n${text}`,
    'manage.py': (text: string) => `${text}# mine\n`,
  };
  for (const [path, edit] of Object.entries(edited)) writeFileSync(join(root, path), edit(read(path)));
  git(
    root,
    '-c',
    'user.name=a',
    '-c',
    'user.email=a@example.com',
    'commit',
    '--quiet',
    '--all',
    '-m',
    'Mine',
  );
  await host();
  expect(git(root, 'show', '--format=', '--unified=0', 'HEAD')).not.toMatch(/^-(?!--)/m);
  expect(read('.ansible/ssh_config')).toContain('# mine\nHost shop-production\n');
  expect(read('README.md')).toMatch(/^# Our shop\n.*\| `staging` \|/s);
  expect(changedFiles()).not.toContain('M\tmanage.py');
});

test('a file whose owner has changed the same place is left alone, and the run goes on', async () => {
  writeFileSync(join(root, 'README.md'), '# Our shop\n');
  await host();
  expect(read('README.md')).toBe('# Our shop\n');
  expect(storedEnvironments(root).map(({ name }) => name)).toEqual(['production', 'staging']);
});

test('servers of the owner’s own are taken over from production', async () => {
  const path = projectPaths.environmentVariables('production');
  const mirror = 'python_package_index_url: https://mirror.example.org/$simple/';
  writeFileSync(
    join(root, path),
    read(path).replace(/^python_package_index_url:.*$/m, () => mirror),
  );
  await host();
  expect(read(projectPaths.environmentVariables('staging'))).toContain(`${mirror}\n`);
});

test('a dry run changes nothing', async () => {
  await host({ 'dry-run': true });
  expect(git(root, 'status', '--porcelain')).toBe('');
  expect(git(root, 'log', '--format=%s')).toBe('Start');
});

test('an interrupted run goes on with its own answers', async () => {
  await host({ 'basic-auth': 'friends' });
  const vault = read(projectPaths.vault('staging'));
  const files = ['.github/workflows/deploy-staging.yml', '.ansible/inventory/staging/hosts.yml'];
  git(root, 'rm', '--quiet', ...files);
  await host({ resume: true, domain: undefined });
  for (const file of files) expect(existsSync(join(root, file)), file).toBe(true);
  expect(read(projectPaths.vault('staging'))).toBe(vault);
  expect(git(root, 'status', '--porcelain')).toBe('');
  await host({ resume: true, domain: undefined });
  expect(git(root, 'rev-list', '--count', 'HEAD')).toBe('2');
});

describe('is refused, and nothing is changed:', () => {
  test.each<[string, Record<string, unknown>, string[], RegExp]>([
    [
      'an environment that there is',
      { environment: 'production' },
      [],
      /an environment "production" already/,
    ],
    ['a name that is none', { environment: 'My Staging' }, [], /"My Staging" is not usable/],
    ['a group of the inventory', { environment: 'database' }, [], /"database" is taken/],
    [
      'the domain of another one',
      { domain: 'Shop.Example.com' },
      [],
      /"production" .* has the name "shop.example.com"/,
    ],
    [
      'the name that leads to another one',
      { domain: 'www.shop.example.com' },
      [],
      /"production" .* "www.shop/,
    ],
    ['a choice about www that is none', { www: 'serve' }, [], /"serve" is neither/],
    ['two addresses', { host: '192.0.2.1' }, ['192.0.2.2'], /"192.0.2.2" and --host "192.0.2.1"/],
    ['no domain', { domain: undefined }, [], /Missing: --domain/],
    ['a name for visitors that nginx cannot read', { 'basic-auth': 'a:b' }, [], /"a:b" cannot be asked/],
    ['to go on with production', { resume: true, domain: undefined }, [], /no further environment/],
    [
      'to go on with one that is not there',
      { resume: true, domain: undefined, environment: 'qa' },
      [],
      /no environment "qa"/,
    ],
    ['other answers with --resume', { resume: true }, [], /the answers of the run before/],
  ])('%s', async (_, options, args, message) => {
    await expect(host(options, args)).rejects.toEqual(refused(message));
    expect(git(root, 'status', '--porcelain')).toBe('');
  });

  test('files that are in the way', async () => {
    const path = join(root, projectPaths.environmentVariables('staging'));
    mkdirSync(dirname(path), { recursive: true });
    appendFileSync(path, 'mine: true\n');
    await expect(host()).rejects.toEqual(refused(/staging\/group_vars\/all\/main.yml is in the way/, 1));
    expect(existsSync(join(root, '.github/workflows/deploy-staging.yml'))).toBe(false);
  });

  test('a vault whose password is not on this computer', async () => {
    execFileSync('rm', [join(root, projectPaths.vaultPassword)]);
    await expect(host()).rejects.toEqual(refused(/vault_password is missing/, 3));
  });

  test('the deploy key of another environment', async () => {
    const pair = makeDeployKeyPair('shop-production');
    const file = join(temporaryDirectory(), 'key');
    writeFileSync(file, pair.privateKey, { mode: 0o600 });
    const path = projectPaths.environmentVariables('production');
    writeFileSync(
      join(root, path),
      read(path).replace('deploy_public_keys: []', `deploy_public_keys:\n  - ${pair.publicKey}`),
    );
    const staging = sampleEnvironment({ name: 'staging', site: 'shop-staging' });
    await expect(readDeployKey(file, staging, root)).rejects.toEqual(
      refused(/is that of the environment "production"/),
    );
    await expect(readDeployKey(file, sampleEnvironment(), root)).resolves.toMatchObject({
      publicKey: expect.stringContaining(pair.publicKey.split(' ')[1] as string),
    });
  });
});

describe('--remove', () => {
  const remove = (args: string[], options: Record<string, unknown> = {}) =>
    host({ domain: undefined, remove: true, ...options }, args);

  test('of an environment takes back exactly what adding it has changed', async () => {
    const before = git(root, 'ls-tree', '-r', 'HEAD');
    await host({ environment: 'qa' }, ['198.51.100.7']);
    await remove(['qa']);
    expect(git(root, 'log', '-1', '--format=%s')).toBe('Remove the environment qa');
    expect(git(root, 'ls-tree', '-r', 'HEAD')).toBe(before);
    expect(git(root, 'status', '--porcelain')).toBe('');
    expect(existsSync(join(root, '.ansible/inventory/qa'))).toBe(false);
  });

  test('of an environment keeps what was changed by hand', async () => {
    await host();
    writeFileSync(join(root, '.ansible/ssh_config'), `# mine\n${read('.ansible/ssh_config')}`);
    await remove(['staging']);
    expect(read('.ansible/ssh_config')).toMatch(/^# mine\n/);
    expect(read('.ansible/ssh_config')).not.toContain('shop-staging');
  });

  test('of an old host forgets it and its key', async () => {
    await startMove();
    await remove(['192.0.2.10']);
    expect(storedOldHosts(root)).toEqual([]);
    expect(read('.ansible/known_hosts')).not.toContain('192.0.2.10 ');
    expect(git(root, 'log', '-1', '--format=%s')).toBe('Remove the old host 192.0.2.10 of production');
  });

  test('of production leaves the files of the project as they are', async () => {
    await remove(['production']);
    expect(git(root, 'status', '--porcelain')).toBe('');
    expect(git(root, 'log', '--format=%s')).toBe('Start');
  });

  test('changes nothing in a dry run', async () => {
    await host();
    await remove(['staging'], { 'dry-run': true });
    expect(storedEnvironments(root)).toHaveLength(2);
    expect(git(root, 'status', '--porcelain')).toBe('');
  });

  test.each<[string, string[], Record<string, unknown>, RegExp]>([
    ['nothing', [], {}, /not said what to remove/],
    ['what is not there', ['198.51.100.99'], {}, /"198.51.100.99" is neither an old host nor an environment/],
    ['a host that is used', ['192.0.2.10'], {}, /the environment "production" is on it/],
    [
      'another name than the site’s',
      ['production'],
      { confirm: 'shop-staging' },
      /"shop-staging" is not the name/,
    ],
    ['two things at once', ['production'], { undo: true }, /--remove and --undo do not go together/],
  ])('refuses %s', async (_, args, options, message) => {
    await expect(remove(args, options)).rejects.toEqual(refused(message));
    expect(git(root, 'status', '--porcelain')).toBe('');
  });
});

/** The project as a replacement has left it. */
async function startMove(): Promise<void> {
  await storeMove(root, 'production', { host: '198.51.100.7', port: 22 }, '2026-01-31T03:15:00Z');
  appendFileSync(join(root, '.ansible/known_hosts'), '198.51.100.7 ssh-ed25519 BBBB\n');
  git(
    root,
    '-c',
    'user.name=a',
    '-c',
    'user.email=a@example.com',
    'commit',
    '--quiet',
    '--all',
    '-m',
    'Move',
  );
}

describe('a replacement', () => {
  const replace = (args: string[], options: Record<string, unknown> = {}) =>
    host({ domain: undefined, replace: true, ...options }, args);

  test('is remembered: the project leads to the new host, and knows the old one', async () => {
    await startMove();
    expect(openProject(root).environment.host.address).toBe('198.51.100.7');
    expect(storedOldHosts(root)).toMatchObject([
      { since: '2026-01-31T03:15:00Z', environment: { name: 'production', host: { address: '192.0.2.10' } } },
    ]);
    // Back again: a host that is used is not an old one.
    await storeMove(root, 'production', { host: '192.0.2.10' }, '2026-02-28T03:15:00Z');
    expect(storedOldHosts(root).map(({ environment }) => environment.host.address)).toEqual(['198.51.100.7']);
  });

  test('changes the address alone in what was edited by hand', async () => {
    const edited = `# mine\n${read('.ansible/ssh_config')}`;
    writeFileSync(join(root, '.ansible/ssh_config'), edited);
    const [production] = storedEnvironments(root);
    const before = [production] as unknown as Environments;
    const after = [{ ...before[0], host: { ...before[0].host, address: '198.51.100.7' } }] as const;
    const revision = await revisionOf({
      projectRoot: root,
      project: sampleProject(),
      before,
      after,
      knownHosts: '',
    });
    expect(revision).toMatchObject({ created: [], leftAlone: [] });
    expect(revision.changed.map(({ path, contents }) => [path, String(contents)])).toEqual([
      ['.ansible/ssh_config', edited.replace('HostName 192.0.2.10', 'HostName 198.51.100.7')],
    ]);
  });

  test.each<[string, string[], Record<string, unknown>, RegExp]>([
    ['by the same host', ['192.0.2.10'], {}, /"192.0.2.10" is the host that the environment is on/],
    ['without an address', [], {}, /Missing: --host/],
    ['of an environment that is not there', ['198.51.100.7'], { environment: 'qa' }, /no environment "qa"/],
    [
      'with another domain',
      ['198.51.100.7'],
      { domain: 'new.example.com' },
      /changes the host of an environment, and nothing else/,
    ],
    ['together with a list', ['198.51.100.7'], { list: true }, /--list and --replace do not go together/],
  ])('is refused %s', async (_, args, options, message) => {
    await expect(replace(args, options)).rejects.toEqual(refused(message));
    expect(git(root, 'status', '--porcelain')).toBe('');
  });

  test('that has begun is ended or taken back before another one begins', async () => {
    await beginReplacement(root, { environment: 'production', answers: { host: '198.51.100.7' } });
    await expect(replace(['198.51.100.8'])).rejects.toEqual(refused(/on its way to 198.51.100.7/));
    expect(git(root, 'status', '--porcelain')).toBe('');
    await endReplacement(root);
    expect(await pendingReplacement(root)).toBeUndefined();
  });

  test('whose record is damaged says so', async () => {
    await beginReplacement(root, { environment: 'production', answers: { host: '198.51.100.7' } });
    writeFileSync(join(root, projectPaths.replacement), '{"environment": 7}');
    await expect(replace(['198.51.100.8'])).rejects.toEqual(refused(/replacement.json" cannot be read/, 1));
  });
});

test('--undo has nothing to do where no run has begun anything', async () => {
  await host();
  await host({ domain: undefined, undo: true });
  expect(storedEnvironments(root)).toHaveLength(2);
});

test.each([
  ['yes', /"yes" is not the fingerprint of a host key/, 2],
  [`SHA256:${'a'.repeat(43)}`, /./, 1],
])('--accept-host-key %s is refused without a key that fits', async (fingerprint, message, code) => {
  await expect(host({ domain: undefined, 'accept-host-key': fingerprint })).rejects.toEqual(
    refused(message, code as number),
  );
  expect(git(root, 'status', '--porcelain')).toBe('');
});

test('nothing is written to find out what would be', async () => {
  const [production] = storedEnvironments(root);
  const { created, changed, leftAlone } = await extensionOf({
    projectRoot: root,
    project: sampleProject(),
    existing: [production as Environments[0]],
    added: sampleEnvironment({ name: 'staging', site: 'shop-staging', domain: 'staging.example.org' }),
    knownHosts: '198.51.100.7 ssh-ed25519 BBBB\n',
    resumes: false,
  });
  expect(created).toHaveLength(5);
  expect(changed.map(({ path }) => path)).toEqual([
    'README.md',
    '.ansible/ssh_config',
    '.ansible/known_hosts',
  ]);
  expect(leftAlone).toEqual([]);
  expect(git(root, 'status', '--porcelain')).toBe('');
});
