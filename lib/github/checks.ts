import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';

interface Job {
  name?: unknown;
  uses?: unknown;
  strategy?: { matrix?: unknown };
}

interface Workflow {
  on?: unknown;
  jobs?: Record<string, Job>;
}

/** Relative to the project root. */
const workflowsDirectory = join('.github', 'workflows');

/**
 * The names of the checks that GitHub runs on every pull request, read from the project's own workflows, so that
 * what is required is what runs. Jobs whose names only GitHub can know, and workflows that some pull requests do
 * not start, are left out: a check that never comes would block every merge.
 */
export async function pullRequestChecks(projectRoot: string): Promise<string[]> {
  const directory = join(projectRoot, workflowsDirectory);
  if (!existsSync(directory)) return [];
  const files = (await readdir(directory)).filter((name) => /\.ya?ml$/.test(name)).sort();
  const names = await Promise.all(
    files.map(async (file) => {
      const workflow = parseWorkflow(await readFile(join(directory, file), 'utf8'));
      if (!workflow || !runsOnEveryPullRequest(workflow.on)) return [];
      return Object.entries(workflow.jobs ?? {}).flatMap(([id, job]) => checkNames(id, job));
    }),
  );
  return [...new Set(names.flat())];
}

function parseWorkflow(text: string): Workflow | undefined {
  try {
    return parse(text) as Workflow;
  } catch {
    // GitHub does not run what it cannot read.
    return undefined;
  }
}

function runsOnEveryPullRequest(on: unknown): boolean {
  if (on === 'pull_request') return true;
  if (Array.isArray(on)) return on.includes('pull_request');
  if (typeof on !== 'object' || on === null || !('pull_request' in on)) return false;
  const filters = on.pull_request;
  return filters === null || (typeof filters === 'object' && Object.keys(filters).length === 0);
}

type Values = Record<string, string>;

function checkNames(id: string, { name, uses, strategy }: Job): string[] {
  // Checks of a called workflow carry its names, too.
  if (uses !== undefined) return [];
  const combinations = strategy?.matrix === undefined ? [{}] : matrixCombinations(strategy.matrix);
  const template = typeof name === 'string' ? name : id;
  return combinations
    .map((values) => {
      const used = template.replaceAll(
        /\$\{\{\s*matrix\.([\w-]+)\s*\}\}/g,
        (whole, key) => values[key] ?? whole,
      );
      const parts = Object.values(values);
      // GitHub puts the values behind a name that holds none of them.
      return template.includes('matrix.') || parts.length === 0 ? used : `${template} (${parts.join(', ')})`;
    })
    .filter((check) => !check.includes('${{'));
}

/** Only plain lists: what expressions, include and exclude make of a matrix is GitHub's to say. */
function matrixCombinations(matrix: unknown): Values[] {
  if (typeof matrix !== 'object' || matrix === null) return [];
  let combinations: Values[] = [{}];
  for (const [key, list] of Object.entries(matrix)) {
    if (key === 'include' || key === 'exclude' || !Array.isArray(list)) return [];
    if (list.some((value) => typeof value === 'object')) return [];
    combinations = combinations.flatMap((values) =>
      list.map((value) => ({ ...values, [key]: String(value) })),
    );
  }
  return combinations;
}
