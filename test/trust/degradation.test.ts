import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { sharedSite, type TrustedSite } from '../support/trusted-site.ts';

// What visitors get while something is down, as docs/design.md has it, and that nobody has to help afterwards.

let trusted: TrustedSite;
beforeAll(async () => {
  trusted = await sharedSite();
});

/** Stops a unit until the test ends. */
async function stop(unit: string): Promise<void> {
  await trusted.site.shell(`systemctl stop ${unit}`);
  onTestFinished(async () => void (await trusted.site.shell(`systemctl start ${unit}`)));
}

async function expectPages(statuses: Readonly<Record<string, number | undefined>>): Promise<void> {
  for (const [path, status] of Object.entries(statuses)) {
    if (status) expect((await trusted.page(path)).status, path).toBe(status);
  }
}

/** The processes of the site's web server and worker. */
const processes = () =>
  trusted.site.shell(
    `systemctl show --property=MainPID --value '${trusted.site.name}-web@*' '${trusted.site.name}-worker@*'`,
  );

const withoutDatabase = '/admin/login/';

test.for([
  { unit: 'postgresql', broken: 'database', pages: { '/': 200, '/health/': 200, [withoutDatabase]: 200 } },
  { unit: 'rabbitmq-server', broken: 'broker', pages: { '/': 200, '/health/': 200, '/send/': 500 } },
  { unit: 'shop-production-memcached', broken: 'cache', pages: { '/': 200, '/health/': 200, '/send/': 200 } },
])(
  'without $unit the deep health endpoint names $broken, pages that do not need it work, and nobody has to help',
  async ({ unit, broken, pages }) => {
    const before = await processes();
    await trusted.site.shell(`systemctl stop ${unit}`);
    try {
      expect(await trusted.broken()).toEqual([broken]);
      await expectPages(pages);
    } finally {
      await trusted.site.shell(`systemctl start ${unit}`);
    }
    await trusted.recovered(30);
    expect(await trusted.taskComesBack()).toBe(true);
    // What lost it has found it again, without a restart.
    expect(await processes()).toBe(before);
  },
);

test('without the application visitors get the page for an outage, and the web server comes back', async () => {
  await stop(`'${trusted.site.name}-web@*'`);
  const page = await trusted.page();
  expect(page).toMatchObject({ status: 503, headers: { 'retry-after': '15' } });
  expect(page.body).toContain('We will be right back');
  const release = await trusted.site.shell(`basename "$(readlink /srv/${trusted.site.name}/current)"`);
  await trusted.site.shell(`systemctl start '${trusted.site.name}-web@${release}'`);
  await trusted.recovered(30);
});

test.for([
  'postgresql@*-main',
  'nginx',
  'rabbitmq-server',
  'shop-production-memcached',
  'shop-production-web@*',
  'shop-production-worker@*',
  'shop-production-beat',
])('%s comes back when it is killed seven times in a row', async (unit) => {
  for (let time = 0; time < 7; time += 1) {
    // Between two of them systemd has begun to start it again.
    await trusted.site.shell(`systemctl kill --signal=KILL '${unit}' || true; sleep 0.7`);
  }
  await trusted.recovered(60);
});

test('with a full disk pages are served, writing fails at once, and freeing it is all that has to be done', async () => {
  const { site } = trusted;
  const directories = `/var/lib/postgresql /var/lib/rabbitmq /srv/${site.name}/media`;
  const services = "'postgresql@*-main' rabbitmq-server";
  // A file system with a limit: the host's own one is this computer's.
  await site.shell(`set -e
    mkdir -p /run/disk
    systemctl stop ${services}
    used=$(du --summarize --total --block-size=1M ${directories} | tail -n 1 | cut -f 1)
    mount -t tmpfs -o "mode=0755,size=$((used + 400))M" tmpfs /run/disk
    for directory in ${directories}; do
      copy=/run/disk/$(echo "$directory" | tr / _)
      cp --archive "$directory" "$copy"
      mount --bind "$copy" "$directory"
    done
    systemctl start postgresql rabbitmq-server`);
  onTestFinished(async () => {
    await site.shell(`systemctl stop ${services}
      for directory in ${directories}; do umount --lazy "$directory"; done
      umount --lazy /run/disk
      systemctl start postgresql rabbitmq-server`);
    await trusted.recovered(60);
  });
  await trusted.recovered(60);

  await site.shell(
    `fallocate --length $(stat --file-system --format='%a %S' /run/disk | awk '{print $1 * $2}') /run/disk/filler`,
  );
  // RabbitMQ looks at its disk every ten seconds.
  await site.shell(
    'until rabbitmqctl --quiet eval "rabbit_alarm:get_alarms()." | grep -q disk; do sleep 1; done',
  );
  expect(await trusted.broken()).toContain('media');
  await expectPages({ '/': 200, '/health/': 200, [withoutDatabase]: 200 });
  const started = performance.now();
  expect((await trusted.page('/send/').catch(() => ({ status: 504 }))).status).toBeGreaterThanOrEqual(500);
  expect((performance.now() - started) / 1000).toBeLessThan(30);
  await site.host.rootShell(
    `cd / && runuser -u postgres -- psql --quiet ${site.name} -c "create table filler as select repeat(md5(g::text), 99) from generate_series(1, 300000) g"`,
  );

  await site.shell('rm /run/disk/filler');
  // The timer that looks after RabbitMQ comes each minute.
  await trusted.recovered(150);
  // The pauses of the worker between its attempts have grown meanwhile, up to half a minute.
  await expect.poll(() => trusted.taskComesBack(), { timeout: 60_000 }).toBe(true);
});
