import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shellWord } from '../../lib/deploy/release-command.ts';
import { run } from '../../lib/process.ts';
import { openRehearsal, type Rehearsal } from '../../lib/rehearsal/rehearsal.ts';
import { changeVault, openVault, type VaultContents } from '../../lib/vault.ts';
import { sampleCommandLines } from '../support/command-lines.ts';
import { type LoadResult, openLoad } from '../support/load.ts';
import { wordsAs } from '../support/normal-user.ts';
import { ProbeSite, readKept, type YoRun } from '../support/probe-site.ts';
import { startTestHost, type TestHost } from '../support/test-host.ts';
import { Workplace } from '../support/workplace.ts';

// One site whose secrets are changed while it is visited: the tests build on each other, in this order.

const environment = 'production';
const stripeKey = 'sk_live_{{ 6 * 7 }} "quoted" \\ $HOME `id`';
const certificate = '-----BEGIN CERTIFICATE-----\nMIIB{{ x }}\n\n-----END CERTIFICATE-----';

let session: Rehearsal;
let host: TestHost;
let place: Workplace;
let site: ProbeSite;
/** What a logged-in administrator's browser has. */
let cookie: string;
/** Signed before anything was rotated, as a link to set a password is. */
let signed: string;
/** Every value that a secret has had, and the variable of the vault that it was in. */
const values = new Map<string, string>();
let stopSampling: () => Promise<Set<string>>;
let outputs = '';

beforeAll(async () => {
  session = await openRehearsal();
  host = await startTestHost(session, 'secrets');
  place = new Workplace();
  site = new ProbeSite(place);
  await site.scaffold({
    address: host.address,
    port: host.port,
    user: host.user,
    keyFile: host.keyFileFor(place),
    knownHostsFile: host.knownHostsFileFor(place),
  });
  const { exitCode, output } = await site.deploy();
  expect(exitCode, output).toBe(0);
  site.yields = true;
  cookie = await inDjango(
    [
      'from django.contrib.auth import get_user_model',
      'from django.test import Client',
      'user = get_user_model().objects.create_superuser("ada", "ada@example.com", "correct horse")',
      'client = Client()',
      'client.force_login(user)',
      'print(client.cookies["__Host-sessionid"].value)',
    ].join('\n'),
  );
  signed = await inDjango('from django.core import signing; print(signing.dumps("a link"))');
  await remember();
  stopSampling = sampleCommandLines();
});
afterAll(() => session?.close());

async function onHost(command: string, input?: string): Promise<string> {
  return (await host.rootShell(command, input)).stdout.trim();
}

/** Runs Python in the site's Django. */
function inDjango(code: string): Promise<string> {
  return onHost(
    `/usr/local/sbin/${site.name}-release manage -- shell --verbosity 0 --command ${shellWord(code)}`,
  );
}

function vault(): Promise<VaultContents> {
  return openVault(site.directory, environment);
}

/** Keeps the values of now for the search at the end. */
async function remember(): Promise<VaultContents> {
  const opened = await vault();
  const texts = (value: unknown): string[] =>
    typeof value === 'object' && value !== null ? Object.values(value).flatMap(texts) : [String(value)];
  for (const [name, value] of Object.entries(opened.variables)) {
    if (/user|until|changed_at/.test(name)) continue;
    for (const text of texts(value)) values.set(text, name);
  }
  return opened;
}

/** Runs `yo goboot:secrets` with something on standard input. */
async function secrets(args: string[], input = ''): Promise<YoRun> {
  const file = join(place.temporary, 'input');
  writeFileSync(file, input);
  const from = Date.now();
  const words = ['sh', '-c', `exec yo goboot:secrets ${args.map(shellWord).join(' ')} --json < ${file}`];
  const { exitCode, stdout, stderr } = await site.run(words);
  writeFileSync(file, '');
  const output = `${stdout}\n${stderr}`;
  outputs += output;
  await remember();
  const events = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  return { exitCode, events, result: events.at(-1) ?? {}, output, from, to: Date.now() };
}

/** Does something to the site under load, and expects that no visitor and no task noticed. */
async function expectUnnoticed(act: () => Promise<YoRun>): Promise<{ load: LoadResult; done: YoRun }> {
  const endLoad = await openLoad({
    domain: site.domain,
    address: host.address,
    perSecond: 40,
    mixture: 'probe',
  });
  await sleep(2000);
  const done = await act().finally(() => sleep(2000));
  const load = await endLoad();
  expect(done.exitCode, done.output).toBe(0);
  expect(load.lost).toEqual([]);
  const kept = await readKept(host, site.name, load);
  expect(kept.wrong).toEqual([]);
  expect(kept.runs).toBeGreaterThan(2);
  console.log(
    `${load.requests} requests, ${kept.runs} tasks, ${load.lost.length} lost; ${done.to - done.from} ms`,
  );
  return { load, done };
}

/** What a browser with the session's cookie gets of a page that only staff may see. */
async function visitAdmin(): Promise<number> {
  const jar = join(place.temporary, 'cookies');
  const { stdout } = await run('curl', [
    ...['-sk', '--resolve', `${site.domain}:443:${host.address}`, '-H', `Cookie: __Host-sessionid=${cookie}`],
    ...['-c', jar, '-o', '/dev/null', '-w', '%{http_code}', `https://${site.domain}/admin/`],
  ]);
  // Django renews the session when it was made with an old key.
  const renewed = readFileSync(jar, 'utf8').match(/__Host-sessionid\s+(\S+)/);
  if (renewed?.[1]) cookie = renewed[1];
  return Number(stdout);
}

const readsWhatWasSigned = async (): Promise<boolean> =>
  (await inDjango(
    `from django.core import signing\ntry:\n  print(signing.loads(${JSON.stringify(signed)}))\nexcept signing.BadSignature:\n  print("bad")`,
  )) === 'a link';

/** Logs in to RabbitMQ as the site does. */
async function brokerLetsIn(user: string, password: string): Promise<boolean> {
  const program = `
import sys, kombu
user, password = sys.stdin.readline().split()
connection = kombu.Connection(hostname="127.0.0.1", userid=user, password=password, virtual_host="${site.name}")
try:
    connection.connect()
    print("in")
except Exception as error:
    print(type(error).__name__)`;
  const command = `/srv/${site.name}/current/.venv/bin/python -c ${shellWord(program)}`;
  const said = await onHost(command, `${user} ${password}\n`);
  expect(said).toMatch(/^(in|AccessRefused)$/);
  return said === 'in';
}

const backupsOpenWith = async (password: string): Promise<boolean> =>
  (
    await host.rootShell(
      `read -r RESTIC_PASSWORD && export RESTIC_PASSWORD && restic --repo /var/backups/${site.name}/repository --no-lock cat config`,
      `${password}\n`,
    )
  ).exitCode === 0;

/** The variables that the live web server was started with. */
async function runningEnvironment(): Promise<Record<string, string>> {
  const program = `
import json, pathlib, subprocess
live = pathlib.Path("/srv/${site.name}/current").readlink().name
show = ["systemctl", "show", "--property=MainPID", "--value", f"${site.name}-web@{live}"]
process = subprocess.run(show, capture_output=True, text=True).stdout.strip()
pairs = pathlib.Path(f"/proc/{process}/environ").read_text().split("\\0")
print(json.dumps(dict(pair.split("=", 1) for pair in pairs if pair)))`;
  return JSON.parse(await onHost('python3 -', program));
}

/** All secrets, as the table shows them. */
async function table(): Promise<Record<string, { agrees?: boolean; recommendation?: string }>> {
  const { exitCode, result, output } = await secrets([]);
  expect(exitCode, output).toBe(0);
  const rows = result.secrets as { name: string; agrees?: boolean; recommendation?: string }[];
  return Object.fromEntries(rows.map(({ name, ...row }) => [name, row]));
}

test('a secret of the owner’s reaches the running site, whatever is in it, and no request is lost', async () => {
  const { done } = await expectUnnoticed(() => secrets(['--set', 'STRIPE_KEY'], `${stripeKey}\n`));
  expect(done.result).toMatchObject({ status: 'rotated', rotated: ['STRIPE_KEY of production'] });
  expect((await runningEnvironment()).STRIPE_KEY).toBe(stripeKey);

  const { exitCode, output } = await secrets(['--set', 'CERTIFICATE'], certificate);
  expect(exitCode, output).toBe(0);
  expect(await runningEnvironment()).toMatchObject({ STRIPE_KEY: stripeKey, CERTIFICATE: certificate });
  expect(await table()).toMatchObject({ STRIPE_KEY: { agrees: true }, CERTIFICATE: { agrees: true } });

  const removed = await secrets(['--unset', 'CERTIFICATE']);
  expect(removed.exitCode, removed.output).toBe(0);
  expect(await runningEnvironment()).not.toHaveProperty('CERTIFICATE');
});

test('every secret gets another value under load: no request, task or session is lost, and the old values are refused', async () => {
  const old = await vault();
  expect(await visitAdmin()).toBe(200);
  const { done } = await expectUnnoticed(() => secrets(['--rotate', 'all', '--yes']));
  expect(done.result.rotated).toEqual([
    'secret-key of production',
    'broker-password of production',
    'backup-password of production',
    'vault-password',
  ]);
  expect(await visitAdmin()).toBe(200);
  expect(await readsWhatWasSigned()).toBe(true);

  const now = await vault();
  const value = (from: VaultContents, name: string) => from.text(name) as string;
  const [oldBroker, newBroker] = [old, now].map((each) => value(each, 'vault_broker_password'));
  expect(await brokerLetsIn(`${site.name}.2`, newBroker as string)).toBe(true);
  expect(await brokerLetsIn(site.name, oldBroker as string)).toBe(false);
  expect(await brokerLetsIn(`${site.name}.2`, oldBroker as string)).toBe(false);
  expect(await backupsOpenWith(value(now, 'vault_backup_password'))).toBe(true);
  expect(await backupsOpenWith(value(old, 'vault_backup_password'))).toBe(false);
  const backup = await site.yo(['goboot:backups', 'run']);
  expect(backup.exitCode, backup.output).toBe(0);

  for (const [name, { agrees }] of Object.entries(await table()))
    expect({ name, agrees }).toEqual({ name, agrees: true });
  // What changed is on the host: a deploy has nothing to provision.
  const deployed = await site.deploy();
  expect(deployed.events).not.toContainEqual(expect.objectContaining({ name: 'Provision the host' }));
});

test('when the old secret key has had its time it is removed, and only what it has signed ends', async () => {
  expect((await secrets(['--finish'])).result).toMatchObject({ status: 'unchanged' });
  await changeVault(site.directory, environment, (opened) =>
    opened.set('2026-01-01T00:00:00.000Z', 'vault_secret_key_fallbacks_until'),
  );
  await site.run(['git', 'commit', '--quiet', '--all', '--message', 'Let the time pass']);
  expect((await table())['old-secret-keys']?.recommendation).toContain('--finish');
  const { exitCode, output } = await secrets(['--finish']);
  expect(exitCode, output).toBe(0);
  expect(await visitAdmin()).toBe(200);
  expect(await readsWhatWasSigned()).toBe(false);
});

test('a rotation that is killed leaves the site as it was for visitors, and --resume finishes it', async () => {
  const endLoad = await openLoad({
    domain: site.domain,
    address: host.address,
    perSecond: 20,
    mixture: 'probe',
  });
  const { user, environment: variables } = { user: place.user, environment: place.environment() };
  const [program = '', ...words] = wordsAs(user, [
    'yo',
    'goboot:secrets',
    '--rotate=broker-password',
    '--yes',
    '--json',
  ]);
  const child = spawn(program, words, {
    cwd: site.directory,
    env: variables,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  let told = '';
  for await (const part of child.stdout) {
    told += part;
    // The vault has the new user, and Ansible is at work.
    if (told.includes('Make another user with a new password; the old one stays for now","status":"done"'))
      break;
  }
  await sleep(4000);
  process.kill(-(child.pid as number), 'SIGKILL');
  await ended;
  await remember();
  const refused = await secrets(['--rotate=secret-key', '--yes']);
  expect(refused.exitCode).toBe(1);
  expect(refused.result.remedy).toContain('--resume');
  const { exitCode, result, output } = await secrets(['--resume']);
  expect(exitCode, output).toBe(0);
  expect(result.rotated).toEqual(['broker-password of production']);
  const load = await endLoad();
  expect(load.lost).toEqual([]);
  expect((await readKept(host, site.name, load)).wrong).toEqual([]);
  expect(await onHost('rabbitmqctl --quiet list_users | cut -f 1')).toBe(`user\n${site.name}`);
});

test('a value that the site does not start with is taken back, and no visitor notices', async () => {
  const settings = join(site.directory, 'shop/settings/production.py');
  writeFileSync(
    settings,
    `${readFileSync(settings, 'utf8')}\nif not os.environ.get("STRIPE_KEY", "sk_").startswith("sk_"):\n    raise ImproperlyConfigured("STRIPE_KEY is none")\n`,
  );
  await site.run(['git', 'commit', '--quiet', '--all', '--message', 'Check the key']);
  expect((await site.deploy()).exitCode).toBe(0);
  const before = await vault();
  const { exitCode, result, output } = await secrets(['--set', 'STRIPE_KEY'], 'not a key of Stripe');
  expect(exitCode, output).toBe(1);
  expect(output).toContain('STRIPE_KEY is none');
  expect(result.remedy).toContain('Everything is as it was before');
  expect((await vault()).variables).toEqual(before.variables);
  expect((await runningEnvironment()).STRIPE_KEY).toBe(stripeKey);
  expect((await table()).STRIPE_KEY).toMatchObject({ agrees: true });
});

test('no value was ever on a command line, in an output, in a log or in a commit', async () => {
  const commandLines = [...(await stopSampling())].join('\n');
  expect(commandLines).toContain('secrets.yml');
  const logs = join(site.directory, '.ansible/logs');
  const places: Record<string, string> = {
    commandLines,
    outputs,
    logs: readdirSync(logs)
      .map((name) => readFileSync(join(logs, name), 'utf8'))
      .join('\n'),
    journal: readFileSync(join(site.directory, '.goboot/rotations.jsonl'), 'utf8'),
    history: await site.git('log', '--all', '--patch', '--format=%B'),
    systemJournal: await onHost('journalctl --no-pager -o cat'),
    releases: await onHost(`cat /var/log/${site.name}/releases.jsonl`),
  };
  expect(values.size).toBeGreaterThan(8);
  const seen = [...values].flatMap(([value, name]) =>
    Object.entries(places).flatMap(([where, text]) =>
      text
        .split('\n')
        .filter((line) => line.includes(value))
        .map((line) => `${where}: ${line.replaceAll(value, `[${name}]`).slice(0, 300)}`),
    ),
  );
  expect(seen).toEqual([]);
});
