import { samlRefusal, tokenHeaders, type Viewer } from './access.ts';
import { errorBody, type Reply } from './reply.ts';

export type Failure =
  | 401
  | 403
  | 404
  | 409
  | 422
  | 429
  | 500
  | 502
  | 'saml'
  | 'primary-rate-limit'
  | 'secondary-rate-limit'
  /** The connection is cut. */
  | 'reset'
  /** There is never an answer. */
  | 'silence';

export type PushFailure = 401 | 403 | 404 | 500 | 'rejected' | 'reset' | 'silence';

interface Occurrence {
  /** The first request of those that match that fails, from 1; the first unless given. */
  nth?: number;
  /** How many of them fail from then on; 1 unless given. */
  times?: number;
  /** Whether what was asked for is done all the same, and only the answer is lost. */
  afterEffect?: boolean;
}

export interface Fault extends Occurrence {
  method?: string;
  /** Against the path without the API's base, like `/repos/ada/shop`. */
  path: RegExp;
  with: Failure;
  /** In seconds, for rate limits: when they end. */
  retryAfter?: number;
}

export interface PushFault extends Occurrence {
  with: PushFailure;
  /** What the refusal of the branch says, with `rejected`. */
  reason?: string;
}

/** A fault and how often it has struck, so that a test can tell that it did. */
export interface ActiveFault {
  readonly hits: number;
}

class Counted<F extends Occurrence> implements ActiveFault {
  hits = 0;
  #matches = 0;
  readonly fault: F;

  constructor(fault: F) {
    this.fault = fault;
  }

  strikes(): boolean {
    this.#matches += 1;
    const { nth = 1, times = 1 } = this.fault;
    if (this.#matches < nth || this.#matches >= nth + times) return false;
    this.hits += 1;
    return true;
  }
}

/** The faults that tests have asked for. */
export class Faults {
  #requests: Counted<Fault>[] = [];
  #pushes: Counted<PushFault>[] = [];

  add(fault: Fault): ActiveFault {
    const counted = new Counted(fault);
    this.#requests.push(counted);
    return counted;
  }

  addToPush(fault: PushFault): ActiveFault {
    const counted = new Counted(fault);
    this.#pushes.push(counted);
    return counted;
  }

  clear(): void {
    this.#requests = [];
    this.#pushes = [];
  }

  forRequest(method: string, path: string): Fault | undefined {
    return this.#requests.find(
      (counted) =>
        (counted.fault.method === undefined || counted.fault.method.toUpperCase() === method) &&
        counted.fault.path.test(path) &&
        counted.strikes(),
    )?.fault;
  }

  /** The fault of a new push, which is counted once although it takes two requests. */
  forPush(): PushFault | undefined {
    return this.#pushes.find((counted) => counted.strikes())?.fault;
  }
}

/** GitHub's answer to a request of the viewer's, in a case that is an answer. */
export function failureReply(
  { with: failure, retryAfter = 1 }: Fault,
  asked: { viewer: Viewer | undefined; operation: string; owner: string },
): Reply {
  const reply = (status: number, message: string, headers: Record<string, string> = {}): Reply => ({
    status,
    headers: {
      ...(status !== 401 && tokenHeaders(asked.viewer, asked.operation)),
      ...headers,
    },
    body: errorBody(status, message),
  });
  switch (failure) {
    case 401:
      return reply(401, 'Bad credentials');
    case 403:
      return asked.viewer?.token.kind === 'classic'
        ? reply(403, 'Must have admin rights to Repository.')
        : reply(403, 'Resource not accessible by personal access token');
    case 404:
      return reply(404, 'Not Found');
    case 409:
      return reply(409, 'Conflict');
    case 422:
      return {
        status: 422,
        body: errorBody(422, 'Validation Failed', {
          errors: [{ resource: 'Repository', code: 'custom', field: 'base', message: 'is invalid' }],
        }),
      };
    case 429:
      return reply(429, 'Too Many Requests', { 'retry-after': String(retryAfter) });
    case 'saml':
      return samlRefusal(asked.owner).reply;
    case 'primary-rate-limit':
      return reply(403, 'API rate limit exceeded for user ID 1.', {
        'x-ratelimit-remaining': '0',
        'x-ratelimit-used': '5000',
        'x-ratelimit-reset': String(Math.ceil(Date.now() / 1000) + retryAfter),
      });
    case 'secondary-rate-limit':
      return reply(
        403,
        'You have exceeded a secondary rate limit and have been temporarily blocked from content creation. Please retry your request again later.',
        { 'retry-after': String(retryAfter) },
      );
    case 500:
      return { status: 500, body: { message: 'Server Error' } };
    case 502:
      return { status: 502, body: { message: 'Server Error' } };
    default:
      throw new Error(`${failure} is no answer`);
  }
}
