// Renders a sample project into a directory, for work on the templates: no questions, no git, no lock file.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { defaultEnvironment, projectTitle, siteName } from '../lib/project.ts';
import { renderProject } from '../lib/render.ts';

const [directory, name = 'shop'] = process.argv.slice(2);
if (!directory) {
  console.error('usage: npm run --silent render -- DIRECTORY [PROJECT_NAME]');
  process.exit(2);
}

const files = await renderProject(
  { name, title: projectTitle(name), authorName: 'Sample Author', authorEmail: 'author@example.com' },
  {
    name: defaultEnvironment,
    site: siteName(name, defaultEnvironment),
    domain: `${name.replaceAll('_', '-')}.example.com`,
    host: { address: '192.0.2.10', user: 'admin', port: 22 },
  },
);
for (const file of files) {
  const path = join(resolve(directory), file.path);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, file.contents, { mode: file.mode });
}
console.log(`${files.length} files in ${resolve(directory)}`);
