import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { installGenerator } from './installed-generator.ts';
import { createNormalUser, makeDirectoryFor, removeNormalUser } from './normal-user.ts';

/**
 * Packs and installs the generator once for all tests of a vitest project, and makes the user who runs it; returns
 * what takes everything away again.
 */
export async function setUpInstallation(
  project: TestProject,
  userOptions: { sudo?: boolean } = {},
): Promise<() => Promise<void>> {
  // Short, because the paths of sockets below it are limited to 108 bytes.
  const directory = mkdtempSync(join(tmpdir(), 'e2e-'));
  const user = await createNormalUser(directory, userOptions);
  const tearDown = async () => {
    await removeNormalUser(user);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const installed = await installGenerator(directory);
    makeDirectoryFor(user, join(directory, 'uv-cache'));
    project.provide('installation', { directory, user, installed });
  } catch (error) {
    await tearDown();
    throw error;
  }
  return tearDown;
}
