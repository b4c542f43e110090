import { NoOperationTraceWriter, parseWorkflow } from '@actions/workflow-parser';
import { parseAction } from '@actions/workflow-parser/actions/action-parser';
import type { TemplateContext } from '@actions/workflow-parser/templates/template-context';
import type { MappingToken } from '@actions/workflow-parser/templates/tokens/mapping-token';
import type { TemplateToken } from '@actions/workflow-parser/templates/tokens/template-token';
import { isMapping, isSequence } from '@actions/workflow-parser/templates/tokens/type-guards';

/** A workflow or an action as GitHub's own parser reads it. */
export interface ParsedFile {
  /** Relative to the repository. */
  path: string;
  root: MappingToken;
  context: TemplateContext;
}

/** What this executor does not know, or what a file or a world must not contain: never a mere failure of a step. */
export class UnsupportedError extends Error {}

function parsed(path: string, result: ReturnType<typeof parseWorkflow>): ParsedFile {
  const errors = result.context.errors.getErrors();
  if (errors.length > 0) {
    throw new UnsupportedError(`${path}: ${errors.map(({ message }) => message).join('; ')}`);
  }
  return { path, root: mapping(result.value, path), context: result.context };
}

/** Reads a workflow. Throws an `UnsupportedError` for what GitHub's parser does not accept. */
export function readWorkflow(path: string, content: string): ParsedFile {
  return parsed(path, parseWorkflow({ name: path, content }, new NoOperationTraceWriter()));
}

/** Reads the `action.yml` of an action. Throws an `UnsupportedError` for what GitHub's parser does not accept. */
export function readAction(path: string, content: string): ParsedFile {
  return parsed(path, parseAction({ name: path, content }, new NoOperationTraceWriter()));
}

/** A token as a mapping. Throws an `UnsupportedError` where it is something else, an expression for example. */
export function mapping(token: TemplateToken | undefined, what: string): MappingToken {
  if (!token || !isMapping(token)) throw new UnsupportedError(`${what} is no mapping`);
  return token;
}

/** The items of a sequence; none where there is no token. */
export function items(token: TemplateToken | undefined, what: string): TemplateToken[] {
  if (!token) return [];
  if (!isSequence(token)) throw new UnsupportedError(`${what} is no list`);
  return [...token];
}

/** The entries of a mapping by their names, which hold no expression; none where there is no token. */
export function entries(token: TemplateToken | undefined, what: string): Map<string, TemplateToken> {
  const found = new Map<string, TemplateToken>();
  if (!token) return found;
  for (const { key, value } of mapping(token, what)) {
    found.set(key.assertString(`a name in ${what}`).value, value);
  }
  return found;
}

/**
 * The entries of a mapping under the names that its reader knows. Throws an `UnsupportedError` for any other: what is
 * ignored would count as executed.
 */
export function fields<Name extends string>(
  token: TemplateToken | undefined,
  what: string,
  names: readonly Name[],
): Partial<Record<Name, TemplateToken>> {
  const found = entries(token, what);
  for (const name of found.keys()) {
    if (!(names as readonly string[]).includes(name)) {
      throw new UnsupportedError(`the executor does not know ${JSON.stringify(name)} in ${what}`);
    }
  }
  return Object.fromEntries(found) as Partial<Record<Name, TemplateToken>>;
}
