/** An answer of the API, before it is written to the connection. */
export interface Reply {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

/** Thrown by whatever finds that GitHub would refuse. */
export class Refusal extends Error {
  readonly reply: Reply;

  constructor(reply: Reply) {
    super(`${reply.status}`);
    this.reply = reply;
  }
}

const documentation = 'https://docs.github.com/rest';

/** The body that GitHub's errors have. */
export function errorBody(status: number, message: string, more: Record<string, unknown> = {}): unknown {
  return { message, ...more, documentation_url: documentation, status: String(status) };
}

/** A refusal with GitHub's body for errors. */
export function refusal(
  status: number,
  message: string,
  more: Record<string, unknown> = {},
  headers: Record<string, string> = {},
): Refusal {
  return new Refusal({ status, body: errorBody(status, message, more), headers });
}

export const notFound = () => refusal(404, 'Not Found');

/** The refusal of a value: 422 with the fields that are wrong. */
export function invalid(errors: { resource: string; field: string; code: string; message?: string }[]) {
  return refusal(422, 'Validation Failed', { errors });
}

export const ok = (body: unknown): Reply => ({ status: 200, body });
export const created = (body: unknown): Reply => ({ status: 201, body });
export const noContent: Reply = { status: 204 };
