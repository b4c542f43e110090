import { rm } from 'node:fs/promises';
import { inspect } from 'node:util';
import { expect } from 'vitest';
import { GobootError } from '../../lib/errors.ts';
import { Journal } from '../../lib/journal.ts';
import type { ActiveFault, Failure, PushFailure } from './github/faults.ts';
import { type GitHub, startGitHub } from './github/server.ts';
import {
  besidesKeys,
  ProjectTemplate,
  projectName,
  type RunOptions,
  runPublication,
  runUndo,
  unknownTo,
} from './publication.ts';

/** Cases that run side by side, each with a server of its own. */
const lanes = 4;
const owner = 'pro-user';
const fullName = `${owner}/${projectName}`;
const forever = Number.POSITIVE_INFINITY;
/** Seconds that no run waits for. */
const tooLong = 3600;

interface Fault {
  with: Failure | PushFailure;
  times: number;
  afterEffect?: boolean;
  retryAfter?: number;
  reason?: string;
}

/** What requests are answered with: once, which a run may overcome by itself, or from then on. */
const requestFaults: readonly Fault[] = [
  ...([401, 403, 'saml', 404, 409, 422, 500] as const).map((failure) => ({ with: failure, times: forever })),
  { with: 429, times: 1, retryAfter: 1 },
  { with: 429, times: forever, retryAfter: tooLong },
  { with: 502, times: 1 },
  { with: 'reset', times: 1 },
  { with: 'reset', times: 1, afterEffect: true },
  { with: 'silence', times: forever },
];

const pushFaults: readonly Fault[] = [
  { with: 401, times: 1 },
  { with: 403, times: 1 },
  { with: 404, times: forever },
  { with: 500, times: 1 },
  { with: 'reset', times: 1 },
  { with: 'reset', times: 1, afterEffect: true },
  { with: 'rejected', times: 1, reason: 'Internal Server Error' },
  {
    with: 'rejected',
    times: 1,
    reason:
      'refusing to allow a Personal Access Token to create or update workflow `.github/workflows/deploy.yml` without `workflow` scope',
  },
  { with: 'silence', times: 1 },
  { with: 'silence', times: 1, afterEffect: true },
];

/** A request of a clean run: the nth of its kind. */
interface Call {
  method: string;
  path: string;
  nth: number;
}

interface Case {
  name: string;
  strike(server: GitHub): ActiveFault;
  /** Whether it takes patience: the run is given up soon. */
  silent: boolean;
  /** Whether it is what GitHub answers where the plan has no environments, so that the settings go elsewhere. */
  deniesEnvironments?: boolean;
}

interface Bench {
  server: GitHub;
  template: ProjectTemplate;
}

async function optionsFor({ server, template }: Bench): Promise<RunOptions> {
  return { server, root: await template.copy(), token: server.token('classic', owner) };
}

/** The requests of the API in a clean run, and what it leads to. */
async function cleanRun(bench: Bench): Promise<{ calls: Call[]; state: unknown }> {
  const { server } = bench;
  const options = await optionsFor(bench);
  server.requests.splice(0);
  await runPublication(options);
  const counts = new Map<string, number>();
  const calls = server.requests
    .filter(({ kind }) => kind === 'api')
    .map(({ method, path }) => {
      const nth = (counts.get(`${method} ${path}`) ?? 0) + 1;
      counts.set(`${method} ${path}`, nth);
      return { method, path, nth };
    });
  expect(unknownTo(options.root, fullName, server.repository(fullName))).toEqual([]);
  const state = besidesKeys(server.repository(fullName), options.root);
  await runUndo(options);
  return { calls, state };
}

const describeFault = ({ with: failure, times, afterEffect, retryAfter, reason }: Fault) =>
  [
    failure,
    ...(reason ? [`(${reason.slice(0, 20)}…)`] : []),
    ...(afterEffect ? ['after effect'] : []),
    ...(retryAfter ? [`for ${retryAfter} s`] : []),
    times === 1 ? 'once' : 'from then on',
  ].join(' ');

function casesOf(calls: readonly Call[], push: boolean): Case[] {
  const exactly = (path: string) => new RegExp(`^${path.replaceAll(/[.*+?^$()[\]{}|\\]/g, '\\$&')}$`);
  return [
    ...calls.flatMap(({ method, path, nth }) =>
      requestFaults.map(
        (fault): Case => ({
          name: `${describeFault(fault)} at ${method} ${path} (${nth})`,
          silent: fault.with === 'silence',
          deniesEnvironments:
            fault.with === 404 && method === 'PUT' && path.endsWith('/environments/production'),
          strike: (server) =>
            server.fail({ ...fault, with: fault.with as Failure, method, path: exactly(path), nth }),
        }),
      ),
    ),
    ...(push ? pushFaults : []).map(
      (fault): Case => ({
        name: `${describeFault(fault)} at the push`,
        silent: fault.with === 'silence',
        strike: (server) => server.failPush({ ...fault, with: fault.with as PushFailure }),
      }),
    ),
  ];
}

interface Outcome {
  error?: GobootError;
  hits: number;
}

async function runInto(fault: Case, options: RunOptions): Promise<Outcome> {
  const { server } = options;
  const active = fault.strike(server);
  const client = fault.silent ? { timeout: 250 } : {};
  try {
    await runPublication({ ...options, client });
    return { hits: active.hits };
  } catch (error) {
    return { error: error as GobootError, hits: active.hits };
  }
}

/** What is wrong with the error of a run that failed; nothing where all is well. */
function faultsOf(error: GobootError, token: string): string[] {
  if (!(error instanceof GobootError)) return [`no GobootError: ${inspect(error)}`];
  const { message, code } = error;
  return [
    ...(code === 1 || code === 3 ? [] : [`exit status ${code}`]),
    ...(/^\S[\s\S]{20,}[^.\s]$/.test(message) ? [] : [`a poor message: ${message}`]),
    ...(/GitHub|push|repository|127\.0\.0\.1/.test(message)
      ? []
      : [`it does not say what failed: ${message}`]),
    ...(/^\s+at /m.test(message + error.remedy) ? ['a stack trace'] : []),
    ...(/undefined|\[object|null\b/.test(`${message}`) ? [`a hole in the message: ${message}`] : []),
    ...(inspect(error, { depth: 10, showHidden: true }).includes(token) ? ['the token is in the error'] : []),
  ];
}

/** Runs into a fault twice, on two copies: one goes on afterwards, the other is undone. Returns what went wrong. */
async function examine(fault: Case, bench: Bench, wanted: unknown): Promise<string[]> {
  const { server } = bench;
  const problems: string[] = [];
  const expectSame = (what: string, actual: unknown, expected: unknown) => {
    try {
      expect(actual).toEqual(expected);
    } catch (error) {
      problems.push(`${what}: ${(error as Error).message}`);
    }
  };

  const first = await optionsFor(bench);
  const { error, hits } = await runInto(fault, first);
  if (hits === 0) problems.push('the fault never struck');
  const found = server.repository(fullName);
  if (error) problems.push(...faultsOf(error, first.token));
  else if (!fault.deniesEnvironments)
    expectSame('what a run that overcame it leads to', besidesKeys(found, first.root), wanted);
  expectSame('what the journal does not know', unknownTo(first.root, fullName, found), []);
  server.heal();
  await runPublication(first);
  const completed = server.repository(fullName);
  if (!fault.deniesEnvironments)
    expectSame('what the next run leads to', besidesKeys(completed, first.root), wanted);
  expectSame('what the journal does not know then', unknownTo(first.root, fullName, completed), []);
  const undone = await runUndo(first);
  expectSame('what an undo of all leaves', [undone.left, server.repository(fullName)], [[], undefined]);
  await rm(first.root, { recursive: true });

  if (error) {
    const second = await optionsFor(bench);
    await runInto(fault, second);
    server.heal();
    const { left } = await runUndo(second);
    expectSame('what an undo at once leaves', [left, server.repository(fullName)], [[], undefined]);
    expectSame('what the journal holds after it', Journal.open(second.root).ours(), []);
    await rm(second.root, { recursive: true });
  }
  return problems;
}

/**
 * Makes runs fail in every way at those requests of a clean run that are chosen, and at the push if that is. Expects
 * that each is told by a message, that the journal knows of everything then, and that the next run completes it, or
 * an undo removes it. Prints how many did.
 */
export async function examineFaults(chosen: { isChosen(call: Call): boolean; push: boolean }): Promise<void> {
  const template = await ProjectTemplate.make({ only: ['.github', '.gitignore', '.ansible/inventory'] });
  const servers = await Promise.all(Array.from({ length: lanes }, () => startGitHub()));
  try {
    const [first] = servers as [GitHub];
    const { calls, state } = await cleanRun({ server: first, template });
    expect(calls.length).toBeGreaterThan(20);
    const cases = casesOf(calls.filter(chosen.isChosen), chosen.push);
    const waiting = [...cases];
    const failed: string[] = [];
    await Promise.all(
      servers.map(async (server) => {
        for (let next = waiting.shift(); next; next = waiting.shift()) {
          const problems = await examine(next, { server, template }, state).catch((error) => [
            inspect(error),
          ]);
          problems.push(...server.violations.splice(0));
          if (problems.length > 0) failed.push(`${next.name}\n  ${problems.join('\n  ')}`);
          await clearAway(server);
        }
      }),
    );
    console.log(`Interrupted publications: ${cases.length - failed.length} of ${cases.length}`);
    expect(failed.join('\n')).toBe('');
  } finally {
    await Promise.all([...servers.map((server) => server.close()), template.remove()]);
  }
}

/** So that one case that went wrong does not spoil the next. */
async function clearAway(server: GitHub): Promise<void> {
  server.heal();
  if (!server.repository(fullName)) return;
  const token = server.token('classic', owner);
  await fetch(`${server.url}/repos/${fullName}`, {
    method: 'DELETE',
    headers: { authorization: `token ${token}`, 'user-agent': 'tests' },
  });
}
