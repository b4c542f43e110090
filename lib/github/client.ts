import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Octokit } from '@octokit/rest';
import { GobootError, usageError } from '../errors.ts';
import { validateGitHubUrl } from '../validate.ts';
import { gobootVersion } from '../version.ts';
import { GitHubError, gitHubError, isGitHubFailure, notGitHub, publicApiUrl } from './errors.ts';
import { type TokenKind, tokenKind } from './token.ts';

/** The version of the API that all calls are written for. */
const apiVersion = '2022-11-28';

const requestTimeout = 30_000;
/** A rate limit that ends within this many seconds is waited for. */
const patience = 60;
/** How often a request is repeated that GitHub itself or the network failed, and that may be repeated. */
const retries = 2;
/** Waits between looks for something that was created a moment ago, in units of the pace. */
const settlingWaits = [1, 2, 4];

export interface GitHubOptions {
  /** Base URL of the API; that of github.com unless given. */
  url?: string;
  token: string;
  /** Called before a rate limit is waited for, with the number of seconds. */
  onWait?: (seconds: number) => void;
  /** Milliseconds to wait for each answer. */
  timeout?: number;
  /** Milliseconds that stand for one second of waiting between attempts. */
  pace?: number;
}

type Api = Octokit['rest'];

/** An answer of GitHub, as Octokit returns it. */
interface Answered<Data> {
  data: Data;
  headers: Record<string, string | number | undefined>;
  status: number;
}

/**
 * GitHub's API for one token. All requests go through `call`, so that all errors are GitHubErrors. The token is kept
 * where `inspect` does not show it.
 */
export class GitHub {
  readonly apiUrl: string;
  readonly tokenKind: TokenKind;
  readonly #octokit: Octokit;
  readonly #token: string;
  readonly #timeout: number;
  readonly #pace: number;

  constructor(
    octokit: Octokit,
    { token, apiUrl, timeout, pace }: { token: string; apiUrl: string; timeout: number; pace: number },
  ) {
    this.apiUrl = apiUrl;
    this.tokenKind = tokenKind(token);
    this.#octokit = octokit;
    this.#token = token;
    this.#timeout = timeout;
    this.#pace = pace;
  }

  /** Whether it is github.com, not a GitHub Enterprise Server. */
  get isPublic(): boolean {
    return this.apiUrl === publicApiUrl;
  }

  /** Milliseconds that stand for one second of waiting between attempts. */
  get pace(): number {
    return this.#pace;
  }

  /** Milliseconds to wait for each answer. */
  get timeout(): number {
    return this.#timeout;
  }

  /** Hands the token over, for programs that must be given it (through their environment). */
  token(): string {
    return this.#token;
  }

  /** Waits for a number of seconds. */
  async wait(seconds: number): Promise<void> {
    await sleep(seconds * this.#pace);
  }

  /**
   * Makes one request and returns the answer. Throws a GitHubError.
   *
   * @param action completes "goboot could not …".
   */
  async call<Data>(action: string, request: (api: Api) => Promise<Answered<Data>>): Promise<Answered<Data>> {
    const context = { action, token: this.#token, apiUrl: this.apiUrl, timeout: this.#timeout };
    try {
      const answer = await request(this.#octokit.rest);
      if (typeof answer.data === 'string' && answer.data !== '') {
        const { message, ...options } = notGitHub(context);
        throw new GitHubError(message, options);
      }
      return answer;
    } catch (error) {
      throw gitHubError(error, context);
    }
  }

  /** Like `call`, but undefined where GitHub answers "not found". */
  async find<Data>(
    action: string,
    request: (api: Api) => Promise<Answered<Data>>,
  ): Promise<Data | undefined> {
    try {
      return (await this.call(action, request)).data;
    } catch (error) {
      if (isGitHubFailure(error, 'not found')) return undefined;
      throw error;
    }
  }

  /** Makes a request that removes something, and returns whether it was there. */
  async remove(action: string, request: (api: Api) => Promise<Answered<unknown>>): Promise<boolean> {
    // Without a body, Octokit's data is an empty text.
    return (await this.find(action, request)) !== undefined;
  }

  /** Reads all pages of a list; a few lists have smaller pages than the rest. */
  async list<Item>(
    action: string,
    page: (api: Api, parameters: { per_page: number; page: number }) => Promise<Answered<Item[]>>,
    perPage = 100,
  ): Promise<Item[]> {
    const items: Item[] = [];
    for (let number = 1; ; number += 1) {
      const { data } = await this.call(action, (api) => page(api, { per_page: perPage, page: number }));
      items.push(...data);
      if (data.length < perPage) return items;
    }
  }

  /**
   * Repeats what is refused with "not found" for some seconds, because GitHub needs them until something that it
   * has just created can be found everywhere.
   */
  async afterCreation<Result>(
    attempt: () => Promise<Result>,
    waits: readonly number[] = settlingWaits,
  ): Promise<Result> {
    for (const seconds of waits) {
      try {
        return await attempt();
      } catch (error) {
        if (!isGitHubFailure(error, 'not found')) throw error;
      }
      await this.wait(seconds);
    }
    return attempt();
  }

  /**
   * Creates something that must not be created twice. When the answer is lost, it looks whether the thing is there,
   * and tries once more only if it is not.
   */
  async createOnce<Thing>(
    create: () => Promise<Thing>,
    find: () => Promise<Thing | undefined>,
  ): Promise<Thing> {
    const looked = async () => {
      for (const seconds of [0, ...settlingWaits]) {
        if (seconds > 0) await this.wait(seconds);
        const thing = await find();
        if (thing !== undefined) return thing;
      }
      return undefined;
    };
    try {
      return await create();
    } catch (error) {
      if (!isGitHubFailure(error) || !error.lostAnswer) throw error;
      const thing = await looked();
      if (thing !== undefined) return thing;
    }
    try {
      return await create();
    } catch (error) {
      if (!isGitHubFailure(error)) throw error;
      // Of the first request nobody knows whether it has arrived after all.
      const unknown = error.afterLostAnswer();
      if (!isGitHubFailure(error, 'exists', 'conflict', 'server', 'network')) throw unknown;
      if (isGitHubFailure(error, 'server', 'network') && !error.lostAnswer) throw unknown;
      const thing = await looked();
      if (thing === undefined) throw unknown;
      return thing;
    }
  }
}

/** Node's fetch, given up after a time, and failing where an answer is cut off: Octokit would take it as empty. */
function fetchWithin(timeout: number): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, { ...init, signal: AbortSignal.timeout(timeout) });
    await response.clone().arrayBuffer();
    return response;
  };
}

/**
 * Prepares the use of GitHub's API with a token. No request is made yet, but Octokit is loaded, which takes a while.
 *
 * Rate limits that end within a minute are waited for. What fails at GitHub or on the way is repeated where that can
 * do no harm, which is not so for POST.
 */
export async function openGitHub(options: GitHubOptions): Promise<GitHub> {
  const token = options.token.trim();
  if (!token) {
    throw usageError('There is no token for GitHub', 'Set GH_TOKEN to a personal access token.');
  }
  if (/[^\x21-\x7e]/.test(token)) {
    throw usageError(
      'The token for GitHub holds characters that no token has',
      'Copy it again, in one line and without quotes, and give it as GH_TOKEN.',
    );
  }
  const apiUrl = options.url ? validateGitHubUrl(options.url) : publicApiUrl;
  const timeout = options.timeout ?? requestTimeout;
  const pace = options.pace ?? 1000;
  const octokit = await loadOctokit({ token, apiUrl, timeout, pace, onWait: options.onWait ?? (() => {}) });
  return new GitHub(octokit, { token, apiUrl, timeout, pace });
}

async function loadOctokit(
  options: Required<Omit<GitHubOptions, 'url'>> & { apiUrl: string },
): Promise<Octokit> {
  const { token, apiUrl, timeout, pace, onWait } = options;
  const [{ Octokit }, { retry }, { throttling }, { default: Bottleneck }] = await Promise.all([
    import('@octokit/rest'),
    import('@octokit/plugin-retry'),
    import('@octokit/plugin-throttling'),
    // @ts-expect-error The package declares no types for the part of it that the plugin uses, too.
    import('bottleneck/light.js'),
  ]).catch((error) => {
    throw new GobootError(`The GitHub library could not be loaded: ${(error as Error).message}`, {
      remedy: 'Install goboot again: npm install --global generator-goboot',
    });
  });

  const waitFor = (seconds: number, _options: unknown, _octokit: unknown, retryCount: number) => {
    if (seconds > patience || retryCount >= retries) return false;
    onWait(seconds);
    return true;
  };
  const silent = () => {};
  // Registered first, so it sees each attempt before the plugins do.
  const attempts = (octokit: Octokit) => {
    octokit.hook.before('request', (request) => {
      request.headers['x-github-api-version'] = apiVersion;
      // A copy, because all requests share the original, and the plugins write into it.
      request.request = { ...request.request, ...(request.method === 'POST' && { retries: 0 }) };
    });
    octokit.hook.error('request', (error, request) => {
      const failure = error as Error & { status?: number; cause?: Error };
      // Half a minute of silence, twice, is enough.
      if (failure.cause?.name === 'TimeoutError')
        request.request.retries = Math.min(request.request.retries ?? 1, 1);
      // The throttling plugin knows this limit by its text, which not every gateway writes.
      if (failure.status === 429 && !/secondary rate/i.test(failure.message)) {
        failure.message += ' (secondary rate limit)';
      }
      throw error;
    });
    return {};
  };
  const Client = Octokit.plugin(attempts as never, throttling, retry);
  return new Client({
    auth: token,
    baseUrl: apiUrl,
    userAgent: `goboot/${gobootVersion}`,
    request: { fetch: fetchWithin(timeout) },
    log: { debug: silent, info: silent, warn: silent, error: silent },
    retry: { retries, retryAfterBaseValue: pace, doNotRetry: [400, 401, 403, 404, 409, 410, 422, 429, 451] },
    throttle: {
      // Of this client alone, so that one does not wait for another.
      id: randomUUID(),
      retryAfterBaseValue: pace,
      // One write after the other, as GitHub asks. The plugin's full second between them is meant for many more.
      write: new Bottleneck.Group({ id: 'goboot-write', maxConcurrent: 1 }),
      onRateLimit: waitFor,
      onSecondaryRateLimit: waitFor,
    },
  });
}
