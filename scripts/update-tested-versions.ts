// Writes lib/tested-versions/constraints.txt: the version of every package that a rendered project locks today.
// Scaffolding locks with them, so that users get what the tests of this release ran with.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../lib/paths.ts';
import { runOrThrow } from '../lib/process.ts';
import { lockedVersions } from '../test/support/locked-versions.ts';
import { writeSampleProject } from '../test/support/sample-project.ts';

const destination = join(packageRoot, 'lib/tested-versions/constraints.txt');
const directory = await mkdtemp(join(tmpdir(), 'goboot-versions-'));
try {
  await writeSampleProject(directory, 'shop');
  await runOrThrow('uv', ['lock', '--upgrade', '--quiet'], {
    cwd: directory,
    failure: 'uv could not lock the rendered project',
  });
  const stdout = await lockedVersions(directory);
  const lines = stdout.trim().split('\n').sort();
  await writeFile(destination, `# Written by \`npm run update:versions\`.\n${lines.join('\n')}\n`);
  console.log(`${lines.length} versions in ${destination}`);
} finally {
  await rm(directory, { recursive: true, force: true });
}
