import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { startTestHost, type TestHost } from '../../test/support/test-host.ts';
import type { Line } from './table.ts';
import { openStation, type Station, type Workshop } from './workshop.ts';

const number = 4;

/** Provisions every environment of a station's project, and returns how long that took. */
async function secondsToProvision({ site }: Station): Promise<number> {
  const { exitCode, output, from, to } = await site.yo(['goboot:host', '--provision']);
  if (exitCode !== 0) throw new Error(`yo failed:\n${output}`);
  return (to - from) / 1000;
}

/** Adds an environment on another new host, which is not provisioned yet. */
async function addHost(workshop: Workshop, station: Station, name: string): Promise<TestHost> {
  const host = await startTestHost(workshop.session, `${station.host.name}-${name}`, workshop.os);
  const { exitCode, output } = await station.site.yo([
    ...['goboot:host', host.address, `--environment=${name}`, `--domain=${name}.${station.site.domain}`],
    ...[`--key-file=${host.keyFileFor(station.place)}`, '--skip-github', '--skip-deploy', '--yes'],
  ]);
  if (exitCode !== 0) throw new Error(`yo failed:\n${output}`);
  appendFileSync(join(station.site.directory, '.ansible/known_hosts'), `${host.knownHostsLine}\n`);
  await station.site.git('commit', '--quiet', '--all', '--message', `Know the host of ${name}`);
  await station.acme.pointDomain(`${name}.${station.site.domain}`, host.address);
  return host;
}

/** Four new hosts that are provisioned side by side, beside one new host. */
export async function hosts(workshop: Workshop, runs: number): Promise<Line[]> {
  const [one, four]: [number[], number[]] = [[], []];
  for (let run = 0; run < runs; run += 1) {
    const alone = await openStation(workshop);
    workshop.say('one new host: provision');
    one.push(await secondsToProvision(alone));
    await alone.close();

    const station = await openStation(workshop);
    const others: TestHost[] = [];
    for (let index = 2; index <= number; index += 1) {
      others.push(await addHost(workshop, station, `site${index}`));
    }
    workshop.say(`${number} new hosts: provision side by side`);
    four.push(await secondsToProvision(station));
    for (const host of others) await host.stop();
    await station.close();
  }
  return [
    {
      what: `${number} fresh hosts: provision side by side`,
      goboot: { values: four, unit: 's' },
      reference: { values: one, unit: 's' },
      than: 'one fresh host',
    },
  ];
}
