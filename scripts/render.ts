// Renders a sample project into a directory, for work on the templates: no questions, no git, no lock file.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { renderProject } from '../lib/render.ts';
import { sampleEnvironment, sampleProject } from '../test/support/sample.ts';

const [directory, name = 'shop'] = process.argv.slice(2);
if (!directory) {
  console.error('usage: npm run --silent render -- DIRECTORY [PROJECT_NAME]');
  process.exit(2);
}

const files = await renderProject(sampleProject(name), [
  sampleEnvironment({ domain: `${name.replaceAll('_', '-')}.example.com` }, name),
]);
for (const file of files) {
  const path = join(resolve(directory), file.path);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, file.contents, { mode: file.mode });
}
console.log(`${files.length} files in ${resolve(directory)}`);
