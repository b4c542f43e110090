import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { fetchLivePage } from '../../lib/deploy/live.ts';
import { projectPaths } from '../../lib/paths.ts';
import { runOrThrow } from '../../lib/process.ts';
import { openRehearsal, type Rehearsal } from '../../lib/rehearsal/rehearsal.ts';
import { publicKeyOf } from '../../lib/ssh/key-pair.ts';
import { dispatch } from '../support/actions/events.ts';
import { repositoryOn } from '../support/actions/github-repository.ts';
import { gitIn } from '../support/actions/repository.ts';
import { runWorkflow } from '../support/actions/run.ts';
import { visitInChromium } from '../support/browser.ts';
import { sampleCommandLines } from '../support/command-lines.ts';
import { type GitHub, startGitHub } from '../support/github/server.ts';
import { type LoadResult, startLoad } from '../support/load.ts';
import { giveTo } from '../support/normal-user.ts';
import { git, projectFile, vaultVariables } from '../support/scaffold.ts';
import { startTestHost, type TestHost } from '../support/test-host.ts';
import { Workplace } from '../support/workplace.ts';

// One site, from an idea to its tenth day: the tests build on each other, in this order.

const domain = 'shop.example.com';
const site = 'shop-production';

let session: Rehearsal;
let host: TestHost;
let place: Workplace;
let github: GitHub;

beforeAll(async () => {
  github = await startGitHub();
  session = await openRehearsal();
  host = await startTestHost(session, 'journey');
  place = new Workplace();
  await place.run(['git', 'config', '--global', 'user.name', 'Ada Example']);
  await place.run(['git', 'config', '--global', 'user.email', 'ada@example.com']);
});
afterAll(async () => {
  await session?.close();
  await github?.close();
});

interface Run {
  exitCode: number;
  events: Record<string, unknown>[];
  /** The last event: the result, or the error. */
  result: Record<string, unknown>;
  output: string;
}

async function yo(args: string[], cwd = 'shop', at = place, env = {}): Promise<Run> {
  const { exitCode, stdout, stderr } = await at.yo([...args, '--json'], { cwd, env });
  const events = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return { exitCode, events, result: events.at(-1) ?? {}, output: `${stdout}\n${stderr}` };
}

const onHost = async (command: string) => (await host.rootShell(command)).stdout.trim();
const health = async (): Promise<{ release: string }> =>
  JSON.parse((await fetchLivePage({ domain, address: host.address, path: '/health/' })).body);

/** What GitHub holds for the site. */
function onGitHub(): { secrets: Record<string, string>; variables: Record<string, string> } {
  const environment = github.repository('pro-user/shop')?.environments.production;
  if (!environment) throw new Error('There is no environment production on GitHub');
  return environment;
}

/** Changes a file of the project and commits it. */
async function commitChange(path: string, change: (text: string) => string): Promise<void> {
  const file = join(place.cwd, 'shop', path);
  writeFileSync(file, change(readFileSync(file, 'utf8')));
  await git(place, 'commit', '--quiet', '--all', '--message', `Change ${path}`);
}

test('yo goboot takes an idea to a live site', async () => {
  const stopSampling = sampleCommandLines();
  const token = github.token('classic', 'pro-user');
  const { exitCode, result, output, events } = await yo(
    [
      'goboot',
      'shop',
      '--yes',
      `--github-url=${github.url}`,
      `--domain=${domain}`,
      '--author=Ada Example',
      '--email=ada@example.com',
      `--host=${host.address}`,
      `--user=${host.user}`,
      `--key-file=${host.keyFileFor(place)}`,
      `--known-hosts-file=${host.knownHostsFileFor(place)}`,
    ],
    '.',
    place,
    { GH_TOKEN: token },
  );
  const commandLines = [...(await stopSampling())].join('\n');
  expect(exitCode, output).toBe(0);
  expect(result).toMatchObject({
    event: 'result',
    status: 'live',
    url: `https://${domain}/`,
    page: { status: 200 },
    services: { database: { ok: true }, cache: { ok: true }, tasks: { ok: true } },
    repository: `${github.origin}/pro-user/shop`,
  });

  // No certificate authority can look at a host without a public name, so the site has to say that it made its own.
  expect(result.certificate).toMatchObject({ selfSigned: true, trusted: false });
  expect(
    events
      .filter(({ event }) => event === 'warning')
      .map(({ message }) => message)
      .join('\n'),
  ).toMatch(/self-signed/);

  const password = projectFile(place, '.ansible/vault_password').trim();
  const { DEPLOY_SSH_KEY: deployKey = '', ...others } = onGitHub().secrets;
  expect(others).toEqual({ ANSIBLE_VAULT_PASSWORD: password });
  const keyLine = deployKey.split('\n')[1] as string;
  const secrets = [token, keyLine, password, ...Object.values(await vaultVariables(place))];
  expect(secrets).toHaveLength(6);
  const logs = (await place.run(['sh', '-c', 'cat .ansible/logs/*'], { cwd: 'shop' })).stdout;
  expect(logs).toContain('PLAY RECAP');
  expect(commandLines).toContain('ansible-playbook');
  const places = {
    commandLines,
    logs,
    output,
    history: await git(place, 'log', '--all', '--patch'),
    settings: projectFile(place, '.yo-rc.json'),
    journal: await onHost('journalctl --no-pager --quiet'),
  };
  for (const secret of secrets) {
    for (const [where, text] of Object.entries(places)) expect(text.includes(secret), where).toBe(false);
  }
});

test('the doctor finds nothing wrong with a live site', async () => {
  const { exitCode, events, output } = await yo(['goboot:doctor']);
  expect(exitCode, output).toBe(0);
  const others = events.filter(({ event, status }) => event === 'check' && status !== 'ok');
  // A site with the domain of examples never gets a certificate of an authority.
  expect(others.map(({ name }) => name)).toEqual(['domain']);
});

test('everything is up, nothing failed, and only SSH and the web server can be reached', async () => {
  expect(await onHost('systemctl --failed --no-legend')).toBe('');
  expect(await onHost('systemctl is-system-running')).toBe('running');
  const listening = await onHost("ss --no-header --listening --numeric --tcp | awk '{print $4}'");
  const open = listening.split('\n').filter((address) => !/^(127\.|\[::1\]|\[::ffff:127\.)/.test(address));
  expect([...new Set(open.map((address) => address.split(':').at(-1)))].sort()).toEqual(['22', '443', '80']);
});

test('every unit of the site is sandboxed', async () => {
  const units = await onHost(
    `systemctl list-units --plain --no-legend '${site}-*' | awk '{print $1}' | grep service`,
  );
  expect(units).toMatch(/-web@.*\n.*-worker@/);
  for (const unit of units.split('\n').filter((name) => !name.includes('boot'))) {
    const exposure = Number(
      (await onHost(`systemd-analyze security --no-pager '${unit}' | tail -n 1`)).match(/([\d.]+) \w+/)?.[1],
    );
    expect(exposure, unit).toBeLessThanOrEqual(1.5);
  }
});

test('a visitor sees the page as it is meant, at every width and in the dark', async () => {
  for (const width of [390, 1280]) {
    for (const colorScheme of ['light', 'dark'] as const) {
      const screenshot = join(place.temporary, `${width}-${colorScheme}.png`);
      const visit = await visitInChromium({ domain, address: host.address, width, colorScheme, screenshot });
      expect(visit).toMatchObject({
        status: 200,
        heading: 'Shop',
        problems: [],
        externalRequests: [],
        overflows: false,
      });
    }
  }
});

test('a second provisioning changes nothing', async () => {
  const { exitCode, events, output } = await yo(['goboot:deploy', '--provision', '--yes']);
  expect(exitCode, output).toBe(0);
  const provisioned = events.find(({ event, name }) => event === 'step' && name === 'Provision the host');
  expect(provisioned?.detail).toMatch(/, 0 changed$/);
});

test('deploying the same commit again is no work', async () => {
  const { exitCode, events, output } = await yo(['goboot:deploy', '--yes']);
  expect(exitCode, output).toBe(0);
  const steps = events.filter(({ event }) => event === 'step').map(({ name }) => name);
  expect(steps).not.toContain('Provision the host');
  expect(
    events.find(({ name, event }) => event === 'step' && name === 'Deploy the commit')?.detail,
  ).toContain('unchanged');
});

test('a new commit goes live and back again without a lost request', async () => {
  const before = (await health()).release;
  await commitChange('templates/pages/home.html', (text) => `${text}{# changed #}\n`);
  const stopLoad = startLoad({ domain, address: host.address, perSecond: 50 });
  let load: LoadResult;
  try {
    const deployed = await yo(['goboot:deploy', '--yes']);
    expect(deployed.exitCode, deployed.output).toBe(0);
    expect((await health()).release).not.toBe(before);
    const rolledBack = await yo(['goboot:deploy', '--rollback', '--yes']);
    expect(rolledBack.exitCode, rolledBack.output).toBe(0);
  } finally {
    load = await stopLoad();
  }
  expect((await health()).release).toBe(before);
  expect(load.lost).toEqual([]);
  expect(load.requests).toBeGreaterThan(200);
  expect(load.releases).toHaveLength(2);
});

test('a release that does not start leaves the old one live and says why', async () => {
  const before = (await health()).release;
  await commitChange('shop/urls.py', (text) => `${text}\nimport no_such_module\n`);
  const { exitCode, result, output } = await yo(['goboot:deploy', '--yes']);
  expect(exitCode, output).toBe(1);
  expect(result).toMatchObject({
    event: 'error',
    exitCode: 1,
    message: expect.stringContaining('no_such_module'),
  });
  expect((await health()).release).toBe(before);
  expect(await onHost(`ls /srv/${site}/releases | wc -l`)).toBe('2');
  await git(place, 'revert', '--no-edit', 'HEAD');
});

/** Lets the deploy workflow release the current commit with what GitHub holds. */
async function deployByWorkflow(): Promise<void> {
  const runner = mkdtempSync(join(tmpdir(), 'runner-'));
  onTestFinished(() => rmSync(runner, { recursive: true, force: true }));
  const repository = repositoryOn(github, 'pro-user/shop');
  // The project belongs to another user than the one who runs the tests, and git asks about that.
  const bundle = join(place.temporary, 'shop.bundle');
  await git(place, 'bundle', 'create', '--quiet', bundle, 'main');
  gitIn(repository.path, ['fetch', '--quiet', bundle, 'main:main']);
  for (const name of ['lint.yml', 'test.yml']) {
    github.addRun(repository.fullName, name, { conclusion: 'success' });
  }
  const run = await runWorkflow(repository, '.github/workflows/deploy.yml', dispatch(repository), {
    directory: runner,
  });
  expect(run.conclusion, run.log).toBe('success');
  expect(run.leaks).toEqual([]);
  expect(run.summary).toContain('**deployed**');
  expect((await health()).release).toContain((await git(place, 'rev-parse', '--short=8', 'HEAD')).trim());
}

/** The words of a login at a machine with a private key and no other. */
function loginWith(privateKey: string, target: string): string[] {
  const key = join(place.user.home, 'deploy-key');
  writeFileSync(key, privateKey, { mode: 0o600 });
  giveTo(place.user, key);
  return [
    ...['ssh', '-F', 'none', '-i', key, '-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes'],
    ...['-o', `UserKnownHostsFile=${join(place.cwd, 'shop', projectPaths.knownHosts)}`, target],
  ];
}

test('the deploy workflow releases with what GitHub holds, whose key can do nothing else', async () => {
  await commitChange('README.md', (text) => `${text}\n`);
  await deployByWorkflow();
  const { DEPLOY_SSH_KEY: key = '' } = onGitHub().secrets;
  const [program = '', ...words] = loginWith(key, `deploy@${host.address}`);
  // One connection for all: the firewall limits how many new ones may come.
  const socket = `ControlPath=${join(place.temporary, 'm')}`;
  const login = [program, '-o', 'ControlMaster=auto', '-o', socket, '-o', 'ControlPersist=20', ...words];
  expect(await place.run([...login, 'status'])).toMatchObject({ exitCode: 0 });
  for (const command of ['id', 'manage -- shell', 'status; id']) {
    const attempt = await place.run([...login, command]);
    expect(attempt.exitCode, command).toBe(2);
    expect(attempt.stderr).toContain('this account runs only');
  }
});

/** Rotates a secret, and returns what the run has printed. */
async function rotate(...words: string[]): Promise<string> {
  const stopSampling = sampleCommandLines();
  const token = github.token('classic', 'pro-user');
  const { exitCode, output } = await yo(['goboot:secrets', '--yes', ...words], 'shop', place, {
    GH_TOKEN: token,
  });
  expect(exitCode, output).toBe(0);
  expect(await git(place, 'status', '--porcelain')).toBe('');
  // The host needs no provisioning for what was changed.
  const recorded = await onHost(`cat /etc/${site}/provisioned`);
  const files = ['provision.yml', 'group_vars', 'plugins', 'roles', 'inventory/production'];
  const listing = (await git(place, '-C', '.ansible', 'ls-files', '-s', '--', ...files)).trimEnd();
  const input = `${listing}\n`;
  const hash = await runOrThrow('git', ['hash-object', '--stdin'], { input, failure: 'No hash' });
  expect(recorded).toBe(hash.stdout.trim());
  return `${[...(await stopSampling())].join('\n')}\n${output}`;
}

test('GitHub deploys with a new deploy key after a rotation, and the old one is refused', async () => {
  // These tests knock with refused keys more often than anybody who rotates one does, and would be shut out.
  await onHost(`fail2ban-client set sshd addignoreip ${host.address.replace(/\d+$/, '0/24')}`);
  const { DEPLOY_SSH_KEY: old = '' } = onGitHub().secrets;
  expect(await place.run([...loginWith(old, `deploy@${host.address}`), 'list'])).toMatchObject({
    exitCode: 0,
  });
  const told = await rotate('--rotate', 'deploy-key');
  const { DEPLOY_SSH_KEY: key = '' } = onGitHub().secrets;
  expect(key).not.toBe(old);
  expect(told.includes(key.split('\n')[1] as string)).toBe(false);
  const refused = await place.run([...loginWith(old, `deploy@${host.address}`), 'list']);
  expect(refused).toMatchObject({ exitCode: 255, stderr: expect.stringContaining('Permission denied') });
  await deployByWorkflow();
});

test('behind a jump host the deploy key is rotated there, too, also when it has leaked', async () => {
  const jump = await startTestHost(session, 'journey-jump');
  const { DEPLOY_SSH_KEY: old = '' } = onGitHub().secrets;
  const line = `restrict,port-forwarding,permitopen="${host.address}:22",command="false" ${publicKeyOf(old)}`;
  await jump.rootShell('cat >> ~admin/.ssh/authorized_keys', `${line}\n`);
  const settings = {
    jumpHost: jump.address,
    jumpUser: 'admin',
    jumpPort: 22,
    jumpKeyFile: jump.keyFileFor(place),
  };
  await commitChange('.yo-rc.json', (text) => {
    const stored = JSON.parse(text);
    Object.assign(stored['generator-goboot'].environments.production, settings);
    return JSON.stringify(stored, null, 2);
  });
  await commitChange(projectPaths.knownHosts, (text) => `${text}${jump.knownHostsLine}\n`);

  await rotate('--rotate', 'deploy-key');
  const { DEPLOY_SSH_KEY: second = '' } = onGitHub().secrets;
  await rotate('--leaked', 'deploy-key');
  const { DEPLOY_SSH_KEY: third = '' } = onGitHub().secrets;
  const keys = (await jump.rootShell('cat ~admin/.ssh/authorized_keys')).stdout;
  expect(keys).toContain(line.replace(publicKeyOf(old), publicKeyOf(third)));
  for (const refused of [old, second]) {
    expect(keys).not.toContain(publicKeyOf(refused).split(' ')[1]);
    for (const target of [`deploy@${host.address}`, `admin@${jump.address}`]) {
      const { exitCode, stderr } = await place.run([...loginWith(refused, target), 'list']);
      expect({ exitCode, stderr }).toMatchObject({
        exitCode: 255,
        stderr: expect.stringContaining('Permission denied'),
      });
    }
  }
  await git(place, 'revert', '--no-edit', 'HEAD~4..HEAD~2');
  await jump.stop();
});

test('the password of the vault is rotated, and the old one opens nothing', async () => {
  const file = join(place.cwd, 'shop', projectPaths.vaultPassword);
  const [old, variables] = [readFileSync(file, 'utf8').trim(), await vaultVariables(place)];
  const told = await rotate('--rotate', 'vault-password');
  const password = readFileSync(file, 'utf8').trim();
  expect(password).not.toBe(old);
  expect(onGitHub().secrets.ANSIBLE_VAULT_PASSWORD).toBe(password);
  expect(await vaultVariables(place)).toEqual(variables);
  for (const secret of [old, password]) expect(told.includes(secret)).toBe(false);
  writeFileSync(file, `${old}\n`);
  await expect(vaultVariables(place)).rejects.toThrow(/Decryption failed/);
  writeFileSync(file, `${password}\n`);
});

test('a colleague with a clone, the vault password and a key of their own runs every command', async () => {
  const colleague = new Workplace();
  const bundle = join(colleague.temporary, 'shop.bundle');
  await git(place, 'bundle', 'create', '--quiet', join(place.temporary, 'shop.bundle'), 'main');
  copyFileSync(join(place.temporary, 'shop.bundle'), bundle);
  giveTo(colleague.user, bundle);
  await colleague.run(['git', 'clone', '--quiet', '--branch', 'main', bundle, 'shop']);
  const locked = await yo(['goboot:deploy', '--yes', '--check'], 'shop', colleague);
  expect(locked.exitCode, locked.output).toBe(3);
  expect(locked.output).toContain('.ansible/vault_password is missing');
  const password = join(colleague.cwd, 'shop', projectPaths.vaultPassword);
  writeFileSync(password, projectFile(place, projectPaths.vaultPassword), { mode: 0o600 });
  giveTo(colleague.user, password);

  // The key file that the project names is on the other computer only.
  const theirs = host.keyFileFor(place);
  const key = join(colleague.user.home, 'key');
  renameSync(theirs, key);
  onTestFinished(() => renameSync(key, theirs));
  const lost = await yo(['goboot:releases', '--yes'], 'shop', colleague);
  expect(lost.exitCode, lost.output).toBe(3);
  const warnings = lost.events.filter(({ event }) => event === 'warning').map(({ message }) => message);
  expect(warnings).toContainEqual(expect.stringContaining(`The key file ${theirs} is not on this computer`));
  expect(lost.result).toMatchObject({ message: expect.stringContaining('did not accept the key') });

  const mine = [`--key-file=${key}`, '--yes'];
  for (const command of [
    ['goboot:releases'],
    ['goboot:maintenance', 'status'],
    ['goboot:deploy', '--provision'],
  ]) {
    const { exitCode, output } = await yo([...command, ...mine], 'shop', colleague);
    expect(exitCode, output).toBe(0);
    expect(output).not.toContain(theirs);
  }
  expect((await colleague.run(['git', 'status', '--porcelain'], { cwd: 'shop' })).stdout).toBe('');
});

test('after a reboot the site is back by itself', async () => {
  const before = (await health()).release;
  await host.reboot();
  await onHost('systemctl is-system-running --wait');
  expect((await health()).release).toBe(before);
  expect(await onHost('systemctl --failed --no-legend')).toBe('');
});
