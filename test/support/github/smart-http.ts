import { spawn } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { authenticate, hasPermission, hasScope, isFor, type Viewer } from './access.ts';
import { gitEnvironment } from './bare-repository.ts';
import type { PushFault } from './faults.ts';
import { Refusal } from './reply.ts';
import { type Repository, timestamp, type World } from './world.ts';

export interface GitRequest {
  owner: string;
  name: string;
  /** What follows the repository in the path. */
  rest: string;
  service: 'git-upload-pack' | 'git-receive-pack';
}

/** What a request of git's is for, or undefined when it is none. */
export function gitRequest(path: string, query: URLSearchParams): GitRequest | undefined {
  const match =
    /^\/(?<owner>[^/]+)\/(?<name>[^/]+?)(?:\.git)?(?<rest>\/info\/refs|\/git-upload-pack|\/git-receive-pack)$/.exec(
      path,
    );
  if (!match?.groups) return undefined;
  const { owner = '', name = '', rest = '' } = match.groups;
  const service = rest === '/info/refs' ? query.get('service') : rest.slice(1);
  if (service !== 'git-upload-pack' && service !== 'git-receive-pack') return undefined;
  return { owner, name, rest, service };
}

/** A refusal in the form that git shows to its user: as text, and 401 with an invitation to sign in. */
function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=UTF-8',
    ...(status === 401 && { 'www-authenticate': 'Basic realm="GitHub"' }),
  });
  response.end(`${message}\n`);
}

/** Why the viewer may not do this, as a status and a text, or undefined. */
function refusalOf(
  world: World,
  viewer: Viewer | undefined,
  repository: Repository | undefined,
  isPush: boolean,
): [number, string] | undefined {
  const missing: [number, string] = viewer ? [404, 'Repository not found.'] : [401, 'Repository not found.'];
  if (!repository) return missing;
  const role = world.role(viewer?.login, repository);
  if (!viewer) return repository.private || isPush ? [401, 'No anonymous write access.'] : undefined;
  const { token } = viewer;
  const organization = world.organization(repository.owner);
  if (organization && token.kind === 'classic') {
    if (organization.blocksClassicTokens) {
      return [403, 'Personal access tokens (classic) are forbidden from accessing this repository.'];
    }
    if (organization.requiresSaml && !token.authorizedFor?.includes(organization.login)) {
      return [
        403,
        `The '${organization.login}' organization has enabled or enforced SAML SSO.\nTo access this repository, you must re-authorize the OAuth Application 'personal access token'.`,
      ];
    }
  }
  const mayReach =
    token.kind === 'classic'
      ? hasScope(token, repository.private ? 'repo' : 'public_repo')
      : isFor(world, token, repository) && hasPermission(token, isPush ? 'contents=write' : 'contents=read');
  const mayKnow = role !== undefined && isFor(world, token, repository);
  if (repository.private && (!mayKnow || (token.kind === 'classic' && !mayReach))) return missing;
  if (!isPush)
    return repository.private && !mayReach ? [403, 'Write access to repository not granted.'] : undefined;
  if (!mayReach) return [403, 'Write access to repository not granted.'];
  if (role === 'read') {
    return [403, `Permission to ${repository.fullName}.git denied to ${viewer.login}.`];
  }
  if (repository.archived) return [403, 'This repository was archived so it is read-only.'];
  return undefined;
}

/** What the hook of the repository goes by. */
function pushPolicy(
  world: World,
  viewer: Viewer,
  repository: Repository,
  reject: string | undefined,
): string {
  const { token } = viewer;
  const mayChangeWorkflows =
    token.kind === 'classic' ? hasScope(token, 'workflow') : hasPermission(token, 'workflows=write');
  const isAdmin = world.role(viewer.login, repository) === 'admin';
  const literally = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

  const protections = [...repository.protection].map(([branch, protection]) => ({
    source: 'protection',
    ref: `^refs/heads/${literally(branch)}$`,
    allowForce: protection.allow_force_pushes ?? false,
    allowDeletion: protection.allow_deletions ?? false,
    onCreation: true,
    bypass: isAdmin && !protection.enforce_admins,
    pullRequest: protection.required_pull_request_reviews !== null,
    checks: [
      ...(protection.required_status_checks?.contexts ?? []),
      ...(protection.required_status_checks?.checks ?? []).map(({ context }) => context),
    ],
  }));

  const pattern = (name: string) => {
    if (name === '~ALL') return 'refs/heads/.*';
    if (name === '~DEFAULT_BRANCH') return `refs/heads/${literally(repository.defaultBranch)}`;
    return literally(name).replaceAll('\\*\\*', '.*').replaceAll('\\*', '[^/]*');
  };
  const rulesets = repository.rulesets
    .filter(({ enforcement, target }) => enforcement === 'active' && target === 'branch')
    .map((ruleset) => {
      const { include = [], exclude = [] } = ruleset.conditions.ref_name ?? {};
      const rule = (type: string) => ruleset.rules.find((candidate) => candidate.type === type);
      const checks = rule('required_status_checks')?.parameters as
        | { required_status_checks?: { context: string }[]; do_not_enforce_on_create?: boolean }
        | undefined;
      const bypass = ruleset.bypass_actors.some(
        (actor) =>
          actor.bypass_mode !== 'pull_request' &&
          isAdmin &&
          // 5 is the role of a repository's administrators.
          ((actor.actor_type === 'RepositoryRole' && actor.actor_id === 5) ||
            actor.actor_type === 'OrganizationAdmin'),
      );
      const none = '(?!)';
      return {
        source: 'ruleset',
        ref: `^(?!(?:${exclude.map(pattern).join('|') || none})$)(?:${include.map(pattern).join('|') || none})$`,
        allowForce: bypass || rule('non_fast_forward') === undefined,
        allowDeletion: bypass || rule('deletion') === undefined,
        onCreation: checks?.do_not_enforce_on_create !== true,
        bypass,
        pullRequest: rule('pull_request') !== undefined,
        checks: (checks?.required_status_checks ?? []).map(({ context }) => context),
      };
    });

  return JSON.stringify({
    reject,
    rules: [...protections, ...rulesets],
    ...(!mayChangeWorkflows && {
      workflowRefusal:
        'refusing to allow a Personal Access Token to create or update workflow `PATH` without `workflow` scope',
    }),
  });
}

/** Lets `git http-backend` answer a request of git's, if the token may make it. */
export async function answerGit(
  world: World,
  request: IncomingMessage,
  response: ServerResponse,
  git: GitRequest,
  options: { token: string | undefined; query: URLSearchParams; fault: PushFault | undefined },
): Promise<void> {
  const { fault } = options;
  const isPush = git.service === 'git-receive-pack';
  if (typeof fault?.with === 'number') {
    return refuse(response, fault.with, failureText(fault.with, git));
  }
  let viewer: Viewer | undefined;
  try {
    viewer = authenticate(world, options.token);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return refuse(
      response,
      401,
      'Invalid username or token. Password authentication is not supported for Git operations.',
    );
  }
  const repository = world.repository(git.owner, git.name);
  const refused = refusalOf(world, viewer, repository, isPush);
  if (refused || !repository) return refuse(response, ...(refused ?? [404, 'Repository not found.']));

  // Before a push that is large, git sends an empty one of four bytes, to see whether it may.
  const isTransfer = git.rest !== '/info/refs' && request.headers['content-length'] !== '4';
  if (isPush && isTransfer && fault?.with === 'reset' && !fault.afterEffect) {
    request.once('data', () => request.socket.destroy());
    request.resume();
    return;
  }
  if (isPush && isTransfer && fault?.with === 'silence' && !fault.afterEffect) {
    request.resume();
    return;
  }
  const loseAnswer = isPush && isTransfer && (fault?.with === 'reset' || fault?.with === 'silence');

  const backend = spawn('git', ['http-backend'], {
    env: {
      ...gitEnvironment,
      GIT_PROJECT_ROOT: world.gitRoot,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: `${repository.bare.path.slice(world.gitRoot.length)}${git.rest}`,
      QUERY_STRING: options.query.toString(),
      REQUEST_METHOD: request.method ?? 'GET',
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      REMOTE_USER: viewer?.login ?? '',
      GITHUB_PUSH_POLICY: viewer
        ? pushPolicy(
            world,
            viewer,
            repository,
            fault?.with === 'rejected' ? (fault.reason ?? 'Internal Server Error') : undefined,
          )
        : '{}',
      ...(request.headers['content-length'] && { CONTENT_LENGTH: request.headers['content-length'] }),
      ...(request.headers['content-encoding'] && {
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
      }),
      ...(request.headers['git-protocol'] && { GIT_PROTOCOL: String(request.headers['git-protocol']) }),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  request.pipe(backend.stdin);
  backend.stdin.on('error', () => {});
  request.on('close', () => {
    if (!request.complete) backend.kill();
  });

  const chunks: Buffer[] = [];
  for await (const chunk of backend.stdout) chunks.push(chunk as Buffer);
  if (isPush && isTransfer) {
    repository.pushedAt = timestamp();
    chooseDefaultBranch(repository);
  }
  if (loseAnswer) {
    if (fault?.with === 'reset') request.socket.destroy();
    return;
  }
  const output = Buffer.concat(chunks);
  const end = output.indexOf('\r\n\r\n');
  if (end < 0) return refuse(response, 500, 'Internal Server Error');
  const headers = Object.fromEntries(
    output
      .subarray(0, end)
      .toString()
      .split('\r\n')
      .map((line) => line.split(/: (.*)/s, 2) as [string, string]),
  );
  const { Status: status, ...others } = headers;
  response.writeHead(status ? Number.parseInt(status, 10) : 200, others);
  response.end(output.subarray(end + 4));
}

/** The first branch that is pushed becomes the default one if that of the repository's making is not there. */
function chooseDefaultBranch(repository: Repository): void {
  const branches = repository.bare.refs('refs/heads').map(({ ref }) => ref.replace('refs/heads/', ''));
  const [first] = branches;
  if (first === undefined || branches.includes(repository.defaultBranch)) return;
  repository.defaultBranch = first;
  repository.bare.git('symbolic-ref', 'HEAD', `refs/heads/${first}`);
}

function failureText(status: number, { owner, name }: GitRequest): string {
  switch (status) {
    case 401:
      return 'Invalid username or token. Password authentication is not supported for Git operations.';
    case 403:
      return `Permission to ${owner}/${name}.git denied.`;
    case 404:
      return 'Repository not found.';
    default:
      return 'Internal Server Error';
  }
}
