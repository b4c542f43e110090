import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shellWord } from '../../lib/deploy/release-command.ts';
import { run } from '../../lib/process.ts';
import { openRehearsal, type Rehearsal } from '../../lib/rehearsal/rehearsal.ts';
import { encryptVariables } from '../../lib/vault.ts';
import { sampleCommandLines } from '../support/command-lines.ts';
import { giveTo } from '../support/normal-user.ts';
import { type S3Store, startS3Store } from '../support/s3-store.ts';
import { git, projectFile, scaffold, vaultVariables } from '../support/scaffold.ts';
import { startTestHost, type TestHost } from '../support/test-host.ts';
import { Workplace } from '../support/workplace.ts';

// One site that loses its host, and later the disk of the next one: the tests build on each other, in this order.

const domain = 'shop.example.com';
const site = 'shop-production';
const inventory = '.ansible/inventory/production/group_vars/all';
const storeKeys = {
  vault_backup_s3_access_key: 'AKIAEXAMPLEOFAKEY',
  vault_backup_s3_secret_key: 'secret/of+the=store',
};

let session: Rehearsal;
let store: S3Store;
let host: TestHost;
let place: Workplace;
/** The name of the key file in the user's home: that of the first host. */
let keyFile: string;
/** What a logged-in visitor's browser has. */
let cookie: string;
let before: Record<string, string>;

interface Run {
  exitCode: number;
  events: Record<string, unknown>[];
  result: Record<string, unknown>;
  output: string;
}

interface Listed {
  backup: string;
  places: string[];
  rows: number;
  files: number;
}

beforeAll(async () => {
  store = await startS3Store();
  await store.createBucket('backups');
  session = await openRehearsal();
  host = await startTestHost(session, 'backups');
  place = new Workplace();
  keyFile = host.keyFileFor(place);
  await place.run(['git', 'config', '--global', 'user.name', 'Ada Example']);
  await place.run(['git', 'config', '--global', 'user.email', 'ada@example.com']);
  await scaffold(place, {
    args: [
      ...[`--host=${host.address}`, `--key-file=${keyFile}`],
      `--known-hosts-file=${host.knownHostsFileFor(place)}`,
    ],
  });
  await addToVault(storeKeys);
  await setSecondPlace(`s3:http://${await addressOfThisComputer()}:${store.port}/backups/shop`);
});
afterAll(async () => {
  await session?.close();
  store?.close();
});

async function yo(args: string[]): Promise<Run> {
  const { exitCode, stdout, stderr } = await place.yo([...args, '--json'], { cwd: 'shop' });
  const events = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return { exitCode, events, result: events.at(-1) ?? {}, output: `${stdout}\n${stderr}` };
}

async function succeed(args: string[]): Promise<Run> {
  const done = await yo(args);
  expect(done.exitCode, done.output).toBe(0);
  return done;
}

async function onHost(command: string): Promise<string> {
  return (await host.rootShell(command)).stdout.trim();
}

/** The address of this computer as the host sees it. */
async function addressOfThisComputer(): Promise<string> {
  const { stdout } = await run('ip', ['-json', 'route', 'get', host.address]);
  return JSON.parse(stdout)[0].prefsrc;
}

async function addToVault(variables: Record<string, string>): Promise<void> {
  const password = projectFile(place, '.ansible/vault_password').trim();
  const vault = await encryptVariables({ ...(await vaultVariables(place)), ...variables }, password);
  writeFileSync(join(place.cwd, 'shop', inventory, 'vault.yml'), vault);
}

async function setSecondPlace(where: string): Promise<void> {
  const path = join(place.cwd, 'shop', inventory, 'main.yml');
  const text = readFileSync(path, 'utf8').replace(
    /^backups_second_place: .*/m,
    `backups_second_place: ${where}`,
  );
  writeFileSync(path, text);
  await git(place, 'commit', '--quiet', '--all', '--message', `Back up to ${where}`);
}

/** Lets the project name another host, as after a restore of the whole server. */
async function moveTo(next: TestHost): Promise<void> {
  const old = host.address;
  const change = (path: string, edit: (text: string) => string) =>
    writeFileSync(join(place.cwd, 'shop', path), edit(projectFile(place, path)));
  for (const path of ['.yo-rc.json', '.ansible/ssh_config']) {
    change(path, (text) => text.replaceAll(old, next.address));
  }
  change('.ansible/known_hosts', () => `${next.knownHostsLine}\n`);
  copyFileSync(next.keyFile as string, keyFile);
  giveTo(place.user, keyFile);
  host = next;
  await git(place, 'commit', '--quiet', '--all', '--message', 'Move to another host');
}

/** Runs Python in the site's Django. */
async function inDjango(code: string): Promise<string> {
  return onHost(`/usr/local/sbin/${site}-release manage -- shell --verbosity 0 --command ${shellWord(code)}`);
}

/** What there is to lose, but for the notes of the scheduler, which change all the time. */
async function contents(): Promise<Record<string, string>> {
  const dump = `runuser --user postgres -- pg_dump --data-only --inserts '--exclude-table=django_celery_beat*' ${site}`;
  return {
    rows: await onHost(`cd / && ${dump} | grep '^INSERT' | sort | sha256sum`),
    sessions: await onHost(`cd / && ${dump} --table=django_session | grep -c '^INSERT'`),
    files: await onHost(`cd /srv/${site}/media && find . -type f -exec sha256sum {} + | sort`),
    owners: await onHost(`cd /srv/${site}/media && find . -printf '%p %m %u %g\\n' | sort`),
  };
}

/** What a browser with the session's cookie gets of a page that only staff may see. */
async function visitAdmin(): Promise<string> {
  const { stdout } = await run('curl', [
    ...['-sk', '--resolve', `${domain}:443:${host.address}`, '-H', `Cookie: __Host-sessionid=${cookie}`],
    ...['-w', '\n%{http_code}', `https://${domain}/admin/`],
  ]);
  return stdout;
}

async function listed(): Promise<Listed[]> {
  return (await succeed(['goboot:backups'])).result.backups as Listed[];
}

/** Starts a unit as its timer does, waits until what follows it has ended too, and returns how it ended. */
async function startUnit(name: string): Promise<string> {
  await host.rootShell(`systemctl start ${site}-backup@${name}.service`);
  await onHost(`while systemctl list-jobs | grep -q '${site}-backup'; do sleep 0.2; done`);
  await onHost(
    `while [ "$(systemctl is-active '${site}-backup-copy@${name}.service')" = activating ]; do sleep 0.2; done`,
  );
  return unitResult(`${site}-backup@${name}.service`);
}

const unitResult = (unit: string) => onHost(`systemctl show --property=Result --value ${unit}`);

test('a site with the second place in a store is live, and its second provisioning changes nothing', async () => {
  await succeed(['goboot:deploy', '--yes']);
  const { events } = await succeed(['goboot:deploy', '--provision', '--yes']);
  expect(events.findLast(({ name }) => name === 'Provision the host')?.detail).toMatch(/, 0 changed$/);
});

test('a backup takes rows, uploads and sessions to the store, and no secret is seen anywhere', async () => {
  cookie = await inDjango(
    [
      'from django.contrib.auth import get_user_model',
      'from django.test import Client',
      'users = get_user_model().objects',
      'ada = users.create_superuser("ada", "ada@example.com", "correct horse")',
      'users.bulk_create(users.model(username=f"user{n}") for n in range(500))',
      'client = Client()',
      'client.force_login(ada)',
      'print(client.cookies["__Host-sessionid"].value)',
    ].join('\n'),
  );
  expect(cookie).toMatch(/^\w{32}$/);
  await onHost(
    `cd /srv/${site}/media && setpriv --reuid ${site} --regid ${site} --clear-groups sh -c '
      mkdir -p "photos/of [2026]" && head -c 5000000 /dev/urandom > photos/large.jpg
      echo hello > "photos/of [2026]/grüße *.txt"; : > empty; chmod 640 empty'`,
  );
  expect(await visitAdmin()).toMatch(/ada(.|\n)*\n200$/);
  const stop = sampleCommandLines();
  const { result, output } = await succeed(['goboot:backups', 'run', '--yes']);
  const commandLines = [...(await stop())].join('\n');
  before = await contents();
  expect(result).toMatchObject({
    status: 'made',
    problems: [],
    backups: [{ places: ['first', 'second'], files: 3 }],
  });
  expect(commandLines).toMatch(/restic .*backup/);
  const places = {
    commandLines,
    output,
    journal: await onHost('journalctl --no-pager --quiet'),
    logs: (await place.run(['sh', '-c', 'cat .ansible/logs/*'], { cwd: 'shop' })).stdout,
    history: await git(place, 'log', '--all', '--patch'),
    status: await onHost(`cat /var/backups/${site}/status.json`),
  };
  for (const [name, secret] of Object.entries(await vaultVariables(place))) {
    for (const [where, text] of Object.entries(places))
      expect(text.includes(secret), `${name} in ${where}`).toBe(false);
  }
});

test('the deploy account can neither list backups nor restore one', async () => {
  for (const words of [`-release --ssh-command restore`, `-backup list`]) {
    const { exitCode } = await host.rootShell(
      `runuser --user deploy -- sudo -n /usr/local/sbin/${site}${words}`,
    );
    expect(exitCode, words).not.toBe(0);
  }
  expect((await host.rootShell(`runuser --user ${site} -- ls /var/backups/${site}`)).exitCode).not.toBe(0);
  expect((await host.rootShell(`runuser --user ${site} -- cat /etc/${site}/backup.env`)).exitCode).not.toBe(
    0,
  );
});

test('what the timers start is sandboxed, backs up, and tries both places', async () => {
  expect(await onHost(`systemctl is-enabled ${site}-backup.timer ${site}-backup-drill.timer`)).toBe(
    'enabled\nenabled',
  );
  for (const name of ['run', 'drill']) {
    expect(await startUnit(name), name).toBe('success');
    expect(await unitResult(`${site}-backup-copy@${name}.service`), name).toBe('success');
  }
  for (const unit of ['backup@run', 'backup-copy@run', 'backup-failed@run-first']) {
    const shown = await onHost(`systemd-analyze security --no-pager ${site}-${unit}.service | tail -n 1`);
    expect(Number(shown.match(/([\d.]+) \w+/)?.[1]), unit).toBeLessThanOrEqual(1.5);
  }
  const { result } = await succeed(['goboot:backups']);
  expect(result).toMatchObject({ problems: [], backups: [{ places: ['first', 'second'] }, { files: 3 }] });
  const status = JSON.parse(await onHost(`/usr/local/sbin/${site}-release status --json`));
  expect(Object.keys(status.backups.runs).sort()).toEqual([
    'drill first',
    'drill second',
    'run first',
    'run second',
  ]);
  expect(status.backups.problems).toEqual([]);
});

test('on a fresh host the same site is back: rows, uploads, and who was logged in', async () => {
  await host.stop();
  await moveTo(await startTestHost(session, 'backups-fresh'));
  await succeed(['goboot:deploy', '--yes']);
  expect(await visitAdmin()).toMatch(/\n302$/);
  expect((await listed()).map(({ places }) => places)).toEqual([['second'], ['second']]);

  const asked = await yo(['goboot:backups', 'restore', '--yes']);
  expect(asked.exitCode).toBe(2);
  expect(asked.result.message).toMatch(/Nothing was changed\. .*would be lost.* --accept-loss/s);
  const { result, output } = await succeed(['goboot:backups', 'restore', '--yes', '--accept-loss']);
  expect(result.status, output).toBe('restored');
  expect(await contents()).toEqual(before);
  expect(await visitAdmin()).toMatch(/ada(.|\n)*\n200$/);
  expect(await onHost('systemctl --failed --no-legend')).toBe('');
});

test('a backup that is killed leaves nothing that counts as one, and says so', async () => {
  const known = await listed();
  const unit = `${site}-backup@run.service`;
  await host.rootShell(`systemctl start --no-block ${unit}`);
  await onHost(`while ! ls /var/backups/${site}/backup/database.dump; do sleep 0.05; done`);
  await onHost(`systemctl kill --signal=KILL --kill-whom=all ${unit}`);
  await onHost(`while [ "$(systemctl is-active ${unit})" != failed ]; do sleep 0.2; done`);
  await onHost(
    `while systemctl is-active '${site}-backup-failed@run-first.service' | grep -q activating; do sleep 0.2; done; sleep 1`,
  );
  const { result } = await succeed(['goboot:backups']);
  expect((result.backups as Listed[]).map(({ backup }) => backup)).toEqual(known.map(({ backup }) => backup));
  expect(result.problems).toEqual([expect.stringMatching(/the backup failed at .*: it was killed/)]);
  expect(await onHost(`journalctl --no-pager -u '${site}-backup-failed@run-first.service'`)).toContain(
    'ada@example.com was told',
  );
  expect(await startUnit('run')).toBe('success');
  expect((await succeed(['goboot:backups'])).result.problems).toEqual([]);
  expect(await onHost(`ls /var/backups/${site}`)).toBe('repository\nstatus.json');
});

test('a damaged repository makes the drill fail, and that is told', async () => {
  const repository = `/var/backups/${site}/repository`;
  await onHost(
    `pack=$(find ${repository}/data -type f -printf '%s %p\\n' | sort -n | tail -n 1 | cut -d ' ' -f 2)
     chmod 600 "$pack" && printf damaged | dd of="$pack" bs=1 seek=2000 conv=notrunc`,
  );
  expect(await startUnit('drill')).toBe('exit-code');
  const { result } = await succeed(['goboot:backups']);
  expect(result.problems).toEqual([expect.stringMatching(/the drill failed at .*is damaged/)]);
  const drilled = await yo(['goboot:backups', 'drill', '--place=first']);
  expect(drilled.exitCode).toBe(1);
  expect(drilled.result.message).toMatch(/is damaged/);
  await onHost(`rm -r ${repository}`);
  await onHost(`systemctl reset-failed`);
});

test('another disk can be the second place, and a site whose own disk lost everything comes back from it', async () => {
  await setSecondPlace('/mnt/copy/shop');
  const refused = await yo(['goboot:deploy', '--provision', '--yes']);
  expect(refused.exitCode).toBe(1);
  expect(refused.output).toContain('/mnt/copy/shop is on the same disk as the site: mount another one there');
  await onHost('mkdir -p /mnt/copy && mount -t tmpfs tmpfs /mnt/copy');
  await succeed(['goboot:deploy', '--provision', '--yes']);
  for (const name of ['run', 'drill']) {
    expect(await startUnit(name), name).toBe('success');
    expect(await unitResult(`${site}-backup-copy@${name}.service`), name).toBe('success');
  }
  const [newest] = await listed();
  expect(newest?.places).toEqual(['first', 'second']);
  await onHost(`rm -r /var/backups/${site}/repository /srv/${site}/media/*`);
  await inDjango('from django.contrib.auth import get_user_model; get_user_model().objects.all().delete()');
  expect(await visitAdmin()).toMatch(/\n302$/);
  await succeed(['goboot:backups', 'restore', newest?.backup ?? '', '--yes', '--accept-loss']);
  expect(await contents()).toEqual(before);
  expect(await visitAdmin()).toMatch(/ada(.|\n)*\n200$/);
});
