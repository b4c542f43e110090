import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { type NamedResult, runChecks } from '../../lib/preflight/check.ts';
import { isAtLeast, judgeNode, nodeCheck, toolChecks } from '../../lib/preflight/tools.ts';
import { sampleEnvironment } from '../support/sample.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const context = { projectRoot: '/nowhere', projectName: 'shop', environment: sampleEnvironment() };

/** What the check of a tool finds on a computer with these programs, each a line of shell, and no others. */
async function judgeWith(tool: string, programs: Record<string, string>): Promise<NamedResult | undefined> {
  const directory = temporaryDirectory();
  for (const [name, line] of Object.entries(programs)) {
    writeFileSync(join(directory, name), `#!/bin/sh\n${line}\n`);
    chmodSync(join(directory, name), 0o755);
  }
  vi.stubEnv('PATH', directory);
  try {
    const results = await runChecks(toolChecks, context);
    return results.find(({ name }) => name === tool);
  } finally {
    vi.unstubAllEnvs();
  }
}

test('the tools of this computer are found, with their versions', async () => {
  for (const result of await runChecks([...toolChecks, nodeCheck], context)) {
    expect(result).toMatchObject({ status: 'ok', detail: expect.stringMatching(/^\d+\.\d+/) });
  }
});

test.each(['git', 'ssh', 'uv'])('%s is named with how to get it when it is missing', async (tool) => {
  expect(await judgeWith(tool, {})).toMatchObject({
    status: 'failed',
    detail: `${tool} is not installed or not on the PATH`,
    remedy: expect.stringContaining('Install'),
  });
});

test.each([
  ['git', 'echo git version 2.25.1', '2.25.1 was found, and 2.28 or later is needed'],
  ['ssh', 'echo OpenSSH_7.4p1, OpenSSL 1.0.2k >&2', '7.4 was found, and 7.6 or later is needed'],
  ['uv', 'echo uv 0.4.9', '0.4.9 was found, and 0.4.27 or later is needed'],
  ['ssh', 'echo Dropbear v2022.83 >&2', 'ssh says it is "Dropbear v2022.83", and 7.6 or later is needed'],
  ['uv', 'exit 7', 'uv does not run (exit status 7)'],
])('%s that is not good enough fails (%s)', async (tool, line, detail) => {
  expect(await judgeWith(tool, { [tool]: line })).toMatchObject({
    status: 'failed',
    detail,
    remedy: expect.stringContaining('Install'),
  });
});

test.each([
  ['git', 'echo git version 2.39.3 "(Apple Git-146)"', '2.39.3'],
  ['git', 'echo git version 2.45.1.windows.1', '2.45.1'],
  ['ssh', 'echo OpenSSH_for_Windows_9.5p1, LibreSSL 3.8.2 >&2', '9.5'],
  ['ssh', 'echo OpenSSH_10.0p2 Debian-7 >&2', '10.0'],
])('%s is recognised in other systems’ words (%s)', async (tool, line, detail) => {
  expect(await judgeWith(tool, { [tool]: line })).toMatchObject({ status: 'ok', detail });
});

test('Node is judged by what the package asks for', () => {
  const judged = ['20.16.0', '20.17.0', '21.7.3', '22.8.0', '22.9.0', '24.1.0'].map(
    (version) => judgeNode(version).status,
  );
  expect(judged).toEqual(['failed', 'ok', 'failed', 'failed', 'ok', 'ok']);
});

test('versions are compared number by number', () => {
  expect(isAtLeast('2.9', '2.28')).toBe(false);
  expect(isAtLeast('10.0', '7.6')).toBe(true);
  expect(isAtLeast('0.4.27', '0.4.27')).toBe(true);
});
