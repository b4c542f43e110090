import type { Json, JsonObject } from './expressions.ts';
import { UnsupportedError } from './files.ts';

const isObject = (value: Json | undefined): value is JsonObject =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

const same = (one: Json | undefined, other: Json | undefined) =>
  JSON.stringify(one) === JSON.stringify(other);

function objects(value: Json | undefined, what: string): JsonObject[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || !value.every(isObject))
    throw new UnsupportedError(`${what} is no list of mappings`);
  return value as JsonObject[];
}

/**
 * The combinations of a `matrix:`, by the rules of GitHub's documentation: everything with everything, without what
 * `exclude` matches; an entry of `include` is added to each combination of which it changes nothing, or is one more.
 */
export function combinations(matrix: Json): JsonObject[] {
  if (!isObject(matrix)) throw new UnsupportedError('a matrix is no mapping');
  const { include, exclude, ...axes } = matrix;
  let found: JsonObject[] = Object.keys(axes).length > 0 ? [{}] : [];
  for (const [name, values] of Object.entries(axes)) {
    if (!Array.isArray(values)) throw new UnsupportedError(`${name} of a matrix is no list`);
    found = found.flatMap((combination) => values.map((value) => ({ ...combination, [name]: value })));
  }
  const left = found.filter(
    (combination) =>
      !objects(exclude, 'exclude').some((entry) =>
        Object.entries(entry).every(([name, value]) => same(combination[name], value)),
      ),
  );
  const results = left.map((combination) => ({ ...combination }));
  const originals = results.length;
  for (const entry of objects(include, 'include')) {
    const fitting = results
      .slice(0, originals)
      .filter((_, index) =>
        Object.entries(entry).every(([name, value]) => !(name in axes) || same(left[index]?.[name], value)),
      );
    for (const combination of fitting) Object.assign(combination, entry);
    if (fitting.length === 0) results.push({ ...entry });
  }
  return results;
}
