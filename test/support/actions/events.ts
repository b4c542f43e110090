import { convertOn } from '@actions/workflow-parser/model/converter/events';
import type { EventsConfig } from '@actions/workflow-parser/model/workflow-template';
import type { JsonObject } from './expressions.ts';
import { entries, type ParsedFile, UnsupportedError } from './files.ts';
import { matchesAny } from './globs.ts';
import { type ActionsRepository, commitOf, commitTree, gitIn } from './repository.ts';

/** Something that happened in a repository, as GitHub tells workflows about it. */
export interface Event {
  name: 'push' | 'release' | 'workflow_dispatch' | 'pull_request' | 'schedule';
  /** Like `refs/heads/main`. */
  ref: string;
  /** The commit that workflows run for, and whose workflows run. */
  sha: string;
  actor: string;
  payload: JsonObject;
  /** Of a pull request: the names of both branches. */
  headRef?: string;
  baseRef?: string;
  /** Of a pull request from somebody else's copy: GitHub gives it no secrets, and a token that can only read. */
  fork?: boolean;
  /** What a push or a pull request changed. */
  changedPaths?: string[];
}

const nothing = '0'.repeat(40);

function common(repository: ActionsRepository, actor: string): JsonObject {
  const { fullName, defaultBranch, serverUrl } = repository;
  const [owner = '', name = ''] = fullName.split('/');
  return {
    repository: {
      name,
      full_name: fullName,
      private: repository.private,
      default_branch: defaultBranch,
      html_url: `${serverUrl}/${fullName}`,
      owner: { login: owner },
    },
    sender: { login: actor, type: 'User' },
  };
}

const message = ({ path }: ActionsRepository, sha: string) =>
  gitIn(path, ['log', '--max-count=1', '--format=%B', sha]).trimEnd();

function changedBetween({ path }: ActionsRepository, from: string, to: string): string[] {
  return gitIn(path, ['diff', '--name-only', from, to]).split('\n').filter(Boolean);
}

/** The commits of a branch were pushed. `before` is the commit that it was at; a new branch had none. */
export function push(
  repository: ActionsRepository,
  { branch = repository.defaultBranch, before = nothing, actor = 'ada' } = {},
): Event {
  const sha = commitOf(repository, `refs/heads/${branch}`);
  const from = before === nothing ? '4b825dc642cb6eb9a060e54bf8d69288fbee4904' : before;
  return {
    name: 'push',
    ref: `refs/heads/${branch}`,
    sha,
    actor,
    changedPaths: changedBetween(repository, from, sha),
    payload: {
      ...common(repository, actor),
      ref: `refs/heads/${branch}`,
      before,
      after: sha,
      created: before === nothing,
      deleted: false,
      forced: false,
      head_commit: { id: sha, message: message(repository, sha) },
      pusher: { name: actor },
    },
  };
}

/** A release was published, for a tag that is in the repository. */
export function release(
  repository: ActionsRepository,
  {
    tag,
    prerelease = false,
    body = '',
    actor = 'ada',
    action = 'published',
  }: { tag: string; prerelease?: boolean; body?: string; actor?: string; action?: string },
): Event {
  return {
    name: 'release',
    ref: `refs/tags/${tag}`,
    sha: commitOf(repository, `refs/tags/${tag}`),
    actor,
    payload: {
      ...common(repository, actor),
      action,
      release: {
        id: 1,
        tag_name: tag,
        target_commitish: repository.defaultBranch,
        name: tag,
        body,
        draft: false,
        prerelease,
        html_url: `${repository.serverUrl}/${repository.fullName}/releases/tag/${tag}`,
        author: { login: actor },
      },
    },
  };
}

/** Somebody started a workflow by hand. Its inputs are texts, as a form sends them. */
export function dispatch(
  repository: ActionsRepository,
  {
    ref = `refs/heads/${repository.defaultBranch}`,
    inputs = {},
    actor = 'ada',
  }: { ref?: string; inputs?: Record<string, string>; actor?: string } = {},
): Event {
  return {
    name: 'workflow_dispatch',
    ref,
    sha: commitOf(repository, ref),
    actor,
    payload: { ...common(repository, actor), ref, inputs },
  };
}

/** The clock started a workflow, on the default branch. */
export function schedule(repository: ActionsRepository, cron: string): Event {
  const ref = `refs/heads/${repository.defaultBranch}`;
  const { repository: about } = common(repository, repository.fullName.split('/')[0] as string);
  return {
    name: 'schedule',
    ref,
    sha: commitOf(repository, ref),
    actor: repository.fullName.split('/')[0] as string,
    payload: { repository: about as JsonObject, schedule: cron },
  };
}

/**
 * A pull request was opened or changed. Both branches are in the repository; the commit that workflows run for is a
 * merge of both, which is made here, as GitHub makes it.
 */
export function pullRequest(
  repository: ActionsRepository,
  {
    head,
    base = repository.defaultBranch,
    number = 1,
    action = 'opened',
    fork = false,
    actor = 'ada',
  }: { head: string; base?: string; number?: number; action?: string; fork?: boolean; actor?: string },
): Event {
  const git = (...args: string[]) => gitIn(repository.path, args).trim();
  const baseSha = commitOf(repository, `refs/heads/${base}`);
  const headSha = commitOf(repository, `refs/heads/${head}`);
  const tree = git('merge-tree', '--write-tree', baseSha, headSha);
  const merge = commitTree(repository, tree, [baseSha, headSha], `Merge ${headSha} into ${baseSha}`);
  git('update-ref', `refs/pull/${number}/merge`, merge);
  git('update-ref', `refs/pull/${number}/head`, headSha);
  const about = common(repository, actor);
  const [, name] = repository.fullName.split('/');
  const headRepository = fork
    ? { full_name: `${actor}/${name}`, fork: true }
    : { full_name: repository.fullName, fork: false };
  return {
    name: 'pull_request',
    ref: `refs/pull/${number}/merge`,
    sha: merge,
    actor,
    headRef: head,
    baseRef: base,
    fork,
    changedPaths: changedBetween(repository, git('merge-base', baseSha, headSha), headSha),
    payload: {
      ...about,
      action,
      number,
      pull_request: {
        number,
        state: 'open',
        draft: false,
        title: message(repository, headSha),
        user: { login: actor },
        html_url: `${repository.serverUrl}/${repository.fullName}/pull/${number}`,
        head: { ref: head, sha: headSha, repo: headRepository, label: `${actor}:${head}` },
        base: { ref: base, sha: baseSha, repo: { full_name: repository.fullName } },
        merge_commit_sha: merge,
      },
    },
  };
}

/** What starts a workflow, as GitHub's parser understands its `on:`. */
export function triggersOf(file: ParsedFile): EventsConfig {
  const token = entries(file.root, file.path).get('on');
  if (!token) throw new UnsupportedError(`${file.path} has no on:`);
  const config = convertOn(file.context, token);
  const [error] = file.context.errors.getErrors();
  if (error) throw new UnsupportedError(`${file.path}: ${error.message}`);
  return config;
}

interface Filters {
  types?: string[];
  branches?: string[];
  'branches-ignore'?: string[];
  tags?: string[];
  'tags-ignore'?: string[];
  paths?: string[];
  'paths-ignore'?: string[];
}

const defaultTypes: Partial<Record<Event['name'], readonly string[]>> = {
  pull_request: ['opened', 'synchronize', 'reopened'],
};

/** Whether an event starts a workflow. */
export function starts(file: ParsedFile, event: Event): boolean {
  const triggers = triggersOf(file);
  if (!(event.name in triggers)) return false;
  if (event.name === 'schedule') {
    return (triggers.schedule ?? []).some(({ cron }) => cron === event.payload.schedule);
  }
  const filters = (triggers[event.name] ?? {}) as Filters;
  const types = filters.types ?? defaultTypes[event.name];
  if (types && !types.includes(String(event.payload.action))) return false;

  const branch = event.baseRef ?? /^refs\/heads\/(.*)$/.exec(event.ref)?.[1];
  const tag = event.name === 'push' ? /^refs\/tags\/(.*)$/.exec(event.ref)?.[1] : undefined;
  if (event.name === 'push' || event.name === 'pull_request') {
    const { branches, 'branches-ignore': noBranches, tags, 'tags-ignore': noTags } = filters;
    if (branch !== undefined) {
      if (branches && !matchesAny(branches, branch)) return false;
      if (noBranches && matchesAny(noBranches, branch)) return false;
      // Filters for tags alone leave no branch.
      if (!branches && !noBranches && (tags || noTags)) return false;
    }
    if (tag !== undefined) {
      if (tags && !matchesAny(tags, tag)) return false;
      if (noTags && matchesAny(noTags, tag)) return false;
      if (!tags && !noTags && (branches || noBranches)) return false;
    }
    const { paths, 'paths-ignore': noPaths } = filters;
    const changed = event.changedPaths ?? [];
    if (paths && !changed.some((path) => matchesAny(paths, path))) return false;
    if (noPaths && changed.every((path) => matchesAny(noPaths, path))) return false;
  }
  return true;
}
