import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fetchLivePage } from '../../lib/deploy/live.ts';
import { packageRoot } from '../../lib/paths.ts';
import { run } from '../../lib/process.ts';
import { openRehearsal, type Rehearsal, type RehearsalAcme } from '../../lib/rehearsal/rehearsal.ts';
import { type GitHub, startGitHub } from '../support/github/server.ts';
import { giveTo } from '../support/normal-user.ts';
import { git, projectFile, vaultVariables } from '../support/scaffold.ts';
import { startTestHost, type TestHost, testSystem } from '../support/test-host.ts';
import { Workplace } from '../support/workplace.ts';

// Three sites of two projects on one host: the tests build on each other, in this order.

const production = { site: 'shop-production', domain: 'shop.example.com' };
const staging = { site: 'shop-staging', domain: 'staging.shop.example.com' };
const blog = { site: 'blog-production', domain: 'blog.example.com' };
const sites = [production, staging, blog].map(({ site }) => site);

let session: Rehearsal;
let host: TestHost;
let place: Workplace;
let github: GitHub;
let token: string;

interface Run {
  exitCode: number;
  events: Record<string, unknown>[];
  result: Record<string, unknown>;
  output: string;
}

async function yo(args: string[], cwd = 'shop'): Promise<Run> {
  const { exitCode, stdout, stderr } = await place.yo([...args, '--json'], {
    cwd,
    env: { GH_TOKEN: token },
  });
  const events = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return { exitCode, events, result: events.at(-1) ?? {}, output: `${stdout}\n${stderr}` };
}

const onHost = async (command: string, input?: string) =>
  (await host.rootShell(command, input)).stdout.trim();

/** Everything that is a site's own on the host: its files with their owners, modes and times, and its processes. */
async function stateOf(...names: string[]): Promise<string> {
  const trees = ['/srv/$s', '/etc/$s', '/usr/local/lib/$s', '/var/backups/$s', '/var/log/$s', '/var/www/$s'];
  const files = ['/usr/local/sbin/$s-*', '/etc/systemd/system/$s-*', '/etc/nginx/*/$s*', '/etc/*.d/$s*'];
  return onHost(`for s in ${names.join(' ')}; do
    find ${[...trees, ...files].join(' ')} -printf '%p %l %M %u %g %T@ %s\\n' | sort
    systemctl show --property=Id,MainPID,ExecMainStartTimestampMonotonic "$s-web@*" "$s-worker@*" "$s-beat" "$s-memcached" | paste -sd ' '
  done
  systemctl show --property=Id,MainPID,ExecMainStartTimestampMonotonic nginx 'postgresql@*' rabbitmq-server postfix`);
}

/** Runs what must leave these sites as they are. */
async function leavingAlone(names: string[], action: () => Promise<Run>): Promise<Run> {
  const before = await stateOf(...names);
  expect(before).toContain(`/etc/${names[0]}/environment`);
  const result = await action();
  expect(result.exitCode, result.output).toBe(0);
  expect(await stateOf(...names)).toBe(before);
  return result;
}

/** The flags that lead to the host. */
function target(): string[] {
  return [
    ...[`--host=${host.address}`, `--user=${host.user}`, `--key-file=${host.keyFileFor(place)}`],
    `--known-hosts-file=${host.knownHostsFileFor(place)}`,
  ];
}

/** What GitHub holds for an environment. */
function onGitHub(name: string): { secrets: Record<string, string>; variables: Record<string, string> } {
  const environment = github.repository('pro-user/shop')?.environments[name];
  if (!environment) throw new Error(`There is no environment ${name} on GitHub`);
  return environment;
}

const deployKey = (name: string): string => onGitHub(name).secrets.DEPLOY_SSH_KEY ?? '';

const visit = (domain: string, path = '/', headers: Record<string, string> = {}) =>
  fetchLivePage({ domain, path, address: host.address, headers });

beforeAll(async () => {
  github = await startGitHub();
  token = github.token('classic', 'pro-user');
  session = await openRehearsal();
  host = await startTestHost(session, 'sites');
  place = new Workplace();
  await place.run(['git', 'config', '--global', 'user.name', 'Ada Example']);
  await place.run(['git', 'config', '--global', 'user.email', 'ada@example.com']);
  const live = await yo(
    ['goboot', 'shop', '--yes', `--github-url=${github.url}`, `--domain=${production.domain}`, ...target()],
    '.',
  );
  expect(live.exitCode, live.output).toBe(0);
});
afterAll(async () => {
  await session?.close();
  await github?.close();
});

test('yo goboot:host brings a staging environment to the host of production, which does not notice', async () => {
  const { result } = await leavingAlone([production.site], () =>
    yo([
      ...['goboot:host', '--environment=staging', `--domain=${staging.domain}`],
      ...['--basic-auth=friends', '--yes'],
    ]),
  );
  expect(result).toMatchObject({
    status: 'live',
    environment: 'staging',
    url: `https://${staging.domain}/`,
    page: { status: 200 },
    services: { database: { ok: true }, cache: { ok: true }, tasks: { ok: true } },
  });
  expect(await git(place, 'status', '--porcelain')).toBe('');
  expect(onGitHub('staging').variables.DEPLOY_HOST).toBe(host.address);
  expect(deployKey('staging')).not.toBe(deployKey('production'));
});

test('a second project comes to the same host, and the first does not notice', async () => {
  await leavingAlone([production.site, staging.site], () =>
    yo(['goboot', 'blog', '--yes', '--skip-github', `--domain=${blog.domain}`, ...target()], '.'),
  );
});

test('a new commit goes to one environment, and a second provisioning changes nothing', async () => {
  const file = join(place.cwd, 'shop', 'templates/pages/home.html');
  writeFileSync(file, `${readFileSync(file, 'utf8')}{# changed #}\n`);
  await git(place, 'commit', '--quiet', '--all', '--message', 'Change the page');
  const { events } = await leavingAlone([production.site, blog.site], () =>
    yo(['goboot:deploy', '--environment', 'staging', '--provision', '--yes']),
  );
  const detail = events.find(({ event, name }) => event === 'step' && name === 'Provision the host')?.detail;
  expect(detail).toMatch(/, 0 changed$/);
});

test('all environments are listed, and a host that does not answer is one line among them', async () => {
  const settings = join(place.cwd, 'shop', '.yo-rc.json');
  const before = readFileSync(settings, 'utf8');
  const stored = JSON.parse(before);
  const { environments } = stored['generator-goboot'];
  environments.old = { ...environments.staging, domain: 'old.example.com', host: '127.0.0.1', port: 9 };
  writeFileSync(settings, JSON.stringify(stored));
  const { exitCode, result, output } = await yo(['goboot:host', '--list']);
  const { stdout } = await place.yo(['goboot:host', '--list'], { cwd: 'shop' });
  writeFileSync(settings, before);
  expect(exitCode, output).toBe(0);
  const live = {
    address: host.address,
    roles: ['web', 'worker', 'beat', 'database', 'broker', 'cache'],
    release: expect.stringMatching(/^\d{8}T\d{6}Z-[0-9a-f]{8}$/),
    certificateDays: expect.any(Number),
    lastBackup: null,
    health: 'well',
    maintenance: false,
  };
  expect(result.environments).toMatchObject([
    { environment: 'production', site: production.site, domain: production.domain, ...live },
    { environment: 'staging', site: staging.site, domain: staging.domain, ...live },
    { environment: 'old', health: 'unknown', problem: expect.stringContaining('refused the connection') },
  ]);
  expect(stdout).toMatch(/^production .* none .* well: no backup has been made yet$/m);
  expect(stdout).toMatch(/^old .* unknown: .*127\.0\.0\.1:9 refused the connection/m);
});

describe('visitors', () => {
  test('get the site whose name they ask for', async () => {
    expect((await visit(production.domain)).body).toContain('Shop');
    expect((await visit(blog.domain)).body).toContain('Blog');
  });

  test('have to know the password of staging, which search engines are asked to leave out', async () => {
    const { vault_basic_auth_password: password } = await vaultVariables(place, 'staging');
    const authorization = `Basic ${Buffer.from(`friends:${password}`).toString('base64')}`;
    const page = await visit(staging.domain, '/', { authorization });
    expect(page).toMatchObject({ status: 200, headers: { 'x-robots-tag': 'noindex, nofollow' } });
    for (const path of ['/', '/admin/', '/static/site.css']) {
      expect(await visit(staging.domain, path), path).toMatchObject({
        status: 401,
        headers: { 'x-robots-tag': 'noindex, nofollow' },
      });
    }
    expect((await visit(staging.domain, '/health/')).status).toBe(200);
    expect((await visit(production.domain)).headers).not.toHaveProperty('x-robots-tag');
    expect(await onHost('cat /etc/nginx/passwords/shop-staging')).not.toContain(password);
  });

  test('who ask for a name that no site has get no site', async () => {
    const ask = async (...words: string[]) => {
      const { exitCode, stdout } = await run('curl', [
        ...['--silent', '--insecure', '--output', '/dev/null', '--write-out', '%{http_code}'],
        ...words,
      ]);
      return { exitCode, status: stdout };
    };
    const nothing = { exitCode: 52, status: '000' };
    expect(await ask(`http://${host.address}/`)).toEqual(nothing);
    expect(await ask('--header', 'Host: other.example.com', `http://${host.address}/`)).toEqual(nothing);
    // 35: the handshake failed.
    expect(await ask(`https://${host.address}/`)).toMatchObject({ exitCode: 35 });
    const resolve = (name: string) => ['--resolve', `${name}:443:${host.address}`, `https://${name}/`];
    expect(await ask(...resolve('other.example.com'))).toMatchObject({ exitCode: 35 });
    for (const version of ['--http1.1', '--http2']) {
      const misdirected = [version, '--header', 'Host: other.example.com', ...resolve(production.domain)];
      expect(await ask(...misdirected), version).toEqual({ exitCode: 0, status: '421' });
    }
  });
});

describe('www. before a domain', () => {
  let acme: RehearsalAcme;

  /** Changes variables of an inventory, and provisions. */
  async function provision(project: string, values: Record<string, string>): Promise<Run> {
    const file = join(place.cwd, project, '.ansible/inventory/production/group_vars/all/main.yml');
    const text = Object.entries(values).reduce(
      (before, [name, value]) => before.replace(new RegExp(`^${name}:.*$`, 'm'), () => `${name}: "${value}"`),
      readFileSync(file, 'utf8'),
    );
    writeFileSync(file, text);
    await place.run(['git', 'commit', '--quiet', '--all', '--message', 'Change variables'], { cwd: project });
    const result = await yo(['goboot:deploy', '--provision', '--yes'], project);
    expect(result.exitCode, result.output).toBe(0);
    return result;
  }

  const authority = (): Record<string, string> => {
    const file = join(place.user.home, 'acme.pem');
    copyFileSync(acme.tlsAuthorityPath, file);
    giveTo(place.user, file);
    return { acme_directory_url: acme.directoryUrl, acme_certificate_authority_file: file };
  };
  /** What the host takes the DNS for. */
  const resolve = (name: string, address: string) => onHost(`echo '${address} ${name}' >> /etc/hosts`);

  test('leads to the domain, with a certificate of its own', async () => {
    acme = await session.startAcme({
      os: testSystem,
      name: `sites-acme-${process.pid}`,
      domains: { [production.domain]: host.address, [`www.${production.domain}`]: host.address },
    });
    await resolve(`www.${production.domain}`, host.address);
    const { result, events } = await provision('shop', authority());
    expect(result.certificate).toMatchObject({ selfSigned: false });
    expect(events.filter(({ event }) => event === 'warning')).toEqual([]);
    const authorities = readFileSync(acme.rootCertificatePath, 'utf8');
    const page = await fetchLivePage({
      ...{ domain: `www.${production.domain}`, path: '/a?b=c', address: host.address, authorities },
    });
    expect(page).toMatchObject({
      status: 301,
      headers: { location: `https://${production.domain}/a?b=c` },
      certificate: { trusted: true },
    });
    const again = await yo(['goboot:deploy', '--provision', '--yes']);
    const detail = again.events.find(({ event, name }) => event === 'step' && name === 'Provision the host');
    expect(detail?.detail).toMatch(/, 0 changed$/);
  });

  test('that the authority finds elsewhere does not keep the domain from its certificate', async () => {
    await acme.pointDomain(blog.domain, host.address);
    await resolve(`www.${blog.domain}`, host.address);
    await acme.pointDomain(`www.${blog.domain}`, '192.0.2.1');
    const { result, events } = await provision('blog', authority());
    expect(result.certificate).toMatchObject({ selfSigned: false });
    expect(events.filter(({ event }) => event === 'warning').map(({ message }) => message)).toEqual([
      expect.stringContaining(`www.${blog.domain} has no certificate`),
    ]);
  });

  test('whose record leads elsewhere is not even asked for', async () => {
    await onHost(`sed -i 's/.* www.${blog.domain}$/192.0.2.1 www.${blog.domain}/' /etc/hosts`);
    const log = () => onHost('ls /var/log/letsencrypt | wc -l');
    const before = await log();
    const { events } = await provision('blog', {});
    expect(await log()).toBe(before);
    expect(events.filter(({ event }) => event === 'warning').map(({ message }) => message)).toEqual([
      expect.stringContaining('do not lead to this host'),
    ]);
  });

  test('that is not wanted any more is refused like every unknown name', async () => {
    await provision('shop', { www: 'none' });
    await expect(visit(`www.${production.domain}`)).rejects.toThrow(/does not answer/);
    expect((await visit(production.domain)).status).toBe(200);
  });
});

describe('the code of a site', () => {
  const probe = readFileSync(join(packageRoot, 'test/support/what-a-site-sees.py'), 'utf8');

  /** What the code of one site can do with what belongs to a site. */
  async function reach(from: string, to: string): Promise<string[]> {
    const web = await onHost(
      `cat > /srv/${to}/media/private.txt; chown ${to}:www-data /srv/${to}/media/private.txt; chmod 640 /srv/${to}/media/private.txt; systemctl show --property=MainPID --value '${to}-web@*' | grep -m 1 '[1-9]'`,
      'private',
    );
    const program = probe.replace('= OTHER', `= (${JSON.stringify(to)}, ${web})`);
    const output = await onHost(`cd / && ${from}-manage shell --verbosity 0 --command "$(cat)"`, program);
    return JSON.parse(output.split('\n').at(-1) ?? '');
  }

  test('reaches its own files, services and processes', async () => {
    expect(await reach(staging.site, staging.site)).toEqual([
      ...[
        'settings',
        'code',
        'uploads',
        'sockets',
        'web server',
        'cache',
        'database',
        'database as its owner',
      ],
      ...['message broker', 'signal', 'change'],
    ]);
  });

  test.each([
    [staging.site, production.site],
    [production.site, staging.site],
    [blog.site, production.site],
  ])('of %s reaches nothing of %s', async (from, to) => {
    expect(await reach(from, to)).toEqual([]);
  });

  test('finds nothing of others to read outside of its sandbox either', async () => {
    const readable = await onHost(
      `runuser -u ${staging.site} -- find /etc /srv /run /var/log /var/backups /var/lib /var/cache /home -xdev -type f -readable -path '*${production.site}*' 2>/dev/null || true`,
    );
    const known = [
      ...[`/srv/${production.site}/static/`, '/etc/systemd/system/', '/etc/tmpfiles.d/', '/etc/nginx/sites-'],
      ...['/etc/logrotate.d/', '/var/lib/systemd/timers/'],
      // Without the keys.
      ...['/etc/letsencrypt/renewal/', '/etc/letsencrypt/authorities/'],
    ];
    const others = readable
      .split('\n')
      .filter((path) => path && !known.some((begin) => path.startsWith(begin)));
    expect(others).toEqual([]);
  });
});

test('the deploy key of one site releases that site and no other', async () => {
  const login = (environment: string, file: string) => {
    const key = join(place.user.home, file);
    writeFileSync(key, deployKey(environment), { mode: 0o600 });
    giveTo(place.user, key);
    return [
      ...['ssh', '-F', 'none', '-i', key, '-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes'],
      ...['-o', `UserKnownHostsFile=${host.knownHostsFileFor(place)}`, `deploy@${host.address}`],
    ];
  };
  for (const { site } of [production, staging]) {
    const ssh = login(site.replace('shop-', ''), `${site}-key`);
    const { stdout } = await place.run([...ssh, 'status --json']);
    const live = await onHost(`basename "$(readlink /srv/${site}/current)"`);
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ release: live });
    const elsewhere = await place.run([
      ...[...ssh, '--', '--config /etc/blog-production/release.json status'],
    ]);
    expect(elsewhere.exitCode).toBe(2);
    const other = await place.run([...ssh, 'sudo -n /usr/local/sbin/blog-production-release status']);
    expect(other.exitCode).toBe(2);
  }
});

describe('manage.py', () => {
  test('runs on the host from any directory, as the site, with its settings', async () => {
    const program =
      'import os, pwd; from django.conf import settings; print(settings.ALLOWED_HOSTS, pwd.getpwuid(os.getuid()).pw_name)';
    const { stdout } = await host.rootShell(
      `cd /var/tmp && ${staging.site}-manage shell --verbosity 0 --command '${program}'`,
    );
    expect(stdout.trim()).toBe(`['${staging.domain}'] ${staging.site}`);
    expect(await onHost(`echo 'print(6 * 7)' | ${staging.site}-manage shell --verbosity 0`)).toBe('42');
  });

  test('runs from the laptop, whose output and exit status are those of the command', async () => {
    const say = 'import sys; print("to stdout"); print("to stderr", file=sys.stderr); sys.exit(7)';
    const shell = ['shell', '--verbosity', '0', '--command', say];
    const { exitCode, stdout, stderr } = await place.yo(
      ['goboot:manage', '--environment', 'staging', '--', ...shell],
      { cwd: 'shop' },
    );
    expect({ exitCode, stdout }).toEqual({ exitCode: 7, stdout: 'to stdout' });
    expect(stderr).toContain('to stderr');
    const forPrograms = await place.yo(
      ['goboot:manage', '--environment', 'staging', '--json', '--', ...shell],
      { cwd: 'shop' },
    );
    const events = forPrograms.stdout.split('\n').map((line) => JSON.parse(line));
    expect(forPrograms.exitCode).toBe(7);
    expect(events).toContainEqual({ event: 'info', message: 'to stdout' });
    expect(events.at(-1)).toMatchObject({ event: 'result', status: 'ended', exitCode: 7 });
  });

  test('asks its questions at the terminal', async () => {
    const terminal = await place.terminal(
      ['goboot:manage', '--', 'createsuperuser', '--username', 'ada', '--email', 'ada@example.com'],
      { cwd: 'shop' },
    );
    await terminal.waitFor('Password:');
    await terminal.type('correct horse battery');
    await terminal.press('Enter');
    await terminal.waitFor('Password (again):');
    await terminal.type('correct horse battery');
    await terminal.press('Enter');
    const { status, screen } = await terminal.waitForExit();
    expect(screen).toContain('Superuser created successfully');
    expect(screen).not.toContain('correct horse');
    expect(status).toBe(0);
    const users = (site: string) =>
      onHost(`cd / && runuser -u postgres -- psql -At -d ${site} -c 'select username from accounts_user'`);
    expect(await users(production.site)).toBe('ada');
    expect(await users(staging.site)).toBe('');
  });
});

test('a site of that name, or with that domain, is refused before anything is changed', async () => {
  await place.run(['mkdir', 'elsewhere']);
  const clash = await yo([
    'goboot:host',
    '--environment=qa',
    `--domain=${blog.domain}`,
    '--skip-github',
    '--yes',
  ]);
  expect(clash.exitCode, clash.output).toBe(3);
  expect(clash.output).toContain(`nginx has another site for ${blog.domain}`);
  const taken = await yo(
    ['goboot', 'blog', '--yes', '--skip-github', '--domain=other.example.com', ...target()],
    'elsewhere',
  );
  expect(taken.exitCode, taken.output).toBe(3);
  expect(taken.output).toContain(`the host has a site ${blog.site} already, for ${blog.domain}`);
  expect(projectFile(place, '.yo-rc.json')).not.toContain('"qa"');
  expect(await git(place, 'status', '--porcelain')).toBe('');
  for (const site of sites) expect(await onHost(`test -d /srv/${site} && echo there`)).toBe('there');
});
