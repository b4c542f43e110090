import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { defaultEnvironment, type Project } from '../../lib/project.ts';
import type { RenderedFile } from '../../lib/render.ts';
import { newVaultFile, projectFiles } from '../../lib/scaffold.ts';
import { ensureVaultPassword } from '../../lib/vault.ts';
import { sampleEnvironment, sampleProject } from './sample.ts';

/** Every file of a sample project, as scaffolding renders them, without the vault. */
export async function sampleFiles(name: string, changes: Partial<Project> = {}): Promise<RenderedFile[]> {
  return projectFiles({ ...sampleProject(name), ...changes }, [sampleEnvironment({}, name)], '');
}

/**
 * Writes a sample project with its vault into a directory, which is created. Returns the paths written, relative
 * to it.
 */
export async function writeSampleProject(
  directory: string,
  name: string,
  changes: Partial<Project> = {},
): Promise<string[]> {
  const files = await sampleFiles(name, changes);
  const password = await ensureVaultPassword(directory);
  if (password) files.push(await newVaultFile({ name: defaultEnvironment }, password));
  for (const file of files) {
    const path = join(directory, file.path);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, file.contents, { mode: file.mode });
  }
  return files.map((file) => file.path);
}
