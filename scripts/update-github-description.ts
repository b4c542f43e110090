// Writes test/support/github/description.json: what GitHub's own description of its API says about the operations
// that the test server knows. The whole of it is 13 MB, in a package of 394 MB.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../lib/paths.ts';
import { runOrThrow } from '../lib/process.ts';
import { operations } from '../test/support/github/operations.ts';

const source = '@octokit/openapi';

type Json = Record<string, unknown>;
interface Description {
  openapi: string;
  info: Json;
  servers: unknown[];
  paths: Record<string, Record<string, Json>>;
  components: Record<string, Record<string, unknown>>;
}

const directory = await mkdtemp(join(tmpdir(), 'goboot-github-'));
try {
  await runOrThrow(
    'npm',
    ['install', '--prefix', directory, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', source],
    { cwd: directory, failure: `npm could not install ${source}` },
  );
  const installed = join(directory, 'node_modules', source);
  const whole: Description = JSON.parse(
    await readFile(join(installed, 'generated', 'api.github.com.json'), 'utf8'),
  );
  const destination = join(packageRoot, 'test/support/github/description.json');
  const text = oneEntryPerLine(trimmed(whole));
  await writeFile(destination, text);
  console.log(`${Object.keys(operations).length} operations, ${Math.round(text.length / 1024)} KB`);
} finally {
  await rm(directory, { recursive: true, force: true });
}

/** The wanted operations and what they refer to, without what nothing is judged by: descriptions and examples. */
function trimmed(whole: Description): Description {
  const result: Description = {
    openapi: whole.openapi,
    info: whole.info,
    servers: whole.servers,
    paths: {},
    components: {},
  };
  const missing = new Set(Object.keys(operations));
  for (const [path, methods] of Object.entries(whole.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      if (!missing.delete(String(operation.operationId))) continue;
      const { description, externalDocs, tags, ...kept } = operation;
      result.paths[path] = { ...result.paths[path], [method]: withoutProse(kept) as Json };
    }
  }
  if (missing.size > 0) throw new Error(`GitHub does not describe ${[...missing].join(', ')}`);

  const followed = new Set<string>();
  const follow = (node: unknown): void => {
    if (!isObject(node)) return;
    for (const [key, value] of Object.entries(node)) {
      if (key !== '$ref' || typeof value !== 'string') follow(value);
      else if (!followed.has(value)) {
        followed.add(value);
        const [kind, name] = value.replace('#/components/', '').split('/') as [string, string];
        const component = withoutProse(whole.components[kind]?.[name], kind === 'responses');
        result.components[kind] = { ...result.components[kind], [name]: component };
        follow(component);
      }
    }
  };
  follow(result.paths);
  return result;
}

function withoutProse(node: unknown, isResponse = false): unknown {
  if (Array.isArray(node)) return node.map((item) => withoutProse(item));
  if (!isObject(node)) return node;
  return Object.fromEntries(
    Object.entries(node)
      // As an object it is a property of that name; a response that has nothing else would count as missing.
      .filter(([name, value]) => name !== 'description' || isObject(value) || isResponse)
      .filter(([name, value]) => name !== 'example' || isSchema(value))
      .filter(([name]) => name !== 'examples' && name !== 'x-github')
      .map(([name, value]) => [name, withoutProse(value, /^\d{3}$/.test(name))]),
  );
}

function isObject(value: unknown): value is Json {
  return value !== null && typeof value === 'object';
}

function isSchema(value: unknown): boolean {
  return isObject(value) && ('$ref' in value || 'type' in value);
}

/** JSON whose changes can be read: a line for each path and each component. */
function oneEntryPerLine(description: Description): string {
  const lines = (entries: Json, indent: string) =>
    Object.entries(entries)
      .sort(([first], [second]) => (first < second ? -1 : 1))
      .map(([name, value]) => `${indent}${JSON.stringify(name)}: ${JSON.stringify(value)}`)
      .join(',\n');
  const { openapi, info, servers, paths, components } = description;
  const groups = Object.entries(components).map(
    ([kind, entries]) => `    ${JSON.stringify(kind)}: {\n${lines(entries, '      ')}\n    }`,
  );
  return `{
${lines({ openapi, info, servers }, '  ')},
  "paths": {
${lines(paths, '    ')}
  },
  "components": {
${groups.join(',\n')}
  }
}
`;
}
