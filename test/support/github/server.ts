// GitHub as far as goboot needs it: its API, judged by GitHub's own description of it, and its git over HTTP.
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import sodium from 'libsodium-wrappers';
import {
  authenticate,
  authorizeInRepository,
  tokenHeaders,
  tokenIn,
  type Viewer,
  viewerOf,
} from './access.ts';
import {
  type Account,
  allPermissions,
  allScopes,
  type ClassicToken,
  defaultAccounts,
  type FineGrainedToken,
  newToken,
} from './accounts.ts';
import type { Commit } from './bare-repository.ts';
import type { Context, Handler, RepositoryHandler } from './context.ts';
import { type ActiveFault, type Fault, Faults, failureReply, type PushFault } from './faults.ts';
import { accountHandlers } from './handlers/accounts.ts';
import { actionsHandlers } from './handlers/actions.ts';
import { deployKeyHandlers } from './handlers/deploy-keys.ts';
import { environmentHandlers } from './handlers/environments.ts';
import { gitDataHandlers } from './handlers/git-data.ts';
import { issueHandlers } from './handlers/issues.ts';
import { protectionHandlers } from './handlers/protection.ts';
import { releaseHandlers } from './handlers/releases.ts';
import { accountRepositoryHandlers, repositoryHandlers } from './handlers/repositories.ts';
import { secretHandlers } from './handlers/secrets.ts';
import { Judge } from './judge.ts';
import { errorBody, notFound, Refusal, type Reply } from './reply.ts';
import { findRoute, type Route } from './router.ts';
import { answerGit, gitRequest } from './smart-http.ts';
import {
  type ActionsStore,
  type BranchPolicy,
  type BranchProtection,
  type DeployKey,
  type Issue,
  newId,
  type Release,
  type Repository,
  type Ruleset,
  timestamp,
  type WorkflowRun,
  World,
} from './world.ts';

/** A request that reached the server. */
export interface RecordedRequest {
  method: string;
  /** Without the API's base; of git's requests, the whole path. */
  path: string;
  kind: 'api' | 'git';
  /** The id of the operation in GitHub's description. */
  operation?: string;
  authorization: 'none' | 'bearer' | 'token' | 'basic';
  token?: string;
  headers: Readonly<Record<string, string>>;
  body?: unknown;
  /** Absent where no answer was sent. */
  status?: number;
  failedWith?: string | number;
}

export interface SecretsAndVariables {
  /** As they were before they were sealed. */
  secrets: Record<string, string>;
  variables: Record<string, string>;
}

/** The state of a repository, for tests to look at. */
export interface RepositoryState extends SecretsAndVariables {
  private: boolean;
  description: string | null;
  homepage: string | null;
  topics: string[];
  defaultBranch: string;
  environments: Record<
    string,
    SecretsAndVariables & {
      branchPolicies: Pick<BranchPolicy, 'name' | 'type'>[];
      deploymentBranchPolicy: { protected_branches: boolean; custom_branch_policies: boolean } | null;
    }
  >;
  rulesets: Ruleset[];
  branchProtection: Record<string, BranchProtection>;
  deployKeys: DeployKey[];
  releases: Release[];
  issues: Issue[];
  /** Of the default branch, newest first. */
  commits: Commit[];
  /** The bare repository of git. */
  path: string;
}

type Without<T> = Partial<Omit<T, 'kind' | 'user'>>;

export interface GitHub {
  /** The base of the API, as a GitHub Enterprise Server has it. */
  url: string;
  /** Where repositories are cloned from. */
  origin: string;
  accounts: Readonly<Record<string, Account>>;
  /** Every request since the start, or since a test emptied the list. */
  requests: RecordedRequest[];
  /** What was not as GitHub describes it. A test that means to be wrong empties the list. */
  violations: string[];
  /** A new token. It has every scope or permission that goboot may need unless `options` says otherwise. */
  token(kind: 'classic', user?: string, options?: Without<ClassicToken>): string;
  token(kind: 'fine-grained', user?: string, options?: Without<FineGrainedToken>): string;
  repository(fullName: string): RepositoryState | undefined;
  /** Makes a repository as somebody would have made it on the site, with one commit if there are files. */
  addRepository(
    fullName: string,
    options?: { private?: boolean; creator?: string; files?: Record<string, string> },
  ): void;
  /** Has a workflow of a repository run for the newest commit of its default branch. Returns the run's id. */
  addRun(
    fullName: string,
    workflow: string,
    run: Partial<Pick<WorkflowRun, 'sha' | 'status' | 'conclusion'>>,
  ): number;
  /** Ends a run. */
  endRun(fullName: string, id: number, conclusion: NonNullable<WorkflowRun['conclusion']>): void;
  /** Makes requests of the API fail. */
  fail(fault: Fault): ActiveFault;
  /** Makes pushes fail. */
  failPush(fault: PushFault): ActiveFault;
  /** Ends all faults, and cuts the connections that still wait for an answer. */
  heal(): void;
  /** Stops the server and removes what it made. Rejects if there are violations. */
  close(): Promise<void>;
}

const plainHandlers: Record<string, Handler> = { ...accountHandlers, ...accountRepositoryHandlers };
const inRepository: Record<string, RepositoryHandler> = {
  ...repositoryHandlers,
  ...gitDataHandlers,
  ...secretHandlers,
  ...environmentHandlers,
  ...protectionHandlers,
  ...deployKeyHandlers,
  ...releaseHandlers,
  ...actionsHandlers,
  ...issueHandlers,
};

const apiVersions = ['2022-11-28', '2026-03-10'];

/** Starts a server of its own on 127.0.0.1. Several may run at once. */
export async function startGitHub(
  options: { accounts?: Readonly<Record<string, Account>>; port?: number } = {},
): Promise<GitHub> {
  const [judge, gitRoot] = await Promise.all([
    Judge.fromDescription(),
    mkdtemp(join(tmpdir(), 'goboot-github-')),
    sodium.ready,
  ]);
  // For processes that end without closing the server.
  const removeAtExit = () => rmSync(gitRoot, { recursive: true, force: true });
  process.once('exit', removeAtExit);
  const accounts = options.accounts ?? defaultAccounts;
  const world = new World(accounts, gitRoot);
  const faults = new Faults();
  const requests: RecordedRequest[] = [];
  const violations: string[] = [];
  // Connections that wait for an answer which does not come.
  const silenced = new Set<Socket>();
  let push: PushFault | undefined;

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      violations.push(`The server broke: ${error instanceof Error ? error.stack : error}`);
      response.destroy();
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A proxy is given whole addresses, which is how `gh` is led here.
    const target = new URL(request.url ?? '/', 'http://github.localhost');
    const method = request.method ?? 'GET';
    const { token, form } = tokenIn(request.headers.authorization);
    const path = target.pathname.replace(/^\/api\/v3(?=\/)/, '');
    const git = gitRequest(path, target.searchParams);
    const record: RecordedRequest = {
      method,
      path,
      kind: git ? 'git' : 'api',
      authorization: form,
      ...(token !== undefined && { token }),
      headers: request.headers as Record<string, string>,
    };
    requests.push(record);
    response.on('finish', () => {
      record.status = response.statusCode;
    });

    if (git) {
      // A push begins with a question about the branches; git asks it again when it is asked for a password.
      const isPush = git.service === 'git-receive-pack';
      if (isPush && git.rest === '/info/refs' && token !== undefined) push = faults.forPush();
      const fault = isPush && token !== undefined ? push : undefined;
      if (fault) record.failedWith = fault.with;
      if (fault?.with === 'silence') silenced.add(request.socket);
      return answerGit(world, request, response, git, { token, query: target.searchParams, fault });
    }

    const raw = await text(request);
    const body = raw === '' ? undefined : parse(raw);
    if (body !== undefined) record.body = body;
    const route = findRoute(method, path);
    if (route) record.operation = route.operation;

    const fault = faults.forRequest(method, path);
    if (fault) record.failedWith = fault.with;
    const failing = { path, token, operation: route?.operation ?? '' };
    if (fault && !fault.afterEffect) return fail(request, response, { ...failing, fault });
    const reply = await answerApi(request, { method, path, query: target.searchParams, body, route, token });
    if (fault) return fail(request, response, { ...failing, fault });
    send(response, reply);
  }

  function fail(
    request: IncomingMessage,
    response: ServerResponse,
    asked: { fault: Fault; path: string; token: string | undefined; operation: string },
  ): void {
    const { fault, path, token, operation } = asked;
    if (fault.with === 'silence') {
      silenced.add(request.socket);
    } else if (fault.with === 'reset') {
      request.socket.resetAndDestroy();
    } else {
      const owner = /^\/(?:orgs|repos)\/([^/]+)/.exec(path)?.[1] ?? 'organization';
      send(response, failureReply(fault, { viewer: viewerOf(world, token), operation, owner }));
    }
  }

  async function answerApi(
    request: IncomingMessage,
    asked: {
      method: string;
      path: string;
      query: URLSearchParams;
      body: unknown;
      route: Route | undefined;
      token: string | undefined;
    },
  ): Promise<Reply> {
    const { method, path, route, body, query } = asked;
    if (!request.headers['user-agent']) {
      return {
        status: 403,
        body: 'Request forbidden by administrative rules. Please make sure your request has a User-Agent header.',
      };
    }
    const version = request.headers['x-github-api-version'];
    if (version !== undefined && !apiVersions.includes(String(version))) {
      return { status: 400, body: errorBody(400, `Invalid API version: ${version}`) };
    }
    if (!route) {
      violations.push(`${method} ${path}: not an operation that the server knows (operations.ts)`);
      return notFound().reply;
    }
    let viewer: Viewer | undefined;
    const judged = await judge.judge(
      {
        method: method.toLowerCase() as 'get',
        url: { path: route.path, query: queryOf(query) },
        headers: request.headers as Record<string, string>,
        body,
      },
      async () => {
        try {
          viewer = authenticate(world, asked.token);
          return handle(
            { world, viewer, parameters: route.parameters, query, body: body ?? {} },
            route.operation,
          );
        } catch (error) {
          if (error instanceof Refusal) return error.reply;
          throw error;
        }
      },
    );
    for (const violation of judged.violations) {
      violations.push(`${judged.in} of ${method} ${path}: ${violation}`);
    }
    const headers = tokenHeaders(viewer, route.operation);
    if (!judged.reply) {
      return {
        status: 422,
        headers,
        body: errorBody(422, 'Invalid request.', { errors: judged.violations }),
      };
    }
    if (judged.violations.length > 0) {
      return { status: 500, headers, body: errorBody(500, judged.violations.join('\n')) };
    }
    return { ...judged.reply, headers: { ...headers, ...absoluteLinks(judged.reply.headers, path) } };
  }

  /** Completes the addresses of other pages, which only the server knows. */
  function absoluteLinks(headers: Record<string, string> | undefined, path: string) {
    if (!headers?.link) return headers;
    return { ...headers, link: headers.link.replaceAll('<?', `<${world.api}${path}?`) };
  }

  function handle(context: Context, operation: string): Reply {
    const handler = inRepository[operation];
    if (!handler) {
      const plain = plainHandlers[operation];
      if (!plain) throw new Error(`Nothing answers ${operation}`);
      return plain(context);
    }
    const { owner = '', repo = '' } = context.parameters;
    const repository = world.repository(owner, repo);
    if (!repository) throw notFound();
    authorizeInRepository(world, context.viewer, operation, repository);
    return handler({ ...context, repository });
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  }).catch(async (error) => {
    await rm(gitRoot, { recursive: true, force: true });
    throw error;
  });
  world.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const repositoryOf = (fullName: string): Repository => {
    const [owner = '', name = ''] = fullName.split('/');
    const repository = world.repository(owner, name);
    if (!repository) throw new Error(`There is no repository ${fullName}`);
    return repository;
  };

  return {
    url: world.api,
    origin: world.origin,
    accounts,
    requests,
    violations,
    token(
      kind: 'classic' | 'fine-grained',
      user = 'free-user',
      tokenOptions: Without<ClassicToken> | Without<FineGrainedToken> = {},
    ) {
      if (!world.account(user)) throw new Error(`There is no account ${user}`);
      const token = newToken(kind);
      world.tokens.set(
        token,
        kind === 'classic'
          ? { kind, user, scopes: allScopes, ...(tokenOptions as Without<ClassicToken>) }
          : { kind, user, permissions: allPermissions, ...(tokenOptions as Without<FineGrainedToken>) },
      );
      return token;
    },
    repository(fullName) {
      const [owner = '', name = ''] = fullName.split('/');
      const repository = world.repository(owner, name);
      return repository && stateOf(repository);
    },
    addRepository(fullName, { private: isPrivate = true, creator, files } = {}) {
      const [owner = '', name = ''] = fullName.split('/');
      const repository = world.addRepository({ owner, name, creator: creator ?? owner, private: isPrivate });
      if (files) repository.bare.commit(repository.defaultBranch, files, 'Initial commit');
    },
    addRun(fullName, workflow, run) {
      const repository = repositoryOf(fullName);
      const branch = repository.defaultBranch;
      const now = timestamp();
      const id = newId();
      repository.runs.push({
        id,
        path: `.github/workflows/${workflow}`,
        event: 'push',
        branch,
        sha: repository.bare.resolve(branch) as string,
        actor: repository.owner,
        status: run.conclusion ? 'completed' : 'in_progress',
        conclusion: null,
        createdAt: now,
        updatedAt: now,
        ...run,
      });
      return id;
    },
    endRun(fullName, id, conclusion) {
      const run = repositoryOf(fullName).runs.find((candidate) => candidate.id === id);
      if (!run) throw new Error(`There is no run ${id}`);
      Object.assign(run, { status: 'completed', conclusion, updatedAt: timestamp() });
    },
    fail: (fault) => faults.add(fault),
    failPush: (fault) => faults.addToPush(fault),
    heal() {
      faults.clear();
      for (const socket of silenced) socket.destroy();
      silenced.clear();
    },
    async close() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      await rm(gitRoot, { recursive: true, force: true });
      process.off('exit', removeAtExit);
      if (violations.length > 0) {
        throw new Error(`Not as GitHub describes its API:\n${violations.join('\n')}`);
      }
    },
  };
}

function parse(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    return raw;
  }
}

function queryOf(query: URLSearchParams): Record<string, string | string[]> {
  return Object.fromEntries(
    [...new Set(query.keys())].map((name) => {
      const values = query.getAll(name);
      return [name, values.length === 1 ? String(values[0]) : values];
    }),
  );
}

function send(response: ServerResponse, { status, headers, body }: Reply): void {
  const limit = 5000;
  response.writeHead(status, {
    'x-github-media-type': 'github.v3; format=json',
    'x-github-request-id': 'C0DE:1:2:3:4',
    'x-ratelimit-limit': String(limit),
    'x-ratelimit-remaining': String(limit - 1),
    'x-ratelimit-reset': String(Math.floor(Date.now() / 1000) + 3600),
    'x-ratelimit-used': '1',
    'x-ratelimit-resource': 'core',
    ...(body !== undefined && { 'content-type': 'application/json; charset=utf-8' }),
    ...headers,
  });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

function valuesOf(store: ActionsStore): SecretsAndVariables {
  const values = (entries: ReadonlyMap<string, { value: string }>) =>
    Object.fromEntries([...entries].map(([name, { value }]) => [name, value]));
  return { secrets: values(store.secrets), variables: values(store.variables) };
}

function stateOf(repository: Repository): RepositoryState {
  return {
    ...valuesOf(repository),
    private: repository.private,
    description: repository.description,
    homepage: repository.homepage,
    topics: [...repository.topics],
    defaultBranch: repository.defaultBranch,
    environments: Object.fromEntries(
      [...repository.environments.values()].map((environment) => [
        environment.name,
        {
          ...valuesOf(environment),
          branchPolicies: environment.branchPolicies.map(({ name, type }) => ({ name, type })),
          deploymentBranchPolicy: environment.deploymentBranchPolicy,
        },
      ]),
    ),
    rulesets: structuredClone(repository.rulesets),
    branchProtection: Object.fromEntries(repository.protection),
    deployKeys: [...repository.deployKeys],
    releases: [...repository.releases],
    issues: [...repository.issues],
    commits: repository.bare.resolve(repository.defaultBranch)
      ? repository.bare.commits(repository.defaultBranch)
      : [],
    path: repository.bare.path,
  };
}
