import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import { run } from '../../../lib/process.ts';
import type { Event } from './events.ts';
import { UnsupportedError } from './files.ts';
import { type ActionsRepository, commitOf, gitIn } from './repository.ts';

/** What a public action can see and do while it stands in for the real one. */
export interface ActionCall {
  /** Those of `with:` that are not empty, by their names. Each has to be one that the stand-in knows. */
  inputs: Readonly<Record<string, string>>;
  repository: ActionsRepository;
  event: Event;
  workspace: string;
  home: string;
  /** A directory that outlives the job; each runner of the same test has the same. */
  caches: string;
  /** The environment of the job's next programs. */
  env: Readonly<Record<string, string>>;
  setVariable(name: string, value: string): void;
  setOutput(name: string, value: string): void;
  log(line: string): void;
}

/** Does what an action does. What it returns is done at the end of the job, unless that failed. */
export type StandIn = (call: ActionCall) => Promise<void | (() => Promise<void>)>;

/** A failure that the real action would have had as well: the step fails. */
export class ActionFailure extends Error {}

function readInputs<Name extends string>(
  { inputs }: ActionCall,
  action: string,
  names: readonly Name[],
): Partial<Record<Name, string>> {
  for (const name of Object.keys(inputs)) {
    if (!(names as readonly string[]).includes(name)) {
      throw new UnsupportedError(`the stand-in for ${action} does not know the input ${name}`);
    }
  }
  return inputs as Partial<Record<Name, string>>;
}

/** A path of an action's input, which must lie in the workspace. */
function inWorkspace(workspace: string, path: string): string {
  const found = isAbsolute(path) ? path : join(workspace, path);
  if (relative(workspace, found).startsWith('..')) {
    throw new ActionFailure(`Repository path '${found}' is not under '${workspace}'`);
  }
  return found;
}

/** A real clone of the repository, as deep as it is asked for, without the files that git ignores. */
const checkout: StandIn = async (call) => {
  const { repository, event, workspace } = call;
  const names = ['ref', 'path', 'fetch-depth', 'fetch-tags', 'persist-credentials'] as const;
  const inputs = readInputs(call, 'actions/checkout', names);
  const directory = inWorkspace(workspace, inputs.path ?? '');
  await mkdir(directory, { recursive: true });
  const git = async (...args: string[]) => {
    const { exitCode, stderr } = await run('git', args, { cwd: directory, env: gitEnvironment });
    if (exitCode !== 0) throw new ActionFailure(`git ${args[0]}: ${stderr}`);
  };
  let commit: string;
  try {
    commit = inputs.ref ? commitOf(repository, resolvable(repository, inputs.ref)) : event.sha;
  } catch {
    throw new ActionFailure(`A branch or tag with the name '${inputs.ref}' could not be found`);
  }
  const depth = Number(inputs['fetch-depth'] ?? 1);
  await git('init', '--quiet', '--initial-branch=main');
  await git('remote', 'add', 'origin', `file://${repository.path}`);
  const all = depth === 0 ? ['+refs/heads/*:refs/remotes/origin/*', '+refs/tags/*:refs/tags/*'] : [];
  await git(
    'fetch',
    '--quiet',
    '--no-tags',
    ...(depth === 0 ? [] : [`--depth=${depth}`]),
    'origin',
    ...all,
    commit,
  );
  const branch = /^refs\/heads\/(.*)$/.exec(inputs.ref ? '' : event.ref)?.[1];
  await git('checkout', '--quiet', '--force', ...(branch ? ['-B', branch] : ['--detach']), commit);
  // The real one has the address of GitHub here, which nothing may push to without credentials.
  await git('remote', 'set-url', 'origin', `${repository.serverUrl}/${repository.fullName}`);
  call.setOutput('commit', commit);
  call.setOutput('ref', inputs.ref ?? event.ref);
  call.log(`HEAD is now at ${commit}`);
};

const gitEnvironment = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };

/** A branch goes before a tag of the same name, as for the action. */
function resolvable({ path }: ActionsRepository, ref: string): string {
  const known = gitIn(path, ['for-each-ref', '--format=%(refname)']).split('\n');
  return [`refs/heads/${ref}`, `refs/tags/${ref}`].find((name) => known.includes(name)) ?? ref;
}

/**
 * The uv of this computer, told which Python to use and where its cache is. A Python that is not here is an error, or
 * another one stands in.
 */
export function setupUv({ otherwise }: { otherwise?: string | undefined } = {}): StandIn {
  return async (call) => {
    const names = ['python-version', 'enable-cache'] as const;
    const inputs = readInputs(call, 'astral-sh/setup-uv', names);
    const asked = inputs['python-version'];
    if (asked) {
      const version = (await hasPython(asked, call.env)) ? asked : otherwise;
      if (!version) throw new UnsupportedError(`Python ${asked} is not on this computer`);
      if (version !== asked) call.log(`Python ${asked} is not on this computer: ${version} stands in`);
      call.setVariable('UV_PYTHON', version);
    }
    const cached = inputs['enable-cache'] === 'true';
    const cache = join(cached ? call.caches : call.home, 'uv');
    call.setOutput('cache-hit', String(cached && existsSync(cache)));
    if (cached) call.setVariable('UV_CACHE_DIR', cache);
  };
}

/** Whether uv finds a version of Python on this computer. */
export async function hasPython(
  version: string,
  env: Readonly<Record<string, string>> = {},
): Promise<boolean> {
  const args = ['python', 'find', '--no-project', '--no-python-downloads', version];
  return (await run('uv', args, { env: { ...env } })).exitCode === 0;
}

/** Keeps the files of paths in a directory, under the name of their key. */
const cache: StandIn = async (call) => {
  const inputs = readInputs(call, 'actions/cache', ['path', 'key', 'restore-keys'] as const);
  const { path, key } = inputs;
  if (!path || !key) throw new ActionFailure('Input required and not supplied: path, key');
  const paths = path
    .split('\n')
    .map((name) => name.trim())
    .filter(Boolean);
  if (paths.some((name) => /[*?[\]!]/.test(name))) {
    throw new UnsupportedError(`the stand-in for actions/cache knows no patterns: ${path}`);
  }
  const absolute = paths
    .map((name) => name.replace(/^~/, call.home))
    .map((name) => join(isAbsolute(name) ? '' : call.workspace, name));
  const store = join(call.caches, 'cache');
  await mkdir(store, { recursive: true });
  const prefixes = [key, ...(inputs['restore-keys'] ?? '').split('\n').map((name) => name.trim())].filter(
    Boolean,
  );
  const kept = readdirSync(store).map((name) => decodeURIComponent(name));
  const found = prefixes.flatMap((prefix) => kept.filter((name) => name.startsWith(prefix)))[0];
  call.setOutput('cache-hit', found === undefined ? '' : String(found === key));
  const placeOf = (name: string, target: string) =>
    join(store, encodeURIComponent(name), createHash('sha256').update(target).digest('hex'));
  for (const [index, target] of absolute.entries()) {
    const source = found === undefined ? '' : placeOf(found, paths[index] as string);
    if (existsSync(source)) await cp(source, target, { recursive: true, verbatimSymlinks: true });
  }
  if (found === key) return;
  return async () => {
    for (const [index, source] of absolute.entries()) {
      const target = placeOf(key, paths[index] as string);
      if (existsSync(source)) await cp(source, target, { recursive: true, verbatimSymlinks: true });
    }
  };
};

/** The public actions that can be executed, by their names without a version. Any other one is an error. */
export const standIns: Readonly<Record<string, StandIn>> = {
  'actions/checkout': checkout,
  'astral-sh/setup-uv': setupUv(),
  'actions/cache': cache,
};
