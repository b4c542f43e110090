import { exitCodes, GobootError } from '../errors.ts';
import {
  classicTokenPage,
  describePermission,
  describeTokenKind,
  fineGrainedTokenPage,
  requiredPermissions,
  requiredScopes,
  scopesInclude,
  type TokenKind,
  tokenKind,
} from './token.ts';

/** What kind of failure it was, for callers that can do something about some of them. */
export type GitHubFailure =
  | 'unauthorized'
  | 'missing permission'
  | 'single sign-on'
  | 'token policy'
  | 'plan'
  | 'forbidden'
  | 'not found'
  | 'exists'
  | 'conflict'
  | 'invalid'
  | 'rate limit'
  | 'server'
  | 'network'
  | 'unexpected answer';

export interface GitHubErrorOptions {
  failure: GitHubFailure;
  /** HTTP status; none where no answer came. */
  status?: number;
  remedy?: string;
  /** When a rate limit ends. */
  endsAt?: Date;
  /** Whether the request may have taken effect although it failed. */
  lostAnswer?: boolean;
}

/**
 * Whatever goes wrong between goboot and GitHub. It has no cause: the errors of the libraries carry requests, and
 * those carry the token and the values of variables.
 */
export class GitHubError extends GobootError {
  readonly failure: GitHubFailure;
  readonly status: number | undefined;
  readonly endsAt: Date | undefined;
  readonly lostAnswer: boolean;

  constructor(message: string, options: GitHubErrorOptions) {
    super(message, { exitCode: exitCodes.failed, ...(options.remedy && { remedy: options.remedy }) });
    this.name = 'GitHubError';
    this.failure = options.failure;
    this.status = options.status;
    this.endsAt = options.endsAt;
    this.lostAnswer = options.lostAnswer ?? false;
  }

  /** The same error, where an earlier request for the same thing may have taken effect. */
  afterLostAnswer(): GitHubError {
    const { message, failure, status, remedy, endsAt } = this;
    return new GitHubError(message, {
      failure,
      ...(status !== undefined && { status }),
      ...(remedy && { remedy }),
      ...(endsAt && { endsAt }),
      lostAnswer: true,
    });
  }
}

/** Whether an error is GitHub's, of one of these kinds. */
export function isGitHubFailure(error: unknown, ...failures: readonly GitHubFailure[]): error is GitHubError {
  return error instanceof GitHubError && (failures.length === 0 || failures.includes(error.failure));
}

/** What an error message needs to know about the request. */
export interface RequestContext {
  /** Completes "goboot could not …", for example "create the repository ada/shop". */
  action: string;
  token: string;
  /** Base URL of the API. */
  apiUrl: string;
  /** Milliseconds after which an answer was not waited for any longer. */
  timeout: number;
}

export const publicApiUrl = 'https://api.github.com';

/** The part of Octokit's RequestError that is used here. */
interface Answer {
  status: number;
  headers: Record<string, string | number | undefined>;
  data: unknown;
}

function answerOf(error: unknown): Answer | undefined {
  const { response, status } = error as { response?: Partial<Answer>; status?: number };
  if (!response) return undefined;
  return { status: status ?? response.status ?? 0, headers: response.headers ?? {}, data: response.data };
}

/** Removes the token wherever it stands in a text, also as part of a basic authorization. */
export function withoutToken(text: string, token: string): string {
  if (!token) return text;
  const basic = Buffer.from(`x-access-token:${token}`).toString('base64');
  return text.replaceAll(token, '[token]').replaceAll(basic, '[token]');
}

/** Turns what Octokit or the network threw into an error for people, without the token in any of its parts. */
export function gitHubError(error: unknown, context: RequestContext): GitHubError {
  if (error instanceof GitHubError) return error;
  const answer = answerOf(error);
  const { message, ...options } = answer ? fromAnswer(answer, context) : fromNetwork(error, context);
  const { remedy } = options;
  return new GitHubError(withoutToken(message, context.token), {
    ...options,
    ...(remedy && { remedy: withoutToken(remedy, context.token) }),
  });
}

type Explanation = GitHubErrorOptions & { message: string };

const again = 'Run the same command again.';

function fromAnswer(answer: Answer, context: RequestContext): Explanation {
  const { status } = answer;
  const limit = rateLimitEnd(answer);
  if (limit) return rateLimited(limit, status, context);
  switch (status) {
    case 401:
      return unauthorized(context);
    case 403:
      return forbidden(answer, context);
    case 404:
      return notFound(answer, context);
    case 422:
      return invalid(answer, context);
    default:
  }
  const said = serverMessage(answer);
  if (status >= 500) {
    return {
      failure: 'server',
      status,
      lostAnswer: true,
      message: `GitHub could not ${context.action}: it has trouble of its own (${status}${said && `, ${said}`})`,
      remedy:
        context.apiUrl === publicApiUrl
          ? `See https://www.githubstatus.com, and run the same command again later.`
          : `Ask the administrator of ${hostOf(context)}, and run the same command again later.`,
    };
  }
  if (status === 409) {
    return {
      failure: 'conflict',
      status,
      message: `GitHub could not ${context.action} as it is now: ${said || 'it reports a conflict (409)'}`,
      remedy: again,
    };
  }
  return {
    failure: 'invalid',
    status,
    message: `GitHub refused to ${context.action} (${status}${said && `, ${said}`})`,
  };
}

function hostOf({ apiUrl }: RequestContext): string {
  return new URL(apiUrl).host;
}

function header(answer: Answer, name: string): string {
  return String(answer.headers[name] ?? '').trim();
}

/** GitHub's own words; empty where the answer is none of GitHub's, such as a web page of a proxy. */
function serverMessage({ data }: Answer): string {
  const message = (data as { message?: unknown } | undefined)?.message;
  // Without the full stop, because it becomes the end of a message.
  return typeof message === 'string' ? message.replace(/\s+/g, ' ').trim().replace(/\.$/, '') : '';
}

/** When a rate limit ends, if the answer is about one. */
function rateLimitEnd(answer: Answer): Date | undefined {
  if (answer.status !== 403 && answer.status !== 429) return undefined;
  const seconds = Number.parseInt(header(answer, 'retry-after'), 10);
  const isSecondary = /secondary rate limit|abuse detection/i.test(serverMessage(answer));
  const isPrimary = header(answer, 'x-ratelimit-remaining') === '0';
  if (answer.status !== 429 && !isSecondary && !isPrimary && Number.isNaN(seconds)) return undefined;
  if (!Number.isNaN(seconds)) return new Date(Date.now() + seconds * 1000);
  const reset = Number(header(answer, 'x-ratelimit-reset'));
  if (isPrimary && reset > 0) return new Date(reset * 1000);
  // What GitHub's documentation asks for where it names no time.
  return new Date(Date.now() + 60_000);
}

function localTime(date: Date): string {
  const time = date.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
  return date.toDateString() === new Date().toDateString()
    ? time
    : `${time} on ${date.toLocaleDateString('en-GB', { day: 'numeric', month: 'long' })}`;
}

function rateLimited(endsAt: Date, status: number, { action }: RequestContext): Explanation {
  return {
    failure: 'rate limit',
    status,
    endsAt,
    message: `GitHub would not ${action}: this token has made too many requests`,
    remedy: `Run the same command again after ${localTime(endsAt)}, when the limit ends.`,
  };
}

/** Where and how to make a token that suffices. */
function newTokenRemedy({ apiUrl, token }: RequestContext): string {
  const isPublic = apiUrl === publicApiUrl;
  if (tokenKind(token) === 'fine-grained') {
    const page = isPublic ? ` at ${fineGrainedTokenPage()}` : ' (Settings, Developer settings)';
    return `Make a fine-grained token${page} with ${requiredPermissions().join(', ')}, and give it as GH_TOKEN.`;
  }
  const page = isPublic
    ? ` at ${classicTokenPage()}`
    : ` (Settings, Developer settings) with the scopes ${requiredScopes.join(' and ')}`;
  return `Make a new token${page}, and give it as GH_TOKEN.`;
}

function unauthorized(context: RequestContext): Explanation {
  const kind = tokenKind(context.token);
  const what = kind === 'unknown' ? 'token' : describeTokenKind(kind);
  return {
    failure: 'unauthorized',
    status: 401,
    message: `GitHub does not accept the ${what}: it is wrong, has expired or was revoked (401)`,
    remedy: newTokenRemedy(context),
  };
}

function forbidden(answer: Answer, context: RequestContext): Explanation {
  const said = serverMessage(answer);
  const { action } = context;
  const refusal = { status: 403 } as const;
  const sso = header(answer, 'x-github-sso');
  if (sso || /SAML/.test(said)) {
    const url = sso.match(/url=(\S+)/)?.[1];
    return {
      ...refusal,
      failure: 'single sign-on',
      message: `GitHub refused to ${action}: the organisation asks for single sign-on, and the token is not authorised for it`,
      remedy: url
        ? `Open ${url} within the hour to authorise the token, then run the same command again.`
        : 'Authorise the token with “Configure SSO” on the page of your tokens, then run the same command again.',
    };
  }
  const policy = said.match(
    /^[`'"]?(?:The )?[`'"]?([\w.-]+)[`'"]?(?: organization)? forbids access via/i,
  )?.[1];
  if (policy) {
    const isClassic = /\(classic\)/.test(said);
    return {
      ...refusal,
      failure: 'token policy',
      message: `GitHub refused to ${action}: the organisation ${policy} does not admit ${
        isClassic ? 'classic tokens' : `this token (${said})`
      }`,
      remedy: isClassic
        ? `Make a fine-grained token${context.apiUrl === publicApiUrl ? ` at ${fineGrainedTokenPage()}` : ''} with the resource owner ${policy} and ${requiredPermissions().join(', ')}.`
        : 'Make a token that the organisation’s rules allow, or ask one of its owners.',
    };
  }
  const plan = said.match(/upgrade to (GitHub [A-Z]\w+)/i)?.[1];
  if (plan || /billing plan/i.test(said)) {
    return {
      ...refusal,
      failure: 'plan',
      message: `GitHub would not ${action}: the plan of the account does not include it for private repositories`,
      remedy: `It works after an upgrade${plan ? ` to ${plan}` : ''}, or with a public repository.`,
    };
  }
  const missing = missingPermission(answer, context);
  if (missing) return { ...refusal, failure: 'missing permission', ...missing };
  return {
    ...refusal,
    failure: 'forbidden',
    message: `GitHub refused to ${action}${said ? `: ${said}` : ' (403)'}`,
    remedy:
      'Your account needs the right to do this: ask an owner of the account or an administrator of the repository.',
  };
}

/** Compares what the call needs with what the token has, as GitHub's headers tell both. */
function missingPermission(
  answer: Answer,
  context: RequestContext,
): { message: string; remedy: string } | undefined {
  const { action } = context;
  const alternatives = header(answer, 'x-accepted-github-permissions')
    .split(';')
    .map((set) => set.split(',').map((entry) => entry.trim()))
    .map((set) => set.filter((entry) => entry.includes('=')))
    .filter((set) => set.length > 0)
    .map((set) =>
      set.map((entry) => {
        const [name = '', level = ''] = entry.split('=');
        return describePermission(name, level);
      }),
    );
  const kind: TokenKind = tokenKind(context.token);
  if (/not accessible by (personal access token|integration)/i.test(serverMessage(answer))) {
    const needed = alternatives.map((set) => set.join(' and ')).join(', or ');
    const isPersonal = kind === 'fine-grained';
    return {
      message: `GitHub refused to ${action}: the ${describeTokenKind(kind)} lacks ${
        needed ? `the permission ${needed}` : 'a permission'
      }`,
      remedy: `${
        needed
          ? `Give it the permission ${needed}`
          : `Give it all of these permissions: ${requiredPermissions().join(', ')}`
      }${
        isPersonal
          ? '. For an organisation it must name that as its resource owner, and an owner may have to approve it.'
          : '.'
      }`,
    };
  }
  return missingScope(answer, context);
}

/** The same for a classic token, whose lack of a scope GitHub may also answer with "not found". */
function missingScope(
  answer: Answer,
  context: RequestContext,
): { message: string; remedy: string } | undefined {
  const accepted = list(header(answer, 'x-accepted-oauth-scopes'));
  if (accepted.length === 0 || answer.headers['x-oauth-scopes'] === undefined) return undefined;
  const granted = list(header(answer, 'x-oauth-scopes'));
  if (accepted.some((scope) => scopesInclude(granted, scope))) return undefined;
  // Where several would do, the one that goboot asks for anyway.
  const wanted = accepted.find((scope) => requiredScopes.includes(scope)) ?? accepted[0];
  return {
    message: `GitHub refused to ${context.action}: the token has ${
      granted.length > 0 ? `the scopes ${granted.join(', ')}` : 'no scopes'
    }, and this needs ${wanted}`,
    remedy: `Add the scope ${wanted} to the token. ${newTokenRemedy(context)}`,
  };
}

function list(value: string): string[] {
  return value
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean);
}

function notFound(answer: Answer, context: RequestContext): Explanation {
  const { action } = context;
  if (!serverMessage(answer)) return notGitHub(context, 404);
  const missing = missingScope(answer, context);
  if (missing) return { failure: 'missing permission', status: 404, ...missing };
  const kind = tokenKind(context.token);
  return {
    failure: 'not found',
    status: 404,
    message: `GitHub could not ${action}: that does not exist, or the token may not see it (404)`,
    remedy:
      kind === 'fine-grained'
        ? 'Check the names, that the token is for this owner and repository, and that the organisation has approved it: until then it sees public repositories only.'
        : `Check the names, and that the token has the scopes ${requiredScopes.join(' and ')}.`,
  };
}

/** The error for a server that answers, but not as GitHub's API does. */
export function notGitHub(context: RequestContext, status?: number): Explanation {
  return {
    failure: 'unexpected answer',
    ...(status && { status }),
    message: `${hostOf(context)} answers, but not as GitHub’s API does${status ? ` (${status})` : ''}`,
    remedy:
      context.apiUrl === publicApiUrl
        ? 'A proxy or the login page of a network may be in between: try from another network.'
        : 'Check --github-url: GitHub Enterprise Server has its API at https://HOST/api/v3.',
  };
}

interface FieldError {
  resource?: string;
  field?: string;
  code?: string;
  message?: string;
}

// https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api#validation-failed
const codeWords: Record<string, string> = {
  missing: 'does not exist',
  missing_field: 'is missing',
  invalid: 'is not valid',
  already_exists: 'exists already',
};

function describeFieldError(error: FieldError | string): string {
  if (typeof error === 'string') return error;
  if (error.message) return error.message;
  const what = error.field ?? error.resource ?? 'something';
  return `${what} ${codeWords[error.code ?? ''] ?? error.code ?? 'is not valid'}`;
}

function invalid(answer: Answer, context: RequestContext): Explanation {
  const errors = (answer.data as { errors?: unknown } | undefined)?.errors;
  const fields = Array.isArray(errors) ? (errors as (FieldError | string)[]) : errors ? [String(errors)] : [];
  const reasons =
    fields.map(describeFieldError).join('; ') || serverMessage(answer) || 'it is not valid (422)';
  if (/billing plan/i.test(`${reasons} ${serverMessage(answer)}`)) {
    return {
      failure: 'plan',
      status: 422,
      message: `GitHub would not ${context.action}: the plan of the account does not include it`,
      remedy: 'It works after an upgrade of the plan, or with a public repository.',
    };
  }
  const exists =
    fields.some((error) => typeof error !== 'string' && error.code === 'already_exists') ||
    /already exists/i.test(reasons);
  return {
    failure: exists ? 'exists' : 'invalid',
    status: 422,
    message: `GitHub refused to ${context.action}: ${reasons}`,
  };
}

/** The first code on the way down to the cause, such as ENOTFOUND. */
function networkCode(error: unknown): { code: string; name: string; text: string } {
  let current: unknown = error;
  let name = '';
  let text = '';
  for (let depth = 0; depth < 5 && current instanceof Error; depth += 1) {
    const { code } = current as { code?: unknown };
    text = current.message || text;
    if (current.name === 'TimeoutError') name = current.name;
    if (typeof code === 'string') return { code, name, text };
    current = current.cause;
  }
  return { code: '', name, text };
}

const certificateCodes =
  /CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|ERR_SSL|ERR_TLS|EPROTO|HOSTNAME_MISMATCH/;

function fromNetwork(error: unknown, context: RequestContext): Explanation {
  const host = hostOf(context);
  const { action, timeout } = context;
  const { code, name, text } = networkCode(error);
  const proxy = proxyHint();
  if (name === 'TimeoutError') {
    return {
      failure: 'network',
      lostAnswer: true,
      message: `${host} did not answer within ${timeout / 1000} seconds when goboot wanted to ${action}`,
      remedy: proxy ?? `Check your connection. ${again}`,
    };
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return {
      failure: 'network',
      message: `The name ${host} could not be looked up (${code}), so goboot could not ${action}`,
      remedy:
        proxy ??
        (context.apiUrl === publicApiUrl
          ? 'Check that this computer is online.'
          : 'Check --github-url and that this computer is online.'),
    };
  }
  if (certificateCodes.test(code)) {
    return {
      failure: 'network',
      message: `The certificate of ${host} is not trusted (${code}), so goboot did not ${action}`,
      remedy:
        'If your network or GitHub Enterprise Server has an authority of its own, name its file: export NODE_EXTRA_CA_CERTS=/path/to/authority.pem',
    };
  }
  const neverConnected = /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/.test(code);
  return {
    failure: 'network',
    lostAnswer: !neverConnected,
    message: `${neverConnected ? `${host} cannot be reached` : `The connection to ${host} broke`} (${code || text}), so goboot could not ${action}`,
    remedy:
      proxy ?? `Check your connection${context.apiUrl === publicApiUrl ? '' : ' and --github-url'}. ${again}`,
  };
}

/** Node heeds the usual variables of a proxy only when told to, and only since 22.21 and 24.5. */
function proxyHint(): string | undefined {
  const { HTTPS_PROXY, https_proxy, NODE_USE_ENV_PROXY } = process.env;
  if (!(HTTPS_PROXY || https_proxy) || NODE_USE_ENV_PROXY) return undefined;
  return 'HTTPS_PROXY is set, but Node heeds it only with NODE_USE_ENV_PROXY=1 (Node 22.21, 24.5 or newer): set that too.';
}
