// Measures how long lint and test of a new project take as workflows, with empty caches and with filled ones.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { commit } from '../lib/git.ts';
import { lockPythonPackages } from '../lib/python-lock.ts';
import { push } from '../test/support/actions/events.ts';
import { localServicePrograms } from '../test/support/actions/job-services.ts';
import { runWorkflow } from '../test/support/actions/run.ts';
import { TestRepository } from '../test/support/actions/test-repository.ts';
import { lookAtThisComputer } from '../test/support/actions/this-computer.ts';
import { writeSampleProject } from '../test/support/sample-project.ts';
import { type Line, markdownTable, median } from './bench/table.ts';
import { describeComputer } from './bench/workshop.ts';

const files = ['lint', 'test'] as const;
const { runs: given } = parseArgs({ options: { runs: { type: 'string', default: '3' } } }).values;
const runs = Number(given);
if (!Number.isInteger(runs) || runs < 1) {
  console.error(`The number of runs ${JSON.stringify(given)} is not a whole number above 0`);
  process.exit(2);
}
const say = (text: string) => console.error(text);

const directory = mkdtempSync(join(tmpdir(), 'goboot-bench-'));
let services: Awaited<ReturnType<typeof localServicePrograms>> | undefined;
try {
  say('Render and lock a project');
  const project = join(directory, 'shop');
  await writeSampleProject(project, 'shop');
  const problem = await lockPythonPackages(project);
  if (problem) throw new Error(problem);
  await commit(project, { message: 'Start', identity: { name: 'Ada', email: 'ada@example.com' } });
  const repository = TestRepository.copyOf(directory, project);
  services = await localServicePrograms();
  const computer = await lookAtThisComputer(directory);
  const [python] = computer.pythons.slice(-1);
  const measured = new Map<string, Map<string, number[]>>();

  for (let turn = 1; turn <= runs; turn++) {
    for (const file of files) {
      const caches = join(directory, `caches-${turn}-${file}`);
      mkdirSync(caches);
      for (const state of ['cold', 'warm']) {
        const run = await runWorkflow(repository, `.github/workflows/${file}.yml`, push(repository), {
          ...computer.options([python as string]),
          directory,
          caches,
          services,
        });
        if (run.conclusion !== 'success') throw new Error(run.log);
        const [job] = run.jobs.filter(({ conclusion }) => conclusion === 'success');
        const parts = measured.get(`${file}, ${state}`) ?? new Map<string, number[]>();
        measured.set(`${file}, ${state}`, parts);
        const steps = (job?.steps ?? []).map(({ name, seconds }) => [name, seconds] as const);
        for (const [name, seconds] of [['', job?.seconds ?? Number.NaN] as const, ...steps]) {
          parts.set(name, [...(parts.get(name) ?? []), seconds]);
        }
        say(`${file}.yml, ${state}: ${job?.seconds.toFixed(1)} s`);
      }
      rmSync(caches, { recursive: true, force: true });
    }
  }

  const lines: Line[] = [...measured].flatMap(([what, parts]) =>
    [...parts]
      .filter(([name, values]) => name === '' || median(values) >= 0.5)
      .map(([name, values]) => ({
        what: name ? `${what}: ${name}` : `**${what}**: the whole job`,
        goboot: { values, unit: 's' as const },
      })),
  );
  const date = new Date().toISOString().slice(0, 10);
  console.log(
    `Measured on ${date}, medians of ${runs} runs, Python ${python}. ${await describeComputer(process.execPath)}.\n`,
  );
  console.log(markdownTable(lines));
} finally {
  await services?.stop();
  rmSync(directory, { recursive: true, force: true });
}
