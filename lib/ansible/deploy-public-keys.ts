import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Scalar, YAMLMap, YAMLSeq } from 'yaml';
import { encoders } from '../encoders.ts';
import { GobootError, usageError } from '../errors.ts';
import { projectPaths } from '../paths.ts';
import { quoted } from '../validate.ts';

/** The variable of the playbooks: the public keys that may release a site and do nothing else. */
const variable = 'deploy_public_keys';
const usualIndent = '  ';
/** The longest line that the linters of a rendered project let pass. */
const longestLine = 160;

/** One item of the list. A key that is too long for a line is folded; its longest word stands alone. */
function item(key: string, indent: string): string {
  const line = `${indent}- ${encoders.yaml(key)}\n`;
  if (line.length <= longestLine) return line;
  const [type, body, ...comment] = key.split(' ');
  const lines = [type, body, comment.join(' ')].filter(Boolean);
  return `${indent}- >-\n${lines.map((text) => `${indent}  ${text}\n`).join('')}`;
}

/** The variable with its keys, as text of a YAML file. */
export function publicKeyList(keys: readonly string[], indent = usualIndent): string {
  return keys.length === 0
    ? `${variable}: []\n`
    : `${variable}:\n${keys.map((key) => item(key, indent)).join('')}`;
}

/** What makes two lines the same key: options before it and the comment behind it do not count. */
export function keyIdentity(line: string): string {
  return (
    line.match(/(?:^|\s)((?:ssh|ecdsa|sk)-\S+\s+AAAA[A-Za-z0-9+/]+=*)/)?.[1]?.replace(/\s+/, ' ') ?? line
  );
}

function checkPublicKey(key: string): string {
  if (/^(ssh|ecdsa)-\S+ AAAA[A-Za-z0-9+/]+=*( [^\p{Cc}]+)?$/u.test(key)) return key;
  throw usageError(
    `${quoted(key.slice(0, 40))} is not a public key`,
    'Give one line: the type, the key and a comment.',
  );
}

interface KeyList {
  text: string;
  path: string;
  keys: string[];
  /** From and to which character of the text each item stands, whole lines; empty where the list is in one line. */
  places: [start: number, end: number][];
  /** Where the variable stands, whole lines; undefined where the file has none. */
  place: [start: number, end: number] | undefined;
  indent: string;
}

function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

/** Behind the end of the line that holds the character before an offset. */
function lineEnd(text: string, offset: number): number {
  const end = text.indexOf('\n', Math.max(offset - 1, 0));
  return end < 0 ? text.length : end + 1;
}

async function readList(projectRoot: string, environment: string): Promise<KeyList> {
  const path = projectPaths.environmentVariables(environment);
  let text: string;
  try {
    text = await readFile(join(projectRoot, path), 'utf8');
  } catch (error) {
    throw new GobootError(`${path} cannot be read: ${(error as Error).message}`, {
      remedy: `Bring it back: git checkout -- ${path}`,
      cause: error,
    });
  }
  if (text && !text.endsWith('\n')) text += '\n';
  const { isMap, isScalar, isSeq, parseDocument } = await import('yaml');
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error) {
    throw new GobootError(`${path} is not valid YAML: ${error.message.split('\n')[0]}`, {
      remedy: `Repair it, or bring it back: git checkout -- ${path}`,
    });
  }
  const pair = isMap(document.contents)
    ? (document.contents as YAMLMap<Scalar<string>>).items.find(({ key }) => key.value === variable)
    : undefined;
  const list: KeyList = { text, path, keys: [], places: [], place: undefined, indent: usualIndent };
  if (!pair) return list;
  const value = pair.value as YAMLSeq<Scalar<string>> | Scalar | null;
  const [start] = pair.key.range ?? [0];
  if (isScalar(value) && (value.value === null || value.value === '')) {
    return { ...list, place: [start, lineEnd(text, start + 1)] };
  }
  if (!isSeq(value) || !value.items.every((node) => isScalar(node) && typeof node.value === 'string')) {
    throw new GobootError(`${variable} in ${path} is not a list of keys`, {
      remedy: 'Write it as a list, one public key per item, and run the same again.',
    });
  }
  const nodes = value.items as Scalar<string>[];
  const keys = nodes.map((node) => node.value.trim());
  const end = lineEnd(text, value.range?.[1] ?? start);
  if (value.flow) return { ...list, keys, place: [start, end] };
  const [first] = value.range ?? [start];
  const starts = nodes.map((node) => lineStart(text, text.lastIndexOf('-', (node.range?.[0] ?? first) - 1)));
  const ends = nodes.map((node) => lineEnd(text, node.range?.[1] ?? end));
  return {
    ...list,
    keys,
    places: starts.map((itemStart, index) => [itemStart, ends[index] ?? end]),
    place: [start, ends.at(-1) ?? end],
    indent: text.slice(lineStart(text, first), first),
  };
}

function spliced(text: string, [start, end]: readonly [number, number], replacement: string): string {
  return text.slice(0, start) + replacement + text.slice(end);
}

/** The file with a key taken out and another one put in; everything else, comments too, stays as it is. */
function changed(list: KeyList, remove: string | undefined, add: string | undefined): string {
  const { text, keys, places, place, indent } = list;
  const known = keys.map(keyIdentity);
  const removed = remove === undefined ? -1 : known.indexOf(keyIdentity(remove));
  const added = add === undefined || known.includes(keyIdentity(add)) ? undefined : add;
  if (removed < 0 && added === undefined) return text;
  if (!place) return `${text}\n${publicKeyList(added ? [added] : [])}`;
  const left = keys.filter((_, index) => index !== removed);
  const wanted = added === undefined ? left : [...left, added];
  if (places.length === 0 || wanted.length === 0) {
    const comment = text.slice(...place).match(/^[^\n]*?\[\](\s*#[^\n]*)\n$/)?.[1] ?? '';
    const [first, ...rest] = publicKeyList(wanted).split('\n');
    return spliced(text, place, [`${first}${comment}`, ...rest].join('\n'));
  }
  const old = places[removed];
  if (old) return spliced(text, old, added === undefined ? '' : item(added, indent));
  const end = place[1];
  return spliced(text, [end, end], item(added as string, indent));
}

async function edit(
  projectRoot: string,
  environment: string,
  { remove, add }: { remove?: string; add?: string },
): Promise<boolean> {
  const list = await readList(projectRoot, environment);
  const text = changed(list, remove, add);
  if (text === list.text) return false;
  await writeFile(join(projectRoot, list.path), text);
  return true;
}

/**
 * The public keys that an environment of a project lets release its site; none where the project does not exist yet.
 * Throws a GobootError for a damaged file.
 */
export async function readDeployPublicKeys(projectRoot: string, environment: string): Promise<string[]> {
  if (!existsSync(join(projectRoot, projectPaths.environmentVariables(environment)))) return [];
  return (await readList(projectRoot, environment)).keys;
}

/** The same for several environments, by their names. */
export async function readAllDeployPublicKeys(
  projectRoot: string,
  environments: readonly { name: string }[],
): Promise<Record<string, string[]>> {
  const entries = environments.map(
    async ({ name }): Promise<[string, string[]]> => [name, await readDeployPublicKeys(projectRoot, name)],
  );
  return Object.fromEntries(await Promise.all(entries));
}

/** The environments of those that are named which let a public key release their sites, under whatever comment. */
export async function environmentsWithKey(
  projectRoot: string,
  environments: readonly { name: string }[],
  key: string,
): Promise<string[]> {
  const all = await readAllDeployPublicKeys(projectRoot, environments);
  return Object.entries(all).flatMap(([name, keys]) =>
    keys.some((other) => keyIdentity(other) === keyIdentity(key)) ? [name] : [],
  );
}

/**
 * Lets a public key release the site of an environment, from the next provisioning on. Returns whether the file has
 * changed; a key that is there already, under whatever comment, stays as it is.
 *
 * Throws a usage error for what is no public key, and a GobootError for a damaged file.
 */
export async function addDeployPublicKey(
  projectRoot: string,
  environment: string,
  key: string,
): Promise<boolean> {
  return edit(projectRoot, environment, { add: checkPublicKey(key) });
}

/** Takes a public key away, like `addDeployPublicKey`. */
export async function removeDeployPublicKey(
  projectRoot: string,
  environment: string,
  key: string,
): Promise<boolean> {
  return edit(projectRoot, environment, { remove: key });
}

/** Puts a public key in the place of another one, or adds it where that one is missing, like `addDeployPublicKey`. */
export async function replaceDeployPublicKey(
  projectRoot: string,
  environment: string,
  oldKey: string,
  newKey: string,
): Promise<boolean> {
  if (keyIdentity(oldKey) === keyIdentity(newKey))
    return addDeployPublicKey(projectRoot, environment, newKey);
  return edit(projectRoot, environment, { remove: oldKey, add: checkPublicKey(newKey) });
}
