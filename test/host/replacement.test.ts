import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fetchLivePage } from '../../lib/deploy/live.ts';
import { shellWord } from '../../lib/deploy/release-command.ts';
import { openRehearsal, type Rehearsal, type RehearsalAcme } from '../../lib/rehearsal/rehearsal.ts';
import { type GitHub, startGitHub } from '../support/github/server.ts';
import { giveTo } from '../support/normal-user.ts';
import { git, projectFile } from '../support/scaffold.ts';
import { startTestHost, type TestHost, testSystem } from '../support/test-host.ts';
import { Workplace } from '../support/workplace.ts';

// One site that moves to another host, behind the first one, which has a neighbour: the tests build on each other.

const site = 'shop-production';
const domain = 'shop.example.com';
const neighbour = 'shop-staging';

let session: Rehearsal;
let old: TestHost;
let fresh: TestHost;
let acme: RehearsalAcme;
let github: GitHub;
let place: Workplace;
let token: string;
/** What a logged-in visitor's browser has. */
let cookie: string;
/** The keys of the rows that were written while the site moved. */
let written: string[];

interface Run {
  exitCode: number;
  events: Record<string, unknown>[];
  result: Record<string, unknown>;
  output: string;
}

async function yo(args: string[], cwd = 'shop'): Promise<Run> {
  const { exitCode, stdout, stderr } = await place.yo([...args, '--json'], { cwd, env: { GH_TOKEN: token } });
  const events = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return { exitCode, events, result: events.at(-1) ?? {}, output: `${stdout}\n${stderr}` };
}

async function succeed(args: string[], cwd?: string): Promise<Run> {
  const done = await yo(args, cwd);
  expect(done.exitCode, done.output).toBe(0);
  return done;
}

async function shell(host: TestHost, command: string, input?: string): Promise<string> {
  const { exitCode, stdout, stderr } = await host.rootShell(command, input);
  if (exitCode !== 0) throw new Error(`${command}: ${stdout}${stderr}`);
  return stdout.trim();
}

/** What a program prints that runs with the models of the site. */
const python = (host: TestHost, program: string) =>
  shell(host, `${site}-manage shell --verbosity 0 -c ${shellWord(program)}`);

const visit = (host: TestHost, options: Partial<Parameters<typeof fetchLivePage>[0]> = {}) =>
  fetchLivePage({ domain, address: host.address, ...options });

function forUser(path: string, name: string): string {
  const copy = join(place.user.home, name);
  copyFileSync(path, copy);
  giveTo(place.user, copy);
  return copy;
}

beforeAll(async () => {
  github = await startGitHub();
  token = github.token('classic', 'pro-user');
  session = await openRehearsal();
  old = await startTestHost(session, 'replaced');
  fresh = await startTestHost(session, 'replacing');
  acme = await session.startAcme({
    os: testSystem,
    name: `replacement-acme-${process.pid}`,
    domains: { [domain]: old.address },
  });
  place = new Workplace();
  await place.run(['git', 'config', '--global', 'user.name', 'Ada Example']);
  await place.run(['git', 'config', '--global', 'user.email', 'ada@example.com']);
  await succeed(
    [
      ...['goboot', 'shop', '--yes', '--skip-deploy', `--github-url=${github.url}`, `--domain=${domain}`],
      ...[`--host=${old.address}`, `--user=${old.user}`, `--key-file=${old.keyFileFor(place)}`],
    ],
    '.',
  );
  const inventory = join(place.cwd, 'shop/.ansible/inventory/production/group_vars/all/main.yml');
  writeFileSync(
    inventory,
    readFileSync(inventory, 'utf8')
      .replace(/^acme_directory_url:.*$/m, `acme_directory_url: ${acme.directoryUrl}`)
      .replace(
        /^acme_certificate_authority_file:.*$/m,
        `acme_certificate_authority_file: ${forUser(acme.tlsAuthorityPath, 'acme.pem')}`,
      ),
  );
  await git(place, 'commit', '--quiet', '--all', '--message', 'Use an authority of our own');
  writeFileSync(join(place.cwd, 'shop/.ansible/known_hosts'), `${old.knownHostsLine}\n`);
  await git(place, 'commit', '--quiet', '--all', '--message', 'Know the host');
  await succeed(['goboot:deploy', '--yes']);
  await succeed([
    ...['goboot:host', '--environment=staging', '--domain=staging.shop.example.com', '--yes'],
    '--skip-github',
  ]);
});
afterAll(async () => {
  await session?.close();
  await github?.close();
});

/** Sends rows to the site all the time, until it is told to stop. Returns the keys of those that it said it has taken. */
function write(host: TestHost): () => Promise<string[]> {
  const taken: string[] = [];
  let stopped = false;
  const loop = (async () => {
    while (!stopped) {
      const page = await visit(host, { path: '/admin/login/' }).catch(() => undefined);
      const csrf = /csrftoken=([^;]+)/.exec(String(page?.headers['set-cookie']))?.[1];
      if (page?.status === 200 && csrf) {
        const key = await logIn(host, csrf).catch(() => undefined);
        if (key) taken.push(key);
      } else await sleep(100);
    }
  })();
  return async () => {
    stopped = true;
    await loop;
    return taken;
  };
}

/** Logs in as the administrator, which writes a session into the database; returns its key. */
async function logIn(host: TestHost, csrf: string): Promise<string | undefined> {
  const form = new URLSearchParams({ csrfmiddlewaretoken: csrf, username: 'ada', password: 'correct horse' });
  const { stdout } = await place.run([
    ...['curl', '--silent', '--insecure', '--resolve', `${domain}:443:${host.address}`],
    ...['--output', '/dev/null', '--dump-header', '-', '--max-time', '20'],
    ...['--header', `Cookie: csrftoken=${csrf}`, '--header', `Referer: https://${domain}/admin/login/`],
    ...['--data', form.toString(), `https://${domain}/admin/login/`],
  ]);
  return /^HTTP\/\S+ 302/.test(stdout) ? /sessionid=([^;]+)/.exec(stdout)?.[1] : undefined;
}

/** Everything that is the neighbour's own on the old host: its files, and its processes. */
const neighbourState = () =>
  shell(
    old,
    `find /srv/${neighbour} /etc/${neighbour} /var/backups/${neighbour} /var/www/${neighbour} /usr/local/sbin/${neighbour}-* \
       /etc/systemd/system/${neighbour}-* /etc/nginx/*/${neighbour}* -printf '%p %l %M %u %g %T@ %s\\n' | sort
     systemctl show --property=Id,MainPID,ExecMainStartTimestampMonotonic '${neighbour}-web@*' '${neighbour}-worker@*' ${neighbour}-beat nginx 'postgresql@*' rabbitmq-server | paste -sd ' '
     cat /etc/postgresql/*/main/pg_hba.conf | sed -n '/# BEGIN ${neighbour}/,/# END/p'
     rabbitmqctl --quiet list_permissions --vhost ${neighbour}`,
  );

test('a replacement that is killed when it has closed the old host is ended by --resume, and no row is lost', async () => {
  cookie = await python(
    old,
    [
      'from django.conf import settings',
      'from django.contrib.auth import get_user_model',
      'from django.test import Client',
      'ada = get_user_model().objects.create_superuser("ada", "ada@example.com", "correct horse")',
      'client = Client()',
      'client.force_login(ada)',
      'print(f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}")',
    ].join('\n'),
  );
  await shell(
    old,
    `cd /srv/${site}/media && mkdir -p photos && head -c 3000000 /dev/urandom > photos/cat.jpg && chown -R ${site}: photos`,
  );
  const knownHosts = join(place.user.home, 'both-known-hosts');
  writeFileSync(knownHosts, `${old.knownHostsLine}\n${fresh.knownHostsLine}\n`);
  giveTo(place.user, knownHosts);
  const words = [
    ...['yo', 'goboot:host', fresh.address, '--replace', '--environment', 'production', '--yes', '--json'],
    ...[`--key-file=${fresh.keyFileFor(place)}`, `--known-hosts-file=${knownHosts}`],
    ...[`--jump-host=${old.address}`, `--jump-user=${old.user}`, `--jump-key-file=${old.keyFileFor(place)}`],
  ];
  const stopWriting = write(old);
  const killed = await place.run(
    [
      'bash',
      '-c',
      `setsid "$@" > ../replace.log 2>&1 & program=$!
       until grep -q '"Prove that it is live","status":"done"\\|"event":"error"' ../replace.log; do sleep 0.1; done
       sleep 0.4
       kill -KILL -- -$program
       cat ../replace.log`,
      'bash',
      ...words,
    ],
    { cwd: 'shop', env: { GH_TOKEN: token } },
  );
  expect(killed.stdout).toContain('Copy the data for the first time');
  expect(killed.stdout).not.toContain('Copy what was written since');

  const pending = await yo(['goboot:host', fresh.address, '--replace', '--yes']);
  expect(pending.exitCode).toBe(2);
  expect(pending.output).toContain('Go on with --resume, or go back with --undo.');
  const { result } = await succeed(['goboot:host', '--resume', '--yes']);
  written = await stopWriting();
  expect(written.length).toBeGreaterThan(5);
  expect(result).toMatchObject({
    status: 'replaced',
    from: old.address,
    to: fresh.address,
    page: { status: 200 },
    closedSeconds: expect.any(Number),
  });
});

test('rows, uploads and sessions are on the new host, and the certificate is trusted there', async () => {
  const count = await python(
    fresh,
    `from django.contrib.sessions.models import Session; print(Session.objects.filter(pk__in=${JSON.stringify(written)}).count())`,
  );
  expect(Number(count)).toBe(written.length);
  const digest = `cd /srv/${site}/media && sha256sum photos/cat.jpg`;
  expect(await shell(fresh, digest)).toBe(await shell(old, digest));
  const authorities = readFileSync(acme.rootCertificatePath, 'utf8');
  const admin = await visit(fresh, { path: '/admin/', headers: { cookie }, authorities });
  expect(admin).toMatchObject({ status: 200, certificate: { trusted: true } });
});

test('the old host answers 503, and nothing can start the site there', async () => {
  expect(await visit(old)).toMatchObject({ status: 503 });
  expect((await old.rootShell(`${site}-release maintenance off`)).stdout).toContain(
    `was handed over to ${fresh.address}`,
  );
  expect(
    await shell(old, `systemctl list-units --plain --no-legend '${site}-web@*' '${site}-worker@*'`),
  ).toBe('');
  expect((await visit(old, { domain: 'staging.shop.example.com' })).status).toBe(200);
});

test('the project, GitHub and the list know both hosts', async () => {
  expect(await git(place, 'status', '--porcelain')).toBe('');
  expect(await git(place, 'log', '--format=%s', '-1')).toContain(
    `Move production from ${old.address} to ${fresh.address}`,
  );
  const changed = await git(place, 'show', '--format=', '--name-only', 'HEAD');
  expect(changed.trim().split('\n')).toEqual([
    '.ansible/known_hosts',
    '.ansible/ssh_config',
    '.yo-rc.json',
    'README.md',
  ]);
  const variables = github.repository('pro-user/shop')?.environments.production?.variables;
  expect(variables).toMatchObject({
    DEPLOY_HOST: fresh.address,
    DEPLOY_JUMP_HOST: old.address,
    DEPLOY_KNOWN_HOSTS: expect.stringContaining(fresh.knownHostsLine),
  });
  const { result } = await succeed(['goboot:host', '--list']);
  expect(result.environments).toMatchObject([
    { environment: 'production', address: fresh.address, jumpHost: old.address, health: 'well' },
    { environment: 'staging', address: old.address, health: 'well' },
    { environment: 'production', address: old.address, movedAway: expect.any(String), roles: ['old'] },
  ]);
});

test('the new host renews the certificate once the name leads to it', async () => {
  await acme.pointDomain(domain, fresh.address);
  const renew = `cat /etc/ssl/certs/ca-certificates.crt /etc/letsencrypt/authorities/*.pem > /run/all.pem
    REQUESTS_CA_BUNDLE=/run/all.pem certbot renew --cert-name ${site} --force-renewal --no-random-sleep-on-renew --non-interactive`;
  expect(await shell(fresh, renew)).toContain('Congratulations');
});

test('a commit comes to the new host through the old one', async () => {
  const file = join(place.cwd, 'shop', 'templates/pages/home.html');
  writeFileSync(file, readFileSync(file, 'utf8').replace('Welcome to', 'Welcome, moved, to'));
  await git(place, 'commit', '--quiet', '--all', '--message', 'Change the page');
  await succeed(['goboot:deploy', '--yes']);
  expect((await visit(fresh)).body).toContain('Welcome, moved, to');
  const logins = await shell(
    fresh,
    'journalctl --quiet --no-pager --unit ssh --grep "Accepted publickey for admin"',
  );
  expect(logins).toContain(`from ${old.address} `);
});

test('a host key that has changed is refused with both fingerprints, and taken over when its own is named', async () => {
  const fingerprint = async () =>
    (await shell(fresh, 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub')).split(' ')[1] as string;
  const known = await fingerprint();
  await shell(
    fresh,
    'cd /etc/ssh && rm ssh_host_ed25519_key* && ssh-keygen -q -t ed25519 -N "" -f ssh_host_ed25519_key && systemctl restart ssh',
  );
  const shown = await fingerprint();
  const refused = await yo(['goboot:deploy', '--yes']);
  expect(refused.exitCode).toBe(3);
  expect(refused.output).toContain(
    `admin@${fresh.address} has shown another host key than the known one: ED25519 ${shown} instead of ED25519 ${known}`,
  );
  expect(refused.output).toContain(`yo goboot:host --accept-host-key ${shown}`);
  const other = await yo(['goboot:host', '--accept-host-key', known]);
  expect(other.exitCode).toBe(1);
  expect(other.output).toContain(shown);

  // The firewall lets in so many new connections within half a minute, and no more.
  await sleep(31_000);
  await succeed(['goboot:host', '--accept-host-key', shown, '--yes']);
  expect(await git(place, 'log', '--format=%s', '-1')).toContain('Take over the changed host key');
  expect(projectFile(place, '.ansible/known_hosts')).not.toContain(fresh.knownHostsLine);
  const variables = github.repository('pro-user/shop')?.environments.production?.variables;
  expect(variables?.DEPLOY_KNOWN_HOSTS).not.toContain(fresh.knownHostsLine);
  await succeed(['goboot:deploy', '--yes']);
});

test('--remove leaves nothing of the site on the old host, and its neighbour as it was', async () => {
  const before = await neighbourState();
  expect(before).toContain(`/srv/${neighbour}/current`);
  // As after a rotation of its password.
  await shell(old, `rabbitmqctl --quiet add_user ${site}.2 password`);
  const unsure = await yo(['goboot:host', '--remove', old.address]);
  expect(unsure.exitCode).toBe(2);
  expect(unsure.output).toContain('--yes');
  await succeed(['goboot:host', '--remove', old.address, '--yes']);
  const traces = `find / -xdev \\( -path /proc -o -path /sys \\) -prune -o -name '*${site}*' -print
    find /run -name '*${site}*'
    grep -rlI '${site}' /etc /home /usr/local /opt /var/lib/systemd /var/www | grep -v '^/etc/[a-z]*-$'
    getent passwd ${site}
    runuser -u postgres -- psql -Atc "select datname from pg_database where datname ~ '${site}'" -c "select rolname from pg_roles where rolname ~ '${site}'"
    rabbitmqctl --quiet list_vhosts | grep -x ${site}
    rabbitmqctl --quiet list_users | grep -F ${site}
    systemctl list-units --all --plain --no-legend '${site}*'; true`;
  expect(await shell(old, traces)).toBe('');
  expect(await neighbourState()).toBe(before);
  expect((await visit(old, { domain: 'staging.shop.example.com' })).status).toBe(200);
  // It is still the way to the new host.
  expect(projectFile(place, '.ansible/known_hosts')).toContain(old.knownHostsLine);
  expect(await git(place, 'status', '--porcelain')).toBe('');
  const again = await yo(['goboot:host', '--remove', old.address, '--yes']);
  expect(again.output).toContain('the environment \\"staging\\" is on it');
});
