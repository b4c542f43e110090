import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { installGenerator } from '../support/installed-generator.ts';
import { createNormalUser, makeDirectoryFor, removeNormalUser } from '../support/normal-user.ts';

/** Packs and installs the generator once for all end-to-end tests; returns what takes everything away again. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // Short, because the paths of sockets below it are limited to 108 bytes.
  const directory = mkdtempSync(join(tmpdir(), 'e2e-'));
  const user = await createNormalUser(directory);
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
