import { readFile } from 'node:fs/promises';
import {
  createInstance,
  getHttpOperationsFromSpec,
  type IHttpProxyConfig,
  type IHttpRequest,
  type PrismHttpComponents,
} from '@stoplight/prism-http';
import type { Reply } from './reply.ts';

type Diagnostic = { message: string; path?: (string | number)[]; severity: number };
type Operations = Awaited<ReturnType<typeof getHttpOperationsFromSpec>>;
type Logger = PrismHttpComponents['logger'];

const silent = () => {};
const logger = {
  ...Object.fromEntries(
    ['trace', 'debug', 'info', 'success', 'warn', 'error', 'fatal'].map((level) => [level, silent]),
  ),
  child: () => logger,
} as unknown as Logger;

const config: IHttpProxyConfig = {
  isProxy: true,
  errors: true,
  validateRequest: true,
  validateResponse: true,
  // GitHub's description names no way to authenticate.
  checkSecurity: false,
  // Nothing is sent there: what Prism would forward, it hands to a function of ours.
  upstream: new URL('http://github.invalid'),
  upstreamProxy: undefined,
  mock: { dynamic: false },
};

/** Prism's severity of what makes a request or reply wrong; others are remarks. */
const errorSeverity = 0;

/** Holds every request and every reply against GitHub's description of its API. */
export class Judge {
  readonly #operations: Operations;

  private constructor(operations: Operations) {
    this.#operations = operations;
  }

  static async fromDescription(): Promise<Judge> {
    const text = await readFile(new URL('description.json', import.meta.url), 'utf8');
    return new Judge(await getHttpOperationsFromSpec(JSON.parse(text)));
  }

  /**
   * Has `answer` answer the request if the request is as GitHub describes it.
   * Returns the reply, and what was wrong with the request or with the reply.
   */
  async judge(
    request: IHttpRequest,
    answer: () => Promise<Reply>,
  ): Promise<{ reply?: Reply; violations: string[]; in: 'request' | 'reply' }> {
    let reply: Reply | undefined;
    let wrongInRequest: string[] = [];
    const forward: PrismHttpComponents['forward'] =
      ({ validations }) =>
      () =>
      async () => {
        wrongInRequest = explain(validations as Diagnostic[]);
        if (wrongInRequest.length === 0) reply = await answer();
        const { status, headers, body } = reply ?? { status: 422 };
        return {
          _tag: 'Right',
          right: { statusCode: status, headers: { ...jsonHeaders(body), ...headers }, body },
        };
      };
    const result = await createInstance(config, { logger, forward }).request(request, this.#operations)();
    if (result._tag === 'Left') {
      const { message, detail } = result.left as Error & { detail?: string };
      return { violations: [detail ?? message], in: 'request' };
    }
    if (!reply) return { violations: wrongInRequest, in: 'request' };
    return {
      reply,
      violations: explain(result.right.validations.output as Diagnostic[]),
      in: 'reply',
    };
  }
}

const jsonHeaders = (body: unknown): Record<string, string> =>
  body === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' };

function explain(diagnostics: readonly Diagnostic[]): string[] {
  return diagnostics
    .filter(({ severity }) => severity === errorSeverity)
    .map(({ path = [], message }) => [path.join('.'), message].filter(Boolean).join(': '));
}
