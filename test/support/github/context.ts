import type { Viewer } from './access.ts';
import { ok, type Reply, refusal } from './reply.ts';
import type { Repository, World } from './world.ts';

/** A request that has been found to be as GitHub describes it, by somebody who may make it. */
export interface Context {
  world: World;
  viewer: Viewer | undefined;
  /** The variable parts of the path. */
  parameters: Readonly<Record<string, string>>;
  query: URLSearchParams;
  body: unknown;
}

export interface RepositoryContext extends Context {
  repository: Repository;
}

export type Handler = (context: Context) => Reply;
export type RepositoryHandler = (context: RepositoryContext) => Reply;

/** The viewer, where the operation needs one. */
export function signedIn({ viewer }: Context): Viewer {
  if (!viewer) throw refusal(401, 'Requires authentication');
  return viewer;
}

/** A variable part of the path. */
export function parameter({ parameters }: Context, name: string): string {
  const value = parameters[name];
  if (value === undefined) throw new Error(`The path has no ${name}`);
  return value;
}

/** The page of a list that was asked for, and the header that names the others. */
export function page<T>(
  { query }: Context,
  items: readonly T[],
): { items: T[]; headers: Record<string, string> } {
  const size = Math.min(Math.max(Number(query.get('per_page') ?? 30), 1), 100);
  const number = Math.max(Number(query.get('page') ?? 1), 1);
  const last = Math.max(Math.ceil(items.length / size), 1);
  const link = (to: number, rel: string) => `<?per_page=${size}&page=${to}>; rel="${rel}"`;
  const links = [
    ...(number > 1 ? [link(1, 'first'), link(number - 1, 'prev')] : []),
    ...(number < last ? [link(number + 1, 'next'), link(last, 'last')] : []),
  ];
  return {
    items: items.slice((number - 1) * size, number * size),
    headers: links.length > 0 ? { link: links.join(', ') } : {},
  };
}

/** A page of a plain list. */
export function list<T>(context: Context, all: readonly T[], body: (item: T) => unknown): Reply {
  const { items, headers } = page(context, all);
  return { status: 200, body: items.map(body), headers };
}

/** A page of a list that is wrapped with the number of all its entries. */
export function countedList<T>(
  context: Context,
  name: string,
  all: readonly T[],
  body: (item: T) => unknown,
): Reply {
  const { items, headers } = page(context, all);
  return { ...ok({ total_count: all.length, [name]: items.map(body) }), headers };
}
