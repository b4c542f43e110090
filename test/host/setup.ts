import type { TestProject } from 'vitest/node';
import { setUpInstallation } from '../support/installation.ts';

/** Packs and installs the generator once; its user may become root, as somebody who rehearses may. */
export default function setup(project: TestProject): Promise<() => Promise<void>> {
  return setUpInstallation(project, { sudo: true });
}
