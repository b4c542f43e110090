import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { packageRoot } from '../../lib/paths.ts';
import { summarizeFaults } from '../support/fault-results.ts';
import { setUpInstallation } from '../support/installation.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The steps of a deploy on the host, as the release command's table has them. */
    releaseSteps: string[];
    /** The tasks of deploy.yml, as Ansible lists them. */
    deployTasks: string[];
  }
}

const ansible = join(packageRoot, 'templates/ansible');

function releaseSteps(): string[] {
  const program =
    'import json; from release.steps import DEPLOY; print(json.dumps([s.name for s in DEPLOY]))';
  const cwd = join(ansible, 'roles/application/files');
  return JSON.parse(execFileSync('python3', ['-B', '-c', program], { cwd, encoding: 'utf8' }));
}

function deployTasks(): string[] {
  // From a directory without an ansible.cfg: that of the project names a vault password, which only a project has.
  const cwd = mkdtempSync(join(tmpdir(), 'tasks-'));
  try {
    const play = join(ansible, 'deploy.yml');
    const listed = execFileSync(
      'uv',
      [
        ...['run', '--quiet', '--no-project', '--with', 'ansible-core', 'ansible-playbook'],
        ...['--list-tasks', '--inventory=localhost,', play],
      ],
      { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    return [...listed.matchAll(/^ {6}(.+)\tTAGS:/gm)].map(([, name]) => name as string);
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

/** Packs and installs the generator once, lists what can be interrupted, and prints the sum at the end. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = mkdtempSync(join(tmpdir(), 'fault-results-'));
  const file = join(directory, 'results.jsonl');
  project.provide('faultResults', file);
  project.provide('releaseSteps', releaseSteps());
  project.provide('deployTasks', deployTasks());
  const tearDown = await setUpInstallation(project, { sudo: true });
  return async () => {
    console.log(`\n${summarizeFaults(file).join('\n')}\n`);
    rmSync(directory, { recursive: true, force: true });
    await tearDown();
  };
}
