import { readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fetchLivePage, type LivePage } from '../../lib/deploy/live.ts';
import { run } from '../../lib/process.ts';
import { openRehearsal, type Rehearsal } from '../../lib/rehearsal/rehearsal.ts';
import { visitInChromium } from '../support/browser.ts';
import { git } from '../support/scaffold.ts';
import { startTestHost, type TestHost } from '../support/test-host.ts';
import { Workplace } from '../support/workplace.ts';

// One site that is closed and opened: the tests build on each other, in this order.

const domain = 'shop.example.com';
const site = 'shop-production';
const message = 'Ada\'s "new" <b>shop</b> $HOME \\ grüßt';

let session: Rehearsal;
let host: TestHost;
let place: Workplace;

/** Whose name stands in the history. */
const userName = () => place.user.account?.name ?? userInfo().username;

interface Run {
  exitCode: number;
  result: Record<string, unknown>;
  output: string;
}

beforeAll(async () => {
  session = await openRehearsal();
  host = await startTestHost(session, 'maintenance');
  place = new Workplace();
  await place.run(['git', 'config', '--global', 'user.name', 'Ada Example']);
  await place.run(['git', 'config', '--global', 'user.email', 'ada@example.com']);
  const live = await yo(
    [
      ...[
        'goboot',
        'shop',
        '--yes',
        '--skip-github',
        `--domain=${domain}`,
        '--author=Ada Example',
        '--email=ada@example.com',
      ],
      ...[`--host=${host.address}`, `--user=${host.user}`, `--key-file=${host.keyFileFor(place)}`],
      `--known-hosts-file=${host.knownHostsFileFor(place)}`,
    ],
    '.',
  );
  expect(live.exitCode, live.output).toBe(0);
});
afterAll(() => session?.close());

async function yo(args: string[], cwd = 'shop'): Promise<Run> {
  const { exitCode, stdout, stderr } = await place.yo([...args, '--json'], { cwd });
  const events = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return { exitCode, result: events.at(-1) ?? {}, output: `${stdout}\n${stderr}` };
}

/** Runs the release command on the host. */
async function release(words: string): Promise<Run> {
  const command = `/usr/local/sbin/${site}-release ${words} --json 2>&1; echo "exit status $?"`;
  const { stdout } = await host.rootShell(command);
  const lines = stdout.trim().split('\n');
  const result = JSON.parse(lines.findLast((line) => line.startsWith('{')) ?? '{}');
  return { exitCode: Number(lines.at(-1)?.match(/\d+$/)?.[0]), result, output: stdout };
}

const visit = (path = '/'): Promise<LivePage> => fetchLivePage({ domain, address: host.address, path });

/** What the host itself gets, which is always let in. */
async function statusOnHost(): Promise<string> {
  const question = `
import http.client, socket, ssl
connection = http.client.HTTPConnection('127.0.0.1')
context = ssl._create_unverified_context()
connection.sock = context.wrap_socket(socket.create_connection(('127.0.0.1', 443)), server_hostname='${domain}')
connection.request('GET', '/', headers={'Host': '${domain}'})
print(connection.getresponse().status)`;
  return (await host.rootShell('python3 -', question)).stdout.trim();
}

async function expectClosed(): Promise<void> {
  const page = await visit();
  expect(page.status).toBe(503);
  expect(page.body).toContain('Closed for maintenance');
}

test('a closed site answers every request with 503, its page, and when to come back', async () => {
  const { exitCode, result, output } = await yo([
    'goboot:maintenance',
    'on',
    '--retry-after=300',
    `--message=${message}`,
  ]);
  expect(exitCode, output).toBe(0);
  expect(result).toMatchObject({
    status: 'on',
    maintenance: { on: true, allow: [], retry_after: 300, message },
    page: { status: 503, retryAfter: '300' },
  });
  for (const path of [
    '/',
    '/admin/',
    '/health/',
    '/health/deep/',
    '/static/site.css',
    '//maintenance.html',
  ]) {
    const page = await visit(path);
    expect({ path, status: page.status }).toEqual({ path, status: 503 });
    expect(page.headers).toMatchObject({
      'retry-after': '300',
      'cache-control': 'no-store',
      'strict-transport-security': expect.stringContaining('max-age'),
    });
    expect(page.body).toContain('&lt;b&gt;shop&lt;/b&gt; $HOME \\ grüßt');
    expect(page.body).not.toContain('<b>shop');
  }
  const curl = (...words: string[]) =>
    run('curl', ['-sk', '--resolve', `${domain}:443:${host.address}`, ...words]);
  const url = `https://${domain}/`;
  for (const method of ['POST', 'PUT', 'DELETE']) {
    const { stdout } = await curl(
      '-X',
      method,
      '--data',
      'x=1',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      url,
    );
    expect(stdout, method).toBe('503');
  }
  const upload = join(place.temporary, 'upload');
  writeFileSync(upload, Buffer.alloc(30 * 1024 * 1024));
  const large = await curl('--data-binary', `@${upload}`, '-o', '/dev/null', '-w', '%{http_code}', url);
  expect(large.stdout).toBe('503');
  const json = await curl('-H', 'Accept: application/json', url);
  expect(JSON.parse(json.stdout)).toEqual({ error: 'maintenance', retry_after: 300 });
});

test('the certificate authority still gets its answers on port 80', async () => {
  const directory = `/var/www/${site}/.well-known/acme-challenge`;
  await host.rootShell(`mkdir -p ${directory} && echo token-of-the-authority > ${directory}/token`);
  const { stdout } = await run('curl', [
    ...['-s', '--resolve', `${domain}:80:${host.address}`],
    `http://${domain}/.well-known/acme-challenge/token`,
  ]);
  expect(stdout.trim()).toBe('token-of-the-authority');
});

test('the page is as it is meant, at every width and in the dark', async () => {
  for (const width of [390, 1280]) {
    for (const colorScheme of ['light', 'dark'] as const) {
      const screenshot = join(place.temporary, `maintenance-${width}-${colorScheme}.png`);
      const seen = await visitInChromium({ domain, address: host.address, width, colorScheme, screenshot });
      expect(seen).toMatchObject({
        status: 503,
        title: `${domain} is being maintained`,
        heading: 'Closed for maintenance',
        // Chromium says so of every page with this status.
        problems: ['Failed to load resource: the server responded with a status of 503 ()'],
        externalRequests: [],
        overflows: false,
      });
    }
  }
});

test('status tells of it, on the host and to the deploy account, and the history names who did it', async () => {
  expect((await release('status')).result).toMatchObject({
    healthy: true,
    maintenance: { on: true, message, by: userName() },
  });
  const asked = `--ssh-command "maintenance status --json"`;
  const { stdout } = await host.rootShell(`/usr/local/sbin/${site}-release ${asked}`);
  expect(JSON.parse(stdout)).toMatchObject({ event: 'maintenance', on: true, retry_after: 300 });
  const history = (await host.rootShell(`tail -n 1 /var/log/${site}/releases.jsonl`)).stdout;
  expect(JSON.parse(history)).toMatchObject({
    operation: 'maintenance on',
    status: 'on',
    by: userName(),
  });
});

test('a deploy works meanwhile, proves the release from the host, and leaves the site closed', async () => {
  const home = join(place.cwd, 'shop/templates/pages/home.html');
  writeFileSync(home, `${readFileSync(home, 'utf8')}{# changed #}\n`);
  await git(place, 'commit', '--quiet', '--all', '--message', 'Change the home page');
  const commit = (await git(place, 'rev-parse', '--short=8', 'HEAD')).trim();
  // Provisioning, too, leaves it as it is.
  const { exitCode, result, output } = await yo(['goboot:deploy', '--provision', '--yes']);
  expect(exitCode, output).toBe(0);
  expect(output).toMatch(/"name":"Provision the host","status":"done".*, 0 changed"/);
  expect(result).toMatchObject({
    release: expect.stringContaining(commit),
    page: { status: 503 },
    maintenance: { on: true, message },
  });
  await expectClosed();
});

test('the page needs nothing but nginx, and is there again after a reboot', async () => {
  await host.rootShell(`systemctl stop '${site}-*' postgresql.service rabbitmq-server.service`);
  await expectClosed();
  expect(await statusOnHost()).toBe('503');
  await host.reboot();
  await host.rootShell('systemctl is-system-running --wait');
  await expectClosed();
  expect(await statusOnHost()).toBe('200');
});

test('who is let in sees the site; asked again, the list is another one', async () => {
  const mine = await yo(['goboot:maintenance', 'on', '--allow', 'me', '--allow', '2001:db8::/32']);
  expect(mine.exitCode, mine.output).toBe(0);
  expect(mine.result).toMatchObject({
    maintenance: { allow: [expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/), '2001:db8::/32'], message: '' },
    page: { status: 200 },
  });
  const network = host.address.replace(/\d+$/, '0/24');
  const wider = await release(`maintenance on --allow ${network} --allow ::ffff:203.0.113.7`);
  expect(wider.result).toMatchObject({
    message: expect.stringContaining(`own address, ${host.address}, is let in`),
    maintenance: { allow: [network, '203.0.113.7'] },
  });
  expect((await visit()).status).toBe(200);
  const other = await release('maintenance on --allow 203.0.113.7');
  expect(other.result.message).toContain(`${host.address} gets 503`);
  await expectClosed();
});

test('what nginx would not take changes nothing', async () => {
  const file = `/etc/${site}/maintenance.conf`;
  const before = (await host.rootShell(`cat ${file}`)).stdout;
  await host.rootShell('echo nonsense > /etc/nginx/conf.d/broken.conf');
  const refused = await release('maintenance off');
  expect(refused.exitCode).toBe(1);
  expect(refused.result.message).toMatch(
    /nginx refuses its configuration as it is, so nothing was changed: .*broken\.conf.*maintenance stays on/,
  );
  await host.rootShell('rm /etc/nginx/conf.d/broken.conf');
  expect((await host.rootShell(`cat ${file}`)).stdout).toBe(before);

  await host.rootShell('systemctl stop nginx');
  const stopped = await release('maintenance off');
  expect(stopped.result.message).toContain('nginx does not run, so nothing was changed');
  await host.rootShell('systemctl start nginx');
  expect((await host.rootShell(`cat ${file}`)).stdout).toBe(before);

  const hostBits = await yo(['goboot:maintenance', 'on', '--allow', '10.0.0.5/8']);
  expect(hostBits).toMatchObject({
    exitCode: 2,
    result: { message: expect.stringContaining("'10.0.0.5/8' names an address inside of a network") },
  });
  await expectClosed();
});

test('an opened site is the site again', async () => {
  const { exitCode, result, output } = await yo(['goboot:maintenance', 'off']);
  expect(exitCode, output).toBe(0);
  expect(result).toMatchObject({ status: 'off', page: { status: 200 }, maintenance: { on: false } });
  expect((await visit('/health/')).status).toBe(200);
  expect((await yo(['goboot:maintenance', 'status'])).result).toMatchObject({ status: 'off' });
});

test('a site that is not well is opened all the same, and that is said', async () => {
  await release('maintenance on');
  await host.rootShell(`systemctl stop '${site}-web@*'`);
  const { exitCode, result } = await release('maintenance off');
  expect(exitCode).toBe(1);
  expect(result.message).toMatch(/^maintenance is off, but visitors do not get the site: .*503/);
  expect(result.maintenance).toMatchObject({ on: false });
});
