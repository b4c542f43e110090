// Writes lib/reserved-names.ts: the names that a project cannot have, because Python could not tell it from
// something else that it imports.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../lib/paths.ts';
import { runOrThrow } from '../lib/process.ts';
import { writeSampleProject } from '../test/support/sample-project.ts';

// The oldest Python that a project runs on. Later ones removed modules, and added few.
const python = '3.11';
// From "New modules" in What's New in Python 3.12, 3.13 and 3.14, without private ones.
const laterStandardLibrary = ['annotationlib', 'compression'];
// Python's own tests, and directories that appear when a project is used.
const unlistedStandardLibrary = ['test'];
const laterDirectories = ['media', 'staticfiles', 'venv'];

interface ModuleNames {
  keywords: string[];
  standardLibrary: string[];
  packages: Record<string, string>;
}

const destination = join(packageRoot, 'lib/reserved-names.ts');
const sampleName = 'sample_project';
const directory = await mkdtemp(join(tmpdir(), 'goboot-names-'));
try {
  const files = await writeSampleProject(directory, sampleName);
  const { stdout } = await runOrThrow(
    'uv',
    [
      'run',
      '--quiet',
      '--python',
      python,
      '--all-groups',
      'python',
      join(packageRoot, 'scripts/list-module-names.py'),
    ],
    { cwd: directory, failure: 'uv could not install the rendered project' },
  );
  const names: ModuleNames = JSON.parse(stdout);
  const projectNames = files
    .map((path) => String(path.split('/')[0]).replace(/\.py$/, ''))
    .filter((name) => name !== sampleName);

  const owners = new Map<string, string>();
  const add = (name: string, owner: string) => owners.set(name, owners.get(name) ?? owner);
  for (const name of names.keywords) add(name, 'the Python language');
  for (const name of [...names.standardLibrary, ...laterStandardLibrary, ...unlistedStandardLibrary]) {
    add(name, "Python's standard library");
  }
  for (const name of [...projectNames, ...laterDirectories])
    add(name, 'a module or directory of the project itself');
  for (const [name, owner] of Object.entries(names.packages)) add(name, `the package ${owner}`);

  const entries = [...owners]
    // The others, and the helpers of compiled packages, are no valid project names in any case.
    .filter(([name]) => /^[a-z][a-z0-9_]*$/.test(name) && !name.includes('__'))
    .sort(([first], [second]) => (first < second ? -1 : 1));
  const source = `// Written by \`npm run update:names\`.

/** Module names that a project must not have, and what each of them belongs to. */
export const reservedModuleNames: ReadonlyMap<string, string> = new Map(
  Object.entries(${JSON.stringify(Object.fromEntries(entries))}),
);
`;
  await writeFile(destination, source);
  await runOrThrow('npx', ['biome', 'check', '--write', destination], {
    cwd: packageRoot,
    failure: 'biome could not format the list',
  });
  console.log(`${entries.length} names in ${destination}`);
} finally {
  await rm(directory, { recursive: true, force: true });
}
