import type { TestProject } from 'vitest/node';
import { setUpInstallation } from '../support/installation.ts';

/** Packs and installs the generator once; its user has no special rights. */
export default function setup(project: TestProject): Promise<() => Promise<void>> {
  return setUpInstallation(project);
}
