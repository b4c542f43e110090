import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { fetchLivePage } from '../../lib/deploy/live.ts';
import { openRehearsal, type Rehearsal } from '../../lib/rehearsal/rehearsal.ts';
import { memoryByUnit, processesKilledForMemory } from '../support/memory.ts';
import { startNeighbour } from '../support/neighbour.ts';
import { type ProgramResult, wordsAs } from '../support/normal-user.ts';
import { startTestHost, type TestHost } from '../support/test-host.ts';
import { Workplace } from '../support/workplace.ts';

// One host with the memory of the smallest server, and what somebody who looks after servers would look at.

const domain = 'shop.example.com';
const site = 'shop-production';
const settings = '/etc/ssh/sshd_config.d';
const trial = '/etc/tmpfiles.d/ssh-server-trial.conf';

let session: Rehearsal;
let host: TestHost;
let place: Workplace;
let key: string;
let knownHosts: string;

beforeAll(async () => {
  session = await openRehearsal();
  host = await startTestHost(session, 'hardening', undefined, { memory: 1024 });
  place = new Workplace();
  key = host.keyFileFor(place);
  knownHosts = host.knownHostsFileFor(place);
  await place.run(['git', 'config', '--global', 'user.name', 'Ada Example']);
  await place.run(['git', 'config', '--global', 'user.email', 'ada@example.com']);
  const { exitCode, stdout, stderr } = await place.yo([
    ...['goboot', 'shop', '--yes', '--skip-github', '--json', `--domain=${domain}`, '--author=Ada Example'],
    ...['--email=ada@example.com', `--host=${host.address}`, `--user=${host.user}`, `--key-file=${key}`],
    `--known-hosts-file=${knownHosts}`,
  ]);
  expect(exitCode, `${stdout}\n${stderr}`).toBe(0);
});
afterAll(() => session?.close());

const onHost = async (command: string) => (await host.rootShell(command)).stdout.trim();
const lines = async (command: string) => (await onHost(command)).split('\n').filter(Boolean);

const playbook = (variables: Record<string, unknown>) => [
  ...['uv', 'run', '--quiet', '--only-group', 'ansible', 'ansible-playbook', 'provision.yml'],
  // No authority is asked: the domain is not this host's.
  ...['--extra-vars', JSON.stringify({ acme_directory_url: '', ...variables })],
];
const playbookOptions = { cwd: 'shop/.ansible', env: { LC_ALL: 'C.UTF-8' } };

/** Provisions with Ansible alone, as somebody without goboot does. */
async function provision(
  variables: Record<string, unknown> = {},
): Promise<{ exitCode: number; output: string; changed: number }> {
  const { exitCode, stdout, stderr } = await place.run(playbook(variables), playbookOptions);
  const output = `${stdout}\n${stderr}`;
  return { exitCode, output, changed: Number(/ changed=(\d+)/.exec(output)?.[1]) };
}

/** Provisions, and kills the controller when a task begins. */
async function provisionUntil(task: string, variables: Record<string, unknown>): Promise<void> {
  const [file = '', ...args] = wordsAs(place.user, playbook(variables));
  const child = spawn(file, args, {
    cwd: `${place.cwd}/shop/.ansible`,
    env: { ...place.environment(), ...playbookOptions.env },
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  const begun = await new Promise<boolean>((resolve) => {
    child.once('exit', () => resolve(false));
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.startsWith(`TASK [${task}]`)) return;
      process.kill(-(child.pid as number), 'SIGKILL');
      resolve(true);
    });
  });
  expect(begun, task).toBe(true);
}

/** Logs in with a connection of its own. */
const login = (user = host.user, options: string[] = []): Promise<ProgramResult> =>
  place.run([
    ...['ssh', '-F', 'none', '-i', key, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', ...options],
    ...[
      '-o',
      `UserKnownHostsFile=${knownHosts}`,
      '-o',
      'ConnectTimeout=5',
      `${user}@${host.address}`,
      'true',
    ],
  ]);

const sshServer = async (): Promise<Map<string, string>> =>
  new Map((await lines('sshd -T')).map((line) => line.split(/ (.*)/) as [string, string]));

/** Ends what a deploy leaves running for a while: the web server kept for a rollback, and the worker at its last task. */
async function leaveOneRelease(): Promise<void> {
  const release = await onHost(`basename $(readlink /srv/${site}/current)`);
  const others = `systemctl list-units --plain --no-legend '${site}-w*@*' | awk '{print $1}' | grep -v ${release}`;
  await onHost(`${others} | xargs --no-run-if-empty systemctl stop`);
  expect(await lines(others)).toEqual([]);
}

test('a server of 1 GB takes provisioning, two deploys and the site, and nobody is killed for want of memory', async () => {
  const { exitCode, stdout } = await place.run(
    [
      'sh',
      '-c',
      'echo "{# 2 #}" >> templates/pages/home.html && git commit -qam 2 && yo goboot:deploy --yes --json',
    ],
    { cwd: 'shop' },
  );
  expect(exitCode, stdout).toBe(0);
  const sum = async () => [...(await memoryByUnit(host)).values()].reduce((a, b) => a + b, 0);
  const afterDeploy = await sum();
  await leaveOneRelease();
  const units = [...(await memoryByUnit(host))].filter(([, mib]) => mib >= 3).sort(([, a], [, b]) => b - a);
  const idle = await sum();
  console.log(
    [
      `idle ${idle.toFixed(0)} MiB, while the release before is kept warm ${afterDeploy.toFixed(0)} MiB`,
      ...units.map(([unit, mib]) => `  ${mib.toFixed(0).padStart(4)} ${unit.replace(/@.*/, '@')}`),
    ].join('\n'),
  );
  expect(idle).toBeLessThan(600);
  expect(await processesKilledForMemory(host)).toBe(0);
});

test('services take the size that the host has', async () => {
  expect(await onHost(`grep -E '^(WEB|WORKER)_' /etc/${site}/environment`)).toBe(
    'WEB_WORKERS="2"\nWEB_THREADS="4"\nWORKER_PROCESSES="2"',
  );
  const children = (unit: string) =>
    onHost(
      `main=$(systemctl show --property MainPID --value '${site}-${unit}@*')
       grep --files-with-matches --word-regexp "^PPid:\t$main" /proc/[0-9]*/status | wc -l`,
    );
  expect(await children('web')).toBe('2');
  expect(await children('worker')).toBe('2');
  expect(await onHost('runuser -u postgres -- psql -Atc "show shared_buffers"')).toBe('128MB');
  expect(await onHost('rabbitmqctl -q eval "vm_memory_monitor:get_memory_limit()."')).toContain(
    `${256 * 1024 * 1024}`,
  );
});

test('a second provisioning changes nothing and opens one connection', async () => {
  const since = await onHost('date +@%s');
  const { exitCode, output, changed } = await provision();
  expect(exitCode, output).toBe(0);
  expect(changed, output).toBe(0);
  expect(await onHost(`journalctl -u ssh --since=${since} -o cat | grep -c '^Accepted publickey '`)).toBe(
    '1',
  );
});

test('systemd finds little to expose in every unit that was installed', async () => {
  // What runs, what waits for its hour, and templates by one instance.
  const installed = await lines(
    `cd /etc/systemd/system; find . -maxdepth 1 -type f -name '*.service' -printf '%f\\n' | sed 's/@\\./@example./'`,
  );
  const running = await lines(
    `systemctl list-units --all --plain --no-legend --type=service '${site}-*' | awk '{print $1}'`,
  );
  const units = [...new Set([...installed, ...running])];
  expect(units).toEqual(
    expect.arrayContaining(['beat', 'boot', 'memcached', 'retire'].map((name) => `${site}-${name}.service`)),
  );
  for (const unit of ['web', 'worker']) {
    expect(running).toContainEqual(expect.stringMatching(`^${site}-${unit}@.*\\.service$`));
  }
  const exposure: Record<string, number> = {};
  for (const unit of units) {
    const verdict = await onHost(`systemd-analyze security --no-pager '${unit}' | tail -n 1`);
    exposure[unit] = Number(/: ([\d.]+) /.exec(verdict)?.[1]);
  }
  console.log(exposure);
  expect(Object.entries(exposure).filter(([, value]) => !(value <= 1.5))).toEqual([]);
});

test('nothing that goboot and Ansible have done so far counts as a failed login', async () => {
  const failed = await onHost('fail2ban-client status sshd');
  const journal = await onHost('journalctl -u ssh -o cat');
  // The next tests fail on purpose, and more often than anybody would.
  const controller = /^Accepted publickey .* from (\S+) port /m.exec(journal)?.[1];
  await onHost(`fail2ban-client set sshd addignoreip ${controller}`);
  // At the boot somebody has looked whether SSH answers, and left again.
  const looks = journal.match(/^error: kex_exchange_identification/gm) ?? [];
  expect(Number(/Total failed:\s+(\d+)$/m.exec(failed)?.[1]), journal).toBeLessThanOrEqual(looks.length);
});

test('SSH lets in by public key, and neither root nor a password', async () => {
  expect(await login()).toMatchObject({ exitCode: 0, stderr: '' });
  const server = await sshServer();
  expect(Object.fromEntries(server)).toMatchObject({
    permitrootlogin: 'no',
    passwordauthentication: 'no',
    kbdinteractiveauthentication: 'no',
    authenticationmethods: 'publickey',
    maxauthtries: '4',
    logingracetime: '30',
    allowtcpforwarding: 'local',
    x11forwarding: 'no',
  });
  for (const name of ['kexalgorithms', 'hostkeyalgorithms', 'ciphers', 'macs']) {
    const list = server.get(name) ?? '';
    expect(list.split(',').length, name).toBeGreaterThan(1);
    expect(list, name).not.toMatch(/sha1|nistp|ssh-rsa|group14|group1-|cbc|arcfour|md5|umac-64|3des/);
  }
  // Root has the key, and would get in.
  await onHost('install -d -m 0700 /root/.ssh && cp ~admin/.ssh/authorized_keys /root/.ssh/');
  expect(await login('root')).toMatchObject({ exitCode: 255, stderr: expect.stringContaining('Permission') });
  const password = await login(host.user, ['-o', 'PreferredAuthentications=password,keyboard-interactive']);
  expect(password.stderr).toContain('Permission denied (publickey)');
});

test('settings that would lock out are taken back at once, and the message says why', async () => {
  const before = await onHost(`cat ${settings}/*`);
  const refused = await provision({ ssh_server_settings: { NoSuchOption: 1 } });
  expect(refused.exitCode).toBe(2);
  expect(refused.output).toContain('Bad configuration option: NoSuchOption');
  const locking = await provision({ ssh_server_settings: { AllowUsers: 'nobody' } });
  expect(locking.exitCode).toBe(2);
  expect(locking.output).toContain('with the new ones a second connection could not log in');
  expect(await onHost(`cat ${settings}/*`)).toBe(before);
  expect((await sshServer()).has('allowusers')).toBe(false);
  expect(await login()).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await lines(`ls ${trial}; systemctl list-timers --no-legend 'ssh-server*'`)).toEqual([]);
});

test('the host takes settings back by itself when the controller dies before the proof', async () => {
  const before = await onHost(`cat ${settings}/*`);
  const locking = { ssh_server_settings: { AllowUsers: 'nobody' } };
  await provisionUntil('ssh_server : Log in anew', { ...locking, ssh_server_proof_seconds: 10 });
  expect(await login()).toMatchObject({ exitCode: 255 });
  // Not by logging in again and again, or fail2ban would take its part.
  const pending = `ls ${trial}; systemctl list-units --all --plain --no-legend 'ssh-server*'`;
  await expect.poll(() => lines(pending), { timeout: 30_000, interval: 1000 }).toEqual([]);
  expect(await login()).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await onHost(`cat ${settings}/*`)).toBe(before);

  // The host dies as well, long before the time is over.
  await provisionUntil('ssh_server : Log in anew', { ...locking, ssh_server_proof_seconds: 3600 });
  expect(await onHost(`cat ${settings}/*`)).not.toBe(before);
  await host.kill();
  await host.boot();
  expect(await login()).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await onHost(`cat ${settings}/*`)).toBe(before);
  await onHost('systemctl is-system-running --wait');
  const { exitCode, output, changed } = await provision();
  expect(exitCode, output).toBe(0);
  expect(changed, output).toBe(0);
});

test('whoever logs in with a password is told to put a key there first', async () => {
  // As on a rented server before its first provisioning.
  await onHost(
    `rm ${settings}/* && systemctl restart ssh.service && echo ${host.user}:correct-horse | chpasswd`,
  );
  const control = `-o ControlMaster=auto -o ControlPersist=5 -o ControlPath=${place.temporary}/password`;
  const { exitCode, stdout } = await place.run(
    playbook({ ansible_password: 'correct-horse', ansible_ssh_password_mechanism: 'ssh_askpass' }),
    {
      ...playbookOptions,
      env: {
        ...playbookOptions.env,
        ANSIBLE_SSH_ARGS: `-F ssh_config -o PreferredAuthentications=password ${control}`,
      },
    },
  );
  expect(exitCode).toBe(2);
  expect(stdout.replace(/\s+/g, ' ')).toContain(
    'with a password, and its SSH server is about to accept keys only',
  );
  expect(await lines(`ls ${settings}/* ${trial}`)).toEqual([]);
});

test('whoever provisions as root keeps the login by key', async () => {
  const asRoot = await provision({ ansible_user: 'root' });
  expect(asRoot.exitCode, asRoot.output).toBe(0);
  expect((await sshServer()).get('permitrootlogin')).toBe('without-password');
  expect(await login('root')).toMatchObject({ exitCode: 0 });
  expect(await provision({ ansible_user: 'root' })).toMatchObject({ exitCode: 0, changed: 0 });

  const asAdmin = await provision();
  expect(asAdmin.exitCode, asAdmin.output).toBe(0);
  expect((await sshServer()).get('permitrootlogin')).toBe('no');
});

test('an address that fails again and again is shut out of SSH, and only of that', async () => {
  const neighbour = startNeighbour(host);
  onTestFinished(() => neighbour.close());
  const attempt = () =>
    neighbour.run([
      ...[
        'ssh',
        '-F',
        'none',
        '-o',
        'BatchMode=yes',
        '-o',
        'StrictHostKeyChecking=no',
        '-o',
        'ConnectTimeout=5',
      ],
      ...[
        '-o',
        'UserKnownHostsFile=/dev/null',
        '-o',
        'IdentityFile=/nonexistent',
        '-o',
        'IdentitiesOnly=yes',
      ],
      ...[`root@${host.address}`, 'true'],
    ]);
  for (let round = 0; round < 3; round += 1) {
    const attempts = await Promise.all([1, 2, 3, 4].map(attempt));
    for (const { stderr } of attempts) expect(stderr).toContain('Permission denied (publickey)');
  }
  await expect
    .poll(async () => (await attempt()).stderr, { timeout: 30_000, interval: 1000 })
    .toContain('Connection refused');
  expect(await onHost('fail2ban-client status sshd')).toContain(neighbour.address);
  const page = await neighbour.run([
    'curl',
    '--silent',
    '--head',
    `http://${host.address}/`,
    '-H',
    `Host: ${domain}`,
  ]);
  expect(page.stdout).toContain('301 Moved Permanently');
  expect(await login()).toMatchObject({ exitCode: 0, stderr: '' });
});

test('whoever logs in often is left alone', async () => {
  for (let count = 0; count < 12; count += 1)
    expect(await login()).toMatchObject({ exitCode: 0, stderr: '' });
});

test('the role of the site can use its own database and no other one, and its broker account one virtual host', async () => {
  const connect = (database: string) =>
    onHost(`cd / && runuser -u ${site} -- psql --dbname '${database}' -Atc 'select current_database()' 2>&1`);
  expect(await connect(site)).toBe(site);
  for (const database of ['postgres', 'template1', 'template0']) {
    expect(await connect(database)).toContain('pg_hba.conf rejects connection');
  }
  const allowed = `select datname from pg_database where has_database_privilege('${site}', oid, 'CONNECT') and datallowconn`;
  expect(await onHost(`cd / && runuser -u postgres -- psql -Atc "${allowed}"`)).toBe(site);
  expect(await onHost('rabbitmqctl -q list_users --no-table-headers | cut -f 1')).toBe(site);
  expect(await onHost(`rabbitmqctl -q list_user_permissions --no-table-headers ${site} | cut -f 1`)).toBe(
    site,
  );
  expect(await onHost(`stat -c '%U %a' /run/${site}/memcached.sock`)).toBe(`${site} 700`);
});

test('security updates come by themselves, and the host does not start anew because of one', async () => {
  const configuration = await onHost('apt-config dump');
  for (const line of [
    'APT::Periodic::Update-Package-Lists "1";',
    'APT::Periodic::Unattended-Upgrade "1";',
    'Unattended-Upgrade::Automatic-Reboot "false";',
  ]) {
    expect(configuration).toContain(line);
  }
  expect(await lines('systemctl is-active apt-daily.timer apt-daily-upgrade.timer')).toEqual([
    'active',
    'active',
  ]);
  expect(await onHost('unattended-upgrade --dry-run --verbose 2>&1')).toMatch(
    /Allowed origins are: .*[Ss]ecurity/,
  );
});

test('logs are rotated, the journal has its limits, and the site goes on writing', async () => {
  const size = (path: string) => onHost(`stat -c %s ${path}`);
  expect(await size(`/var/log/${site}/releases.jsonl`)).not.toBe('0');
  const { exitCode, stderr } = await host.rootShell('logrotate --force /etc/logrotate.conf');
  expect(exitCode, stderr).toBe(0);
  expect(await lines(`ls /var/log/${site} /var/log/nginx`)).toEqual(
    expect.arrayContaining(['releases.jsonl.1', `${site}.access.log.1`]),
  );
  await fetchLivePage({ domain, address: host.address, path: '/health/' });
  await expect.poll(() => size(`/var/log/nginx/${site}.access.log`)).not.toBe('0');
  expect(await onHost('systemd-analyze cat-config systemd/journald.conf')).toMatch(/^SystemMaxUse=500M$/m);
  expect(await onHost('cat /proc/sys/net/ipv4/conf/all/send_redirects')).toBe('0');
  expect(await onHost('systemctl --failed --no-legend')).toBe('');
});

test('another operating system is refused by its name, and nothing is changed', async () => {
  await onHost('cp --remove-destination /usr/lib/os-release /etc/os-release');
  onTestFinished(async () => void (await onHost('ln -sf ../usr/lib/os-release /etc/os-release')));
  await onHost(
    `sed -i -e 's/^NAME=.*/NAME="Ubuntu"/' -e 's/^VERSION_ID=.*/VERSION_ID="22.04"/' /etc/os-release`,
  );
  const { exitCode, output, changed } = await provision();
  expect(exitCode).toBe(2);
  expect(changed).toBe(0);
  expect(output.replace(/\s+/g, ' ')).toContain(
    'runs Ubuntu 22.04, which is not supported. Use a host with one of: Debian 12, Debian 13, Ubuntu 24.04, Ubuntu 26.04.',
  );
});
