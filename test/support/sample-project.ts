import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  defaultEnvironment,
  type Environment,
  type Project,
  projectTitle,
  siteName,
} from '../../lib/project.ts';
import type { RenderedFile } from '../../lib/render.ts';
import { newVaultFile, projectFiles } from '../../lib/scaffold.ts';
import { ensureVaultPassword } from '../../lib/vault.ts';

/** A project and its environment as answers would give them, for tests and development. */
export function sampleProject(
  name: string,
  changes: Partial<Project> = {},
): { project: Project; environment: Environment } {
  return {
    project: {
      name,
      title: projectTitle(name),
      authorName: 'Sample Author',
      authorEmail: 'author@example.com',
      ...changes,
    },
    environment: {
      name: defaultEnvironment,
      site: siteName(name, defaultEnvironment),
      domain: `${name.replaceAll('_', '-')}.example.com`,
      host: { address: '192.0.2.10', user: 'admin', port: 22 },
    },
  };
}

/** Every file of a sample project, as scaffolding renders them. The vault differs at each call. */
export async function sampleFiles(name: string, changes: Partial<Project> = {}): Promise<RenderedFile[]> {
  const { project, environment } = sampleProject(name, changes);
  return projectFiles(project, environment, '');
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
  const password = await ensureVaultPassword(directory, defaultEnvironment);
  if (password) files.push(await newVaultFile(defaultEnvironment, password));
  for (const file of files) {
    const path = join(directory, file.path);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, file.contents, { mode: file.mode });
  }
  return files.map((file) => file.path);
}
