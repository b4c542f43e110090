import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { packageRoot } from '../../lib/paths.ts';
import {
  describeLatency,
  type Latency,
  type LoadResult,
  latencyBetween,
  openLoad,
} from '../../test/support/load.ts';
import { type Breakage, readKept, type YoRun } from '../../test/support/probe-site.ts';
import { startTestHost } from '../../test/support/test-host.ts';
import type { Line } from './table.ts';
import { prepareUsualDeploy, provisionWithDefaults, usualDomain } from './usual-deploy.ts';
import { lookOnce, watch } from './visitor.ts';
import { onHost, openStation, roundTrip, type Station, type Workshop } from './workshop.ts';

const perSecond = 150;

function expectSuccess(run: YoRun): YoRun {
  if (run.exitCode !== 0) throw new Error(`yo failed:\n${run.output}`);
  return run;
}

/** Measures in turn, the one first and then the other, so that neither always comes to a warm cache. */
async function inTurn(runs: number, one: () => Promise<void>, other: () => Promise<void>): Promise<void> {
  for (let run = 0; run < runs; run += 1)
    for (const act of run % 2 ? [other, one] : [one, other]) await act();
}

async function seconds(act: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await act();
  return (performance.now() - begun) / 1000;
}

/** From a new host to a site over HTTPS, beside the installation of the same packages on another new host. */
export async function fresh(workshop: Workshop, runs: number): Promise<Line[]> {
  const [provision, live, packages]: [number[], number[], number[]] = [[], [], []];
  const goboot = async () => {
    const station = await openStation(workshop);
    workshop.say('fresh host: provision and deploy');
    const visitor = watch(station.visit, () => true);
    const run = expectSuccess(await station.site.deploy());
    live.push(((await visitor.until) - run.from) / 1000);
    const step = run.events.find(({ event, name }) => event === 'step' && name === 'Provision the host');
    provision.push(Number(step?.seconds));
    await station.close();
  };
  const apt = async () => {
    const host = await startTestHost(workshop.session, 'bench-apt', workshop.os);
    workshop.say('fresh host: apt-get install');
    const names: string[] = parse(
      readFileSync(join(packageRoot, 'templates/ansible/roles/packages/defaults/main.yml'), 'utf8'),
    ).packages_names;
    const command = `export DEBIAN_FRONTEND=noninteractive
      apt-get --quiet=2 update && apt-get --quiet=2 install --yes --no-install-recommends ${names.join(' ')}`;
    packages.push(
      await seconds(async () => {
        const { exitCode, stderr } = await host.rootShell(command);
        if (exitCode !== 0) throw new Error(stderr);
      }),
    );
    await host.stop();
  };
  await inTurn(runs, goboot, apt);
  const reference = { values: packages, unit: 's' } as const;
  const than = '`apt-get update` and `apt-get install` of the same packages alone';
  return [
    { what: 'fresh host: provision', goboot: { values: provision, unit: 's' }, reference, than },
    {
      what: 'fresh host: provision, deploy, until the first visitor is served over HTTPS',
      goboot: { values: live, unit: 's' },
      reference,
      than,
    },
  ];
}

/** A commit with changed code, from the command to the visitor. */
export async function deploy(workshop: Workshop, station: Station, runs: number): Promise<Line[]> {
  const { site, visit } = station;
  const usualVisit = { ...visit, domain: usualDomain };
  const times = { seen: [] as number[], ended: [] as number[], onHost: [] as number[] };
  const usual = { seen: [] as number[], ended: [] as number[] };
  workshop.say('the usual deploy, for the first time');
  const deployUsually = await prepareUsualDeploy(station);
  await deployUsually();
  const goboot = async () => {
    workshop.say('deploy');
    const visitor = watch(visit, ({ revision }) => revision === site.revision);
    const run = expectSuccess(await site.deploy());
    times.seen.push(((await visitor.until) - run.from) / 1000);
    times.ended.push((run.to - run.from) / 1000);
    times.onHost.push(await lastSeconds(station));
  };
  const other = async () => {
    workshop.say('the usual deploy');
    const visitor = watch(usualVisit, ({ revision }) => revision === site.revision);
    const from = Date.now();
    await deployUsually();
    usual.ended.push((Date.now() - from) / 1000);
    usual.seen.push(((await visitor.until) - from) / 1000);
  };
  for (let run = 0; run < runs; run += 1) {
    await site.changeCode();
    await inTurn(1, ...(run % 2 ? ([other, goboot] as const) : ([goboot, other] as const)));
  }
  // They would take processor time from what is measured next.
  await onHost(station, 'systemctl disable --now usual-web usual-worker usual-beat');
  const than = 'a usual Ansible role of 20 tasks with default settings';
  const line = (what: string, values: number[], reference?: number[]): Line => ({
    what: `deploy of changed code over ${roundTrip} ms: ${what}`,
    goboot: { values, unit: 's' },
    ...(reference && { reference: { values: reference, unit: 's' }, than }),
  });
  return [
    line('until the first visitor sees it', times.seen, usual.seen),
    line('until the command ends', times.ended, usual.ended),
    line('of that, on the host', times.onHost),
  ];
}

/** How long the last release command took by its own account. */
async function lastSeconds(station: Station): Promise<number> {
  const { name } = station.site;
  return JSON.parse(await onHost(station, `tail -n 1 /var/log/${name}/releases.jsonl`)).seconds;
}

/** Provisioning again, when there is nothing to do. */
export async function provision(workshop: Workshop, station: Station, runs: number): Promise<Line[]> {
  const { site, place } = station;
  const [values, defaults]: [number[], number[]] = [[], []];
  const playbook = ['uv', 'run', '--quiet', '--only-group', 'ansible', 'ansible-playbook', 'provision.yml'];
  // Without pipelining Ansible needs it to become another user than root.
  await onHost(station, 'apt-get --quiet=2 install --yes acl >/dev/null');
  // Connections of the run before would be used again.
  const disconnect = () => rm(join(place.user.home, '.ansible/cp'), { recursive: true, force: true });
  await inTurn(
    runs,
    async () => {
      workshop.say('provision, nothing to do');
      await disconnect();
      values.push(
        await seconds(async () => {
          const { exitCode, stdout } = await site.run(playbook, join(site.directory, '.ansible'), {
            LC_ALL: 'C.UTF-8',
          });
          if (exitCode !== 0) throw new Error(stdout);
        }),
      );
    },
    async () => {
      workshop.say('provision, nothing to do, default settings');
      await disconnect();
      defaults.push(await seconds(() => provisionWithDefaults(station)));
    },
  );
  return [
    {
      what: `provision again over ${roundTrip} ms, nothing to do`,
      goboot: { values, unit: 's' },
      reference: { values: defaults, unit: 's' },
      than: 'the same playbook with Ansible’s default settings',
    },
  ];
}

/** Back to a release that has stopped, and to one that still runs. */
export async function rollback(workshop: Workshop, station: Station, runs: number): Promise<Line[]> {
  const { site, visit } = station;
  const web = (release: string) => `${site.name}-web@${release}.service`;
  const figures = () => ({ command: [] as number[], live: [] as number[], seen: [] as number[] });
  const measured = { stopped: figures(), warm: figures() };
  const restarts: number[] = [];
  let wasWarm = false;

  const isWarm = async (): Promise<boolean> =>
    Boolean(JSON.parse(await onHost(station, `/usr/local/sbin/${site.name}-release status --json`)).warm);
  const goBack = async (into: ReturnType<typeof figures>): Promise<void> => {
    const { release } = await lookOnce(visit);
    const visitor = watch(visit, (seen) => seen.release !== release);
    const from = Date.now();
    const output = await onHost(station, `/usr/local/sbin/${site.name}-release rollback --by=bench --json`);
    into.seen.push(((await visitor.until) - from) / 1000);
    const result: Record<string, unknown> = JSON.parse(output.split('\n').at(-1) as string);
    into.command.push(Number(result.seconds));
    if (typeof result.live_seconds === 'number') into.live.push(result.live_seconds);
  };
  const deployAnew = async (): Promise<string> => {
    const { release } = await lookOnce(visit);
    await site.changeCode();
    expectSuccess(await site.deploy());
    return release;
  };

  for (let run = 0; run < runs; run += 1) {
    workshop.say('rollback to a stopped release');
    const previous = await deployAnew();
    await onHost(station, `systemctl stop ${web(previous)} '${site.name}-worker@${previous}.service'`);
    await goBack(measured.stopped);

    workshop.say('rollback to a warm release');
    await deployAnew();
    wasWarm = await isWarm();
    await goBack(measured.warm);

    workshop.say('restart of the unit');
    const live = await lookOnce(visit);
    const visitor = watch(visit, ({ process }) => process !== live.process);
    const from = Date.now();
    await onHost(station, `systemctl restart ${web(live.release)}`);
    restarts.push(((await visitor.until) - from) / 1000);
  }

  const than = '`systemctl restart` of its unit, until it answers';
  const reference = { values: restarts, unit: 's' } as const;
  return (['stopped', 'warm'] as const).flatMap((state): Line[] => {
    const name = `rollback to the release before, ${
      state === 'warm' && !wasWarm ? 'right after the deploy (it does not run any more)' : state
    }`;
    const { command, live, seen } = measured[state];
    return [
      {
        what: `${name}: until a visitor sees it`,
        goboot: { values: seen, unit: 's' },
        reference,
        than,
      },
      ...(live.length > 0
        ? [
            {
              what: `${name}: until it is live, by its own account`,
              goboot: { values: live, unit: 's' as const },
            },
          ]
        : []),
      { what: `${name}: the command`, goboot: { values: command, unit: 's' }, reference, than },
    ];
  });
}

/** A deploy, or what was to be one, under load. */
interface Event {
  name: string;
  from: number;
  to: number;
}

// What belongs to a switch: the last moment of the old release, and the end of its requests and its worker.
const aroundSwitch = { before: 1000, after: 5000 };

/** Deploys that succeed and deploys that fail, all under load, after a minute of load alone. */
export async function downtime(workshop: Workshop, station: Station, problems: string[]): Promise<Line[]> {
  const { site, host, visit } = station;
  const events: Event[] = [];
  const note = (name: string, { from, to }: { from: number; to: number }) => events.push({ name, from, to });

  site.yields = true;
  workshop.say('a minute of load');
  const endLoad = await openLoad({ ...visit, perSecond, mixture: 'probe' });
  const begun = Date.now();
  await sleep(60_000);
  const succeed = async (name: string, act: () => Promise<YoRun>) => {
    workshop.say(`${name} under load`);
    note(name, expectSuccess(await act()));
    await sleep(aroundSwitch.after);
  };
  const fail = async (breakage: Breakage) => {
    const name = `deploy with a broken ${breakage}`;
    workshop.say(`${name} under load`);
    const { release } = await lookOnce(visit);
    await site.breakProject(breakage);
    const run = await site.deploy();
    if (run.exitCode === 0) problems.push(`${name} succeeded`);
    if ((await lookOnce(visit)).release !== release) problems.push(`${name} went live`);
    note(name, run);
    await site.revert();
    await sleep(2000);
  };
  await site.changeSchema();
  await succeed('deploy with a migration', () => site.deploy());
  await fail('import');
  await site.changeCode();
  await succeed('deploy of changed code', () => site.deploy());
  await fail('migration');
  await succeed('rollback', () => site.deploy('--rollback'));
  await fail('page');
  await site.changeCode();
  await succeed('deploy of changed code', () => site.deploy());
  await sleep(10_000);
  const load = await endLoad();
  const kept = await readKept(host, site.name, load);

  const quiet = latencyBetween(load.samples, begun, begun + 60_000);
  const around = switches(load).flatMap((at) =>
    load.samples.filter(
      (sample) => sample.at >= at - aroundSwitch.before && sample.at < at + aroundSwitch.after,
    ),
  );
  const switching = latencyBetween(around, 0, Number.POSITIVE_INFINITY);
  const working = latencyBetween(
    events.flatMap(({ from, to }) => load.samples.filter(({ at }) => at >= from && at < to)),
    0,
    Number.POSITIVE_INFINITY,
  );
  workshop.say(describeLatency('the minute before', quiet));
  for (const { name, from, to } of events) {
    workshop.say(describeLatency(name, latencyBetween(load.samples, from, to)));
  }
  workshop.say(describeLatency('all of these', working));
  workshop.say(describeLatency(`${switches(load).length} switches`, switching));
  workshop.say(describeLatency('everything', latencyBetween(load.samples, 0, Number.POSITIVE_INFINITY)));
  for (const text of [...load.lost, ...kept.wrong].slice(0, 50)) workshop.say(text);
  if (load.lost.length > 0) problems.push(`${load.lost.length} requests were lost`);
  if (kept.wrong.length > 0) problems.push(`${kept.wrong.length} forms and tasks were lost or done twice`);
  if (load.requests < 10_000) problems.push(`only ${load.requests} requests were sent`);
  if (switching.p99 > 2 * quiet.p99) {
    problems.push(
      `p99 around a switch is ${switching.p99.toFixed(0)} ms, that before ${quiet.p99.toFixed(0)} ms`,
    );
  }

  const restarted = await restartUnderLoad(workshop, station);
  const than = '`systemctl restart` in place of the switch';
  const number = (value: number) => ({ values: [value], unit: '' }) as const;
  const times = ({ p99 }: Latency) => ({ values: [p99], unit: 'ms' }) as const;
  const deploys = events.filter(({ name }) => !name.includes('broken')).length;
  return [
    {
      what: `requests lost of ${load.requests}, in ${deploys} deploys and rollbacks and ${events.length - deploys} broken deploys`,
      goboot: number(load.lost.length),
      reference: number(restarted.lost),
      than: `${than}, of the ${restarted.requests} around it`,
    },
    {
      what: `forms and tasks lost or done twice, of ${kept.entries} and ${kept.runs}`,
      goboot: number(kept.wrong.length),
    },
    {
      what: 'p99 around the switch',
      goboot: times(switching),
      reference: times(quiet),
      than: 'the minute before',
    },
    {
      what: 'p99 during the whole command',
      goboot: times(working),
      reference: times(quiet),
      than: 'the minute before',
    },
  ];
}

/** When visitors first saw each release but the first, and each return to one. */
function switches({ samples }: LoadResult): number[] {
  const found: number[] = [];
  const seen = samples.filter(({ release }) => release);
  // Answers end in another order than they begin: only one that begins after all others had changed counts.
  let live = seen[0]?.release;
  for (const [index, sample] of seen.entries()) {
    if (sample.release === live || sample.kind === 'slow') continue;
    const next = seen.slice(index, index + 20).filter(({ kind }) => kind !== 'slow');
    if (next.filter(({ release }) => release === sample.release).length < next.length * 0.8) continue;
    live = sample.release;
    found.push(sample.at);
  }
  return found;
}

async function restartUnderLoad(workshop: Workshop, station: Station): Promise<Latency> {
  const { site, visit } = station;
  workshop.say('restart of the unit under load');
  const { release } = await lookOnce(visit);
  const endLoad = await openLoad({ ...visit, perSecond, mixture: 'probe' });
  await sleep(12_000);
  const from = Date.now();
  await onHost(station, `systemctl restart '${site.name}-web@${release}.service'`);
  await sleep(aroundSwitch.after);
  const load = await endLoad();
  const latency = latencyBetween(load.samples, from - aroundSwitch.before, from + aroundSwitch.after);
  workshop.say(describeLatency('restart of the unit', latency));
  // A request of ten seconds that is under way holds the restart up, and is in none of the times.
  return latency;
}
