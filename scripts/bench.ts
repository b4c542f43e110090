// Measures goboot on throwaway hosts, each figure beside its reference from the same run, and prints one table.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { rehearsalSystemNames } from '../lib/rehearsal/operating-systems.ts';
import { openRehearsal } from '../lib/rehearsal/rehearsal.ts';
import { installGenerator } from '../test/support/installed-generator.ts';
import { createNormalUser, removeNormalUser } from '../test/support/normal-user.ts';
import { hosts } from './bench/hosts.ts';
import { deploy, downtime, fresh, provision, rollback } from './bench/parts.ts';
import { type Line, markdownTable } from './bench/table.ts';
import { describeComputer, openStation, prepareDirectory, type Workshop } from './bench/workshop.ts';

const usualParts = ['fresh', 'provision', 'deploy', 'rollback', 'downtime'] as const;
/** Four hosts on two cores share what four servers have each for themselves: only when it is asked for. */
const partNames = [...usualParts, 'hosts'] as const;
type Part = (typeof partNames)[number];

const usage = `npm run bench -- [--only PARTS] [--runs N] [--os SYSTEM]

  --only PARTS  some of ${partNames.join(',')}; all but hosts unless given
  --runs N      how often each of them is measured; 3 unless given (downtime: once)
  --os SYSTEM   ${rehearsalSystemNames.join(' or ')}; debian13 unless given

Needs root, and about 20 minutes on two cores. The table goes to standard output, everything else to standard error.
Exit status 1: something was lost, or visitors had to wait more than twice as long as before.`;

function refuse(reason: string): never {
  console.error(`${reason}\n\n${usage}`);
  process.exit(2);
}

function readOptions() {
  const parsed = (() => {
    try {
      return parseArgs({
        options: {
          only: { type: 'string', default: usualParts.join(',') },
          runs: { type: 'string', default: '3' },
          os: { type: 'string', default: 'debian13' },
          help: { type: 'boolean', default: false },
        },
      }).values;
    } catch (error) {
      return refuse((error as Error).message);
    }
  })();
  if (parsed.help) {
    console.log(usage);
    process.exit(0);
  }
  const parts = parsed.only.split(',').map((name) => name.trim()) as Part[];
  const unknown = parts.find((name) => !partNames.includes(name));
  if (unknown !== undefined) refuse(`There is no part ${JSON.stringify(unknown)}`);
  const runs = Number(parsed.runs);
  if (!Number.isInteger(runs) || runs < 1) {
    refuse(`The number of runs ${JSON.stringify(parsed.runs)} is not a whole number above 0`);
  }
  const os = rehearsalSystemNames.find((name) => name === parsed.os);
  if (!os) refuse(`The operating system ${JSON.stringify(parsed.os)} is not known`);
  if (process.getuid?.() !== 0) refuse('This needs root: throwaway hosts, other users, and port 443');
  return { parts: new Set(parts), runs, os };
}

/** What was measured; a part that fails does not keep the next from being measured. */
async function measure(workshop: Workshop, parts: Set<Part>, runs: number, problems: string[]) {
  const lines: Line[] = [];
  const part = async (name: Part, act: () => Promise<Line[]>) => {
    if (!parts.has(name)) return;
    try {
      lines.push(...(await act()));
    } catch (error) {
      const problem = `${name} could not be measured: ${(error as Error).message}`;
      workshop.say(problem);
      problems.push(problem);
    }
  };
  await part('fresh', () => fresh(workshop, runs));
  await part('hosts', () => hosts(workshop, runs));
  if (['provision', 'deploy', 'rollback', 'downtime'].some((name) => parts.has(name as Part))) {
    const station = await openStation(workshop, { distant: true });
    workshop.say('provision and deploy for the first time');
    const { exitCode, output } = await station.site.deploy();
    if (exitCode !== 0) throw new Error(output);
    await part('provision', () => provision(workshop, station, runs));
    await part('deploy', () => deploy(workshop, station, runs));
    await part('rollback', () => rollback(workshop, station, runs));
    await part('downtime', () => downtime(workshop, station, problems));
    await station.close();
  }
  return lines;
}

const { parts, runs, os } = readOptions();
const begun = Date.now();
const say = (text: string) =>
  console.error(`${String(Math.round((Date.now() - begun) / 1000)).padStart(5)} s  ${text}`);
// Short, because the paths of sockets below it are limited.
const directory = mkdtempSync(join(tmpdir(), 'bench-'));
const user = await createNormalUser(directory, { sudo: true });
const session = await openRehearsal();
let ending: Promise<void> | undefined;
const end = () => {
  ending ??= (async () => {
    await session.close();
    await removeNormalUser(user);
    rmSync(directory, { recursive: true, force: true });
  })();
  return ending;
};
for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => void end().finally(() => process.exit(status)));
}

const problems: string[] = [];
try {
  say('pack goboot and install it with yo');
  const workshop: Workshop = {
    session,
    os,
    directory,
    user,
    installed: await installGenerator(directory),
    say,
  };
  prepareDirectory(workshop);
  const lines = await measure(workshop, parts, runs, problems);
  const date = new Date().toISOString().slice(0, 10);
  console.log(
    `Measured on ${date}, host: ${os}, medians of ${runs} runs. ${await describeComputer(join(workshop.installed.newerNode, 'node'))}.\n`,
  );
  console.log(markdownTable(lines));
} finally {
  await end();
}
for (const problem of problems) console.error(`PROBLEM: ${problem}`);
process.exit(problems.length > 0 ? 1 : 0);
