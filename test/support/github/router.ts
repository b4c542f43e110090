import { readFileSync } from 'node:fs';

export interface Route {
  operation: string;
  /** The variable parts of the path, decoded. */
  parameters: Record<string, string>;
  /** The path with its variable parts encoded, which GitHub does not insist on for the last one. */
  path: string;
}

interface Pattern {
  method: string;
  template: string;
  operation: string;
  expression: RegExp;
}

const description: { paths: Record<string, Record<string, { operationId: string }>> } = JSON.parse(
  readFileSync(new URL('description.json', import.meta.url), 'utf8'),
);

/** Parts that may contain slashes. */
const long = new Set(['ref', 'path']);
const variable = /\{(\w+)\}/g;

const patterns: Pattern[] = Object.entries(description.paths)
  .flatMap(([template, methods]) =>
    Object.entries(methods).map(([method, { operationId }]) => ({
      method,
      template,
      operation: operationId,
      expression: new RegExp(
        `^${template.replaceAll('.', '\\.').replace(variable, (_, name) => `(?<${name}>${long.has(name) ? '.+' : '[^/]+'})`)}$`,
      ),
    })),
  )
  // What is written out goes before what is variable: `latest` is no id of a release.
  .sort((first, second) => variables(first.template) - variables(second.template));

function variables(template: string): number {
  return template.match(variable)?.length ?? 0;
}

/** The operation that a request is for, or undefined if GitHub's description has none that the server knows. */
export function findRoute(method: string, path: string): Route | undefined {
  for (const pattern of patterns) {
    if (pattern.method !== method.toLowerCase()) continue;
    const match = pattern.expression.exec(path);
    if (!match) continue;
    const parameters = Object.fromEntries(
      Object.entries(match.groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]),
    );
    return {
      operation: pattern.operation,
      parameters,
      path: pattern.template.replace(variable, (_, name) => encodeURIComponent(String(parameters[name]))),
    };
  }
  return undefined;
}
