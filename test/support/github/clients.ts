import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Octokit } from '@octokit/rest';
import { execa, type Result } from 'execa';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { type GitHub, startGitHub } from './server.ts';

/**
 * A server for the tests of a file. After each of them, nothing may have been other than GitHub describes it; faults
 * and recorded requests are forgotten.
 */
export function useGitHub(options: Parameters<typeof startGitHub>[0] = {}): () => GitHub {
  let github: GitHub | undefined;
  beforeAll(async () => {
    github = await startGitHub(options);
  });
  afterEach(() => {
    github?.heal();
    github?.requests.splice(0);
    expect(github?.violations.splice(0)).toEqual([]);
  });
  afterAll(() => github?.close());
  return () => {
    if (!github) throw new Error('The server is started before the tests, not while they are collected');
    return github;
  };
}

/** A client without retries, and without words about requests that fail. */
export function octokit(github: GitHub, token?: string): Octokit {
  const silent = () => {};
  return new Octokit({
    baseUrl: github.url,
    ...(token !== undefined && { auth: token }),
    log: { debug: silent, info: silent, warn: silent, error: silent },
  });
}

/** Runs git as somebody who has nothing but a token, which is handed over in the environment. */
export function gitWith(token: string | undefined, directory: string, ...args: string[]): Promise<Result> {
  return execa('git', args, {
    cwd: directory,
    reject: false,
    extendEnv: false,
    env: {
      PATH: process.env.PATH,
      HOME: directory,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      GIT_AUTHOR_NAME: 'Ada',
      GIT_AUTHOR_EMAIL: 'ada@example.com',
      GIT_COMMITTER_NAME: 'Ada',
      GIT_COMMITTER_EMAIL: 'ada@example.com',
      ...(token !== undefined && {
        TOKEN: token,
        GIT_CONFIG_COUNT: '2',
        GIT_CONFIG_KEY_0: 'credential.helper',
        GIT_CONFIG_VALUE_0: '',
        GIT_CONFIG_KEY_1: 'credential.helper',
        GIT_CONFIG_VALUE_1:
          '!f() { test "$1" = get || exit 0; echo username=x-access-token; echo "password=$TOKEN"; }; f',
      }),
    },
  });
}

/** Makes a commit of the files in a directory, which becomes a repository if it is none. Returns its SHA. */
export async function commitFiles(
  directory: string,
  files: Readonly<Record<string, string>>,
): Promise<string> {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
  const git = async (...args: string[]) => {
    const result = await gitWith(undefined, directory, ...args);
    if (result.exitCode !== 0) throw new Error(String(result.stderr));
    return String(result.stdout);
  };
  await git('init', '--quiet', '--initial-branch=main');
  await git('add', '--', ...Object.keys(files));
  await git('commit', '--quiet', '--message', 'Change');
  return git('rev-parse', 'HEAD');
}
