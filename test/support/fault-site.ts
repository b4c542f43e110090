import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { fetchLivePage } from '../../lib/deploy/live.ts';
import { shellWord } from '../../lib/deploy/release-command.ts';
import { packageRoot } from '../../lib/paths.ts';
import { openRehearsal, type Rehearsal } from '../../lib/rehearsal/rehearsal.ts';
import { type LoadResult, startLoad } from './load.ts';
import { giveTo, wordsAs } from './normal-user.ts';
import { git } from './scaffold.ts';
import { startTestHost, type TestHost } from './test-host.ts';
import { Workplace } from './workplace.ts';

/** What the site answered while something went wrong. */
type Answers = Pick<LoadResult, 'requests' | 'lost' | 'releases'>;

const domain = 'shop.example.com';
const site = 'shop-production';
const requestsPerSecond = 20;
/** How long a worker may take to finish what it does, and a host to start all its services. */
const settleSeconds = 90;
const onHost = join(packageRoot, 'test/faults/on-host');

/** A line that `yo --json` or the release command has written. */
export type ReportedEvent = Record<string, unknown> & { event: string };

export interface Run {
  /** Nothing when it was killed. */
  exitCode: number | null;
  events: ReportedEvent[];
  output: string;
}

/** A program that runs on the user's side, in a process group of its own. */
export interface Controller {
  ended: Promise<Run>;
  /** Kills all its processes at once. */
  kill(): void;
}

/** What is on the host, as `on-host/inspect.py` prints it. */
interface Inspection {
  live: string | null;
  releases: Record<string, { status?: string; commit?: string; complete: boolean }>;
  halfMade: string[];
  units: Record<string, string>;
  failed: string[];
  columns: string[];
  applied: string[];
}

/** How a deploy is interrupted on the host: after which step's report (none: as soon as it runs), and by what. */
export interface Interruption {
  after?: string | undefined;
  /** Seconds. */
  delay?: number;
  /** Lets the release command stand still meanwhile. */
  freeze?: boolean;
  /** A shell command, run as root on the host. */
  action: string;
}

/**
 * What a fault does to a deploy of a commit; the expectations on that deploy are its own. Returns the commits that it
 * deployed besides.
 */
export type Interrupted = (commit: string) => Promise<string[]> | Promise<void>;

export interface SurvivalOptions {
  /** How the commit differs from the one before, besides a new line on its page. */
  change?: () => void;
  /** Whether the commit comes with a migration. */
  migration?: boolean;
  /** What takes the change back before the next deploy. */
  repair?: () => void;
  /** Where the site is asked from all the time. */
  prober?: 'outside' | 'inside';
  /** Whether the next deploy comes from `yo` or is started on the host. */
  road?: 'yo' | 'host';
  /** Whether the new commit must not have become live. */
  staysOld?: boolean;
}

/** A provisioned site that is deployed again and again while something goes wrong. */
export class FaultSite {
  readonly host: TestHost;
  readonly place: Workplace;
  readonly #session: Rehearsal;
  /** How long each step of a deploy takes on this host, in seconds. */
  readonly stepSeconds = new Map<string, number>();
  #prober: (() => Promise<Answers>) | undefined;
  #load: Answers = { requests: 0, lost: [], releases: [] };
  #commits = 0;
  #columns = 0;

  private constructor(session: Rehearsal, host: TestHost, place: Workplace) {
    this.#session = session;
    this.host = host;
    this.place = place;
  }

  /** Boots a host and brings a new project live on it with `yo goboot`. */
  static async provision(name: string): Promise<FaultSite> {
    const session = await openRehearsal();
    try {
      const host = await startTestHost(session, name);
      const place = new Workplace();
      const faults = new FaultSite(session, host, place);
      for (const setting of ['user.name=Ada Example', 'user.email=ada@example.com']) {
        const [key = '', value = ''] = setting.split('=');
        await place.run(['git', 'config', '--global', key, value]);
      }
      const { exitCode, output } = await faults.start(
        [
          ...[
            'yo',
            'goboot',
            'shop',
            '--yes',
            '--skip-github',
            '--json',
            `--domain=${domain}`,
            '--author=Ada Example',
          ],
          ...['--email=ada@example.com', `--host=${host.address}`, `--user=${host.user}`],
          `--key-file=${host.keyFileFor(place)}`,
          `--known-hosts-file=${host.knownHostsFileFor(place)}`,
        ],
        { cwd: '.' },
      ).ended;
      expect(exitCode, output).toBe(0);
      for (const file of ['run.py', 'probe.py', 'inspect.py']) {
        await faults.shell(`cat > /root/${file}`, readFileSync(join(onHost, file), 'utf8'));
      }
      // A table of its own, which each migration makes wider.
      faults.write('pages/migrations/__init__.py', '');
      const table = 'migrations.CreateModel("Fault", [("id", models.BigAutoField(primary_key=True))])';
      faults.addMigration(`${table},\n        ${faults.addColumn()}`, []);
      const { events } = await faults.deployOrFail('host', await faults.commit());
      for (const { event, name, seconds } of events) {
        if (event === 'step') faults.stepSeconds.set(String(name), Number(seconds));
      }
      return faults;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  /** Runs a shell command as root on the host and returns what it prints. Throws when it fails. */
  async shell(command: string, input?: string): Promise<string> {
    const { exitCode, stdout, stderr } = await this.host.rootShell(command, input);
    if (exitCode !== 0) throw new Error(`${command}: exit status ${exitCode}\n${stdout}\n${stderr}`);
    return stdout.trim();
  }

  path(file: string): string {
    return join(this.place.cwd, 'shop', file);
  }

  /** Writes a file of the project. */
  write(file: string, text: string): void {
    execFileSync('mkdir', ['-p', join(this.path(file), '..')]);
    writeFileSync(this.path(file), text);
    giveTo(this.place.user, join(this.path(file), '..'));
    giveTo(this.place.user, this.path(file));
  }

  /** Changes a file of the project, and returns what changes it back. */
  change(file: string, change: (text: string) => string): () => void {
    const before = readFileSync(this.path(file), 'utf8');
    const after = change(before);
    if (after === before) throw new Error(`${file} has nothing to change`);
    this.write(file, after);
    return () => this.write(file, before);
  }

  /** Adds a migration with these operations, and returns its name. */
  addMigration(operations: string, dependencies = this.#migrations().slice(-1), attributes = ''): string {
    const name = `${String(this.#migrations().length + 1).padStart(4, '0')}_fault`;
    this.write(
      `pages/migrations/${name}.py`,
      `from django.db import migrations, models


class Migration(migrations.Migration):
    ${attributes || 'atomic = True'}
    dependencies = [${dependencies.map((dependency) => `("pages", "${dependency}")`).join(', ')}]
    operations = [
        ${operations},
    ]
`,
    );
    return name;
  }

  removeMigration(name: string): void {
    rmSync(this.path(`pages/migrations/${name}.py`));
  }

  /** The operation that adds the next column. */
  addColumn(): string {
    this.#columns += 1;
    return `migrations.AddField("Fault", "column_${this.#columns}", models.IntegerField(null=True))`;
  }

  #migrations(): string[] {
    return execFileSync('ls', [this.path('pages/migrations')], { encoding: 'utf8' })
      .split('\n')
      .filter((file) => /^\d{4}_.*\.py$/.test(file))
      .map((file) => file.replace('.py', ''));
  }

  /** Gives the page a new line and commits everything. Returns the commit. */
  async commit(): Promise<string> {
    this.#commits += 1;
    const page = 'templates/pages/home.html';
    const text = readFileSync(this.path(page), 'utf8').replace(/\n<!-- version \d+ -->/, '');
    const block = '{% block content %}';
    this.write(page, text.replace(block, `${block}\n<!-- version ${this.#commits} -->`));
    await git(this.place, 'add', '--all');
    await git(this.place, 'commit', '--quiet', '--no-verify', '--message', `Version ${this.#commits}`);
    return (await git(this.place, 'rev-parse', 'HEAD')).trim();
  }

  /** Starts a program as the user. */
  start(
    words: readonly string[],
    { cwd = 'shop', onLine = () => {} }: { cwd?: string; onLine?: (line: string) => void } = {},
  ): Controller {
    const [file = '', ...args] = wordsAs(this.place.user, words);
    const child = spawn(file, args, {
      cwd: join(this.place.cwd, cwd),
      env: this.place.environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const lines: string[] = [];
    let complaints = '';
    child.stderr.on('data', (data) => {
      complaints += data;
    });
    const read = createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      onLine(line);
    });
    const ended = new Promise<Run>((resolve, reject) => {
      child.on('error', reject);
      // Not "close": a shared connection that outlives the program may hold its output open.
      child.on('exit', async (exitCode) => {
        await Promise.race([new Promise((done) => read.once('close', done)), sleep(1000)]);
        child.stdout.destroy();
        child.stderr.destroy();
        resolve({ exitCode, events: parseEvents(lines), output: `${lines.join('\n')}\n${complaints}` });
      });
    });
    return {
      ended,
      kill() {
        try {
          process.kill(-(child.pid as number), 'SIGKILL');
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
        }
      },
    };
  }

  /** Deploys what is committed with `yo goboot:deploy`. */
  startYo(args: readonly string[] = [], onEvent: (event: ReportedEvent) => void = () => {}): Controller {
    return this.start(['yo', 'goboot:deploy', '--yes', '--json', ...args], {
      onLine: (line) => parseEvents([line]).forEach(onEvent),
    });
  }

  /** Deploys what is committed with the playbook. */
  startPlaybook(onLine: (line: string) => void): Controller {
    const play = ['uv', 'run', '--quiet', '--only-group', 'ansible', 'ansible-playbook', 'deploy.yml'];
    // A task that has nothing to do is a moment, too.
    const words = ['env', 'ANSIBLE_DISPLAY_SKIPPED_HOSTS=true', ...play];
    return this.start(words, { cwd: 'shop/.ansible', onLine });
  }

  /** Runs the release command on the host itself, with a commit of the project. */
  async deployOnHost(commit: string, interruption?: Interruption, words: string[] = []): Promise<Run> {
    const archive = execFileSync(
      'git',
      // The project belongs to another user than the one who runs the tests, and git asks about that.
      ['-c', 'safe.directory=*', 'archive', '--format=tar.gz', commit],
      { cwd: this.path(''), maxBuffer: 64 * 1024 * 1024 },
    );
    const file = `/root/${commit}.tar.gz`;
    await this.shell(`base64 --decode > ${file}`, archive.toString('base64'));
    const program = [
      ...[`/usr/local/sbin/${site}-release`, 'deploy', `--archive=${file}`, `--commit=${commit}`],
      ...['--by=ada', ...words, '--json'],
    ];
    const { after, delay = 0, freeze, action } = interruption ?? { action: '' };
    const run = [
      ...['python3', '/root/run.py', '--units', `${site}-release-*.service`, '--delay', String(delay)],
      ...['--after', after ?? '', ...(freeze ? ['--freeze'] : []), '--action', action, '--', ...program],
    ];
    const { exitCode, stdout, stderr } = await this.host.rootShell(run.map(shellWord).join(' '));
    await this.host.rootShell(`rm -f ${file}`).catch(() => {});
    return { exitCode, events: parseEvents(stdout.split('\n')), output: `${stdout}\n${stderr}` };
  }

  /** Kills the host in the middle of a deploy and boots it again. The release command stands still at that moment. */
  async killHostDuring(commit: string, moment: Pick<Interruption, 'after' | 'delay'>): Promise<void> {
    await this.shell('rm -f /run/fault-reached');
    const deploying = this.deployOnHost(commit, { ...moment, freeze: true, action: 'sleep 600' }).catch(
      () => {},
    );
    const reached = this.shell('until [ -e /run/fault-reached ]; do sleep 0.05; done').then(() => 'reached');
    expect(await Promise.race([reached, deploying])).toBe('reached');
    await this.pauseAsking();
    await this.host.kill();
    await deploying;
    await this.bootAgain();
    await this.startAsking();
  }

  /** Boots a killed host, and waits until its site answers. */
  async bootAgain(): Promise<void> {
    await this.host.boot();
    const deadline = Date.now() + settleSeconds * 1000;
    while (Date.now() < deadline) {
      const page = { domain, address: this.host.address, path: '/health/' };
      const answer = await fetchLivePage(page).catch(() => undefined);
      if (answer?.status === 200) return;
      await sleep(200);
    }
    throw new Error(`The site did not answer within ${settleSeconds} s after its host was up`);
  }

  /** What lets a deploy run a migration of which nobody can tell whether the old release can live with it. */
  async allowingAnyMigration(): Promise<string[]> {
    const flag = '--allow-incompatible-migrations';
    const help = await this.shell(`/usr/local/sbin/${site}-release deploy --help`);
    return help.includes(flag) ? [flag] : [];
  }

  /** Lets another session hold the lock of the table that migrations change. Returns what gives it back. */
  async lockTable(): Promise<() => Promise<void>> {
    const psql = `runuser -u postgres -- psql -Atq --dbname=${site}`;
    const held = `select 1 from pg_locks where relation = 'pages_fault'::regclass and mode = 'AccessExclusiveLock'`;
    await this.shell(
      `systemd-run --quiet --collect --unit=fault-lock ${psql} \
         -c 'begin; lock table pages_fault in access exclusive mode; select pg_sleep(600)'
       until ${psql} -c "${held}" | grep -q 1; do sleep 0.1; done`,
    );
    return async () => {
      const mine = `query like '%pg_sleep(600)%' and pid <> pg_backend_pid()`;
      await this.shell(`${psql} -c "select pg_terminate_backend(pid) from pg_stat_activity where ${mine}"`);
    };
  }

  /** Starts a second deploy while a first one stands still, and says what the second one is expected to do. */
  async deployTwice(words: string[], outcome: 'refused' | 'waits'): Promise<string[]> {
    const units = `${site}-release-*.service`;
    let begin = () => {};
    const begun = new Promise<'begun'>((resolve) => {
      begin = () => resolve('begun');
    });
    const first = this.startYo([], (event) => {
      if (endedStep(event)) begin();
    });
    expect(await Promise.race([begun, first.ended])).toBe('begun');
    await this.shell(`systemctl kill --signal=STOP '${units}'`);
    const firstUnit = await this.shell(
      `systemctl list-units --plain --no-legend '${units}' | cut -d ' ' -f 1`,
    );
    const commit = await this.commit();
    const second = this.startYo(words);
    if (outcome === 'waits') {
      await this.shell(
        `until [ "$(systemctl list-units --plain --no-legend '${units}' | wc -l)" = 2 ]; do sleep 0.2; done; sleep 3`,
      );
    } else {
      const refused = await second.ended;
      expect(refused.exitCode, refused.output).toBe(1);
      expect(String(lastEvent(refused)?.message)).toMatch(/a deploy by \S+ runs since \d{4}-\d\d-\d\dT\S+/);
      expect(String(lastEvent(refused)?.remedy ?? lastEvent(refused)?.message)).toContain('--wait');
    }
    await this.shell(`systemctl kill --signal=CONT '${firstUnit}'`);
    const { exitCode, output } = await first.ended;
    expect(exitCode, output).toBe(0);
    const waited = await second.ended;
    if (outcome === 'waits') expect(waited.exitCode, waited.output).toBe(0);
    return [commit];
  }

  /** Deploys what is committed and expects that it succeeds. */
  async deployOrFail(road: 'yo' | 'host', commit?: string): Promise<Run> {
    const run =
      road === 'yo'
        ? await this.startYo().ended
        : await this.deployOnHost(commit ?? (await git(this.place, 'rev-parse', 'HEAD')).trim());
    expect(run.exitCode, `the deploy after the fault: ${run.output}`).toBe(0);
    return run;
  }

  /** Some moment in a step, in seconds from its beginning. */
  momentIn(step: string): number {
    return Math.random() * Math.min(0.5, this.stepSeconds.get(step) ?? 0.5);
  }

  /** Waits until no release command runs on the host. */
  async releaseEnded(): Promise<void> {
    // The brackets keep pgrep from finding the shell that it is called by.
    await this.shell(
      `for i in $(seq ${settleSeconds * 2}); do
         sleep 0.5
         systemctl list-units --all --plain --no-legend '${site}-release-*' | grep -q . && continue
         pgrep --full '[s]bin/${site}-release' > /dev/null || exit 0
       done
       systemctl list-units --all '${site}-*'; exit 1`,
    );
  }

  async inspect(): Promise<Inspection> {
    return JSON.parse(await this.shell(`python3 /root/inspect.py ${site}`));
  }

  /** Asks the site all the time, until it is paused. */
  async startAsking(where: NonNullable<SurvivalOptions['prober']> = 'outside'): Promise<void> {
    if (where === 'outside') {
      this.#prober = startLoad({ domain, address: this.host.address, perSecond: requestsPerSecond });
      return;
    }
    await this.shell(
      `rm -f /run/probe.json
       systemd-run --quiet --collect --unit=fault-probe python3 /root/probe.py ${domain} /run/probe.json`,
    );
    this.#prober = async () => {
      await this.shell('systemctl stop fault-probe');
      return JSON.parse(await this.shell('cat /run/probe.json'));
    };
  }

  /** Stops asking, because nobody can expect an answer now. */
  async pauseAsking(): Promise<void> {
    const stop = this.#prober;
    this.#prober = undefined;
    if (!stop) return;
    const { requests, lost, releases } = await stop();
    this.#load.requests += requests;
    this.#load.lost.push(...lost);
    this.#load.releases.push(...releases);
  }

  /**
   * Deploys a commit while something goes wrong, then another one without that. Expects that every request was
   * answered, by a complete release of one of these commits, and that nothing half-made is left.
   */
  async survive(interrupted: Interrupted, options: SurvivalOptions = {}): Promise<void> {
    const { prober, road = 'host', migration = false, staysOld = false } = options;
    const before = await this.inspect();
    options.change?.();
    if (migration) this.addMigration([this.addColumn(), this.addColumn()].join(',\n        '));
    const commit = await this.commit();
    const known = [before.live?.slice(-8), commit.slice(0, 8)];
    this.#load = { requests: 0, lost: [], releases: [] };
    await this.startAsking(prober);
    try {
      const further = (await interrupted(commit)) ?? [];
      known.push(...further.map((other) => other.slice(0, 8)));
      await this.releaseEnded();
      const { live, releases } = await this.inspect();
      expect(releases[live as string]?.complete, `${live} is complete`).toBe(true);
      if (staysOld) expect(live).toBe(before.live);
      else expect(known).toContain(live?.slice(-8));
      await this.#expectPage();
      options.repair?.();
      const next = await this.commit();
      await this.deployOrFail(road, next);
      await this.pauseAsking();
      expect(this.#load.lost).toEqual([]);
      expect(this.#load.requests).toBeGreaterThan(10);
      for (const release of this.#load.releases) {
        expect([...known, next.slice(0, 8)], 'a known release answers').toContain(release.slice(-8));
      }
      await this.#expectWhole(next, live);
    } catch (error) {
      // The next fault is to begin with a site that is well.
      await this.pauseAsking().catch(() => {});
      await this.#recover(options.repair);
      throw error;
    }
  }

  /** Takes away by hand what a fault should not have left. */
  async #recover(repair: SurvivalOptions['repair']): Promise<void> {
    repair?.();
    const { halfMade } = await this.inspect();
    if (halfMade.length > 0) await this.shell(`rm -rf ${halfMade.map(shellWord).join(' ')}`);
    await this.commit();
    await this.startYo().ended;
  }

  /** The start page and everything that it is made of. */
  async #expectPage(): Promise<void> {
    const page = await fetchLivePage({ domain, address: this.host.address });
    expect(page.status).toBe(200);
    const files = [...page.body.matchAll(/(?:href|src)="(\/static\/[^"]+)"/g)].map(
      ([, path]) => path as string,
    );
    expect(files.length).toBeGreaterThan(0);
    for (const path of files) {
      expect((await fetchLivePage({ domain, address: this.host.address, path })).status, path).toBe(200);
    }
  }

  /** Nothing half-made, no unit too many, no half migration, and the commit is live and well. */
  async #expectWhole(commit: string, liveBefore: string | null): Promise<void> {
    const deadline = Date.now() + settleSeconds * 1000;
    let found = await this.inspect();
    // A worker ends when its tasks are done.
    while (strayUnits(found).length > 0 && Date.now() < deadline) {
      await sleep(500);
      found = await this.inspect();
    }
    expect(strayUnits(found)).toEqual([]);
    expect(found.live?.slice(-8)).toBe(commit.slice(0, 8));
    expect(found.halfMade).toEqual([]);
    expect(found.failed).toEqual([]);
    // One that became live, and whose run was killed then, is complete; the deploy after this one removes it.
    const unfinished = Object.entries(found.releases).filter(
      ([id, { status, complete }]) => !complete || (status === 'built' && id !== liveBefore),
    );
    expect(unfinished).toEqual([]);
    expect(found.releases[found.live as string]?.status).toBe('good');
    expect(found.applied.sort()).toEqual(this.#migrations());
    const migrated = this.#migrations()
      .flatMap((name) => [
        ...readFileSync(this.path(`pages/migrations/${name}.py`), 'utf8').matchAll(/column_\d+/g),
      ])
      .map(([column]) => column);
    expect(found.columns.sort()).toEqual(['id', ...new Set(migrated)].sort());
    const status = JSON.parse(await this.shell(`/usr/local/sbin/${site}-release status --json`));
    expect(status).toMatchObject({ healthy: true });
    expect(status.hot_fixes ?? null).toBe(null);
    expect(status.locked ?? null).toBe(null);
    await this.#expectPage();
  }
}

/** Units that run although nothing needs them: of no release, or of one that is neither live nor kept warm. */
function strayUnits({ live, releases, units }: Inspection): string[] {
  return Object.entries(units)
    .filter(([name]) => {
      const [, kind, release] = /-(web|worker)@(.+)\.service$/.exec(name) ?? [];
      if (!kind) return /-(?!boot|beat|memcached|retire)[a-z]+-[0-9a-f]{8}\.service$/.test(name);
      return release !== live && !(kind === 'web' && releases[release as string]?.status === 'good');
    })
    .map(([name, state]) => `${name} is ${state}`);
}

function parseEvents(lines: readonly string[]): ReportedEvent[] {
  return lines.flatMap((line) => {
    try {
      const event = JSON.parse(line);
      return typeof event?.event === 'string' ? [event] : [];
    } catch {
      return [];
    }
  });
}

/** The name of a step of the release command that `yo` reports the end of. */
export function endedStep(event: ReportedEvent): string | undefined {
  const [, name] = (event.event === 'progress' && /^(.+) (ok|skipped)$/.exec(String(event.detail))) || [];
  return name;
}

/** The last event: the result, or the error. */
export function lastEvent({ events }: Run): ReportedEvent | undefined {
  return events.findLast(({ event }) => event === 'result' || event === 'error');
}

let shared: Promise<FaultSite> | undefined;

/** The site that all faults of a run are tried on. */
export function sharedSite(): Promise<FaultSite> {
  shared ??= FaultSite.provision('faults');
  return shared;
}

export { domain, site };
