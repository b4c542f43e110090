import { GobootError } from '../errors.ts';
import { isRepository, mainBranch } from '../git.ts';
import { run } from '../process.ts';
import type { RepositoryVisibility } from '../project.ts';
import type { Owner } from './account.ts';
import type { GitHub } from './client.ts';
import { GitHubError, isGitHubFailure } from './errors.ts';
import { unwatched, type Watcher } from './watcher.ts';

/** The address of a repository. */
export interface RepositoryName {
  owner: string;
  name: string;
}

/** What goboot knows of a repository; addresses are those that GitHub gave. */
export interface Repository extends RepositoryName {
  /** Stays the same when the repository is renamed. */
  id: number;
  visibility: RepositoryVisibility;
  cloneUrl: string;
  htmlUrl: string;
  /** Whether the token's account administers it. */
  mayAdminister: boolean;
}

/**
 * What stands at a repository's address:
 * - `absent`: nothing that the token may see
 * - `empty`: a repository without a commit
 * - `ours`: one whose main belongs to the same history as ours
 * - `foreign`: one with any other content
 */
export type RepositoryState =
  | { state: 'absent' }
  | { state: 'empty'; repository: Repository }
  | { state: 'ours'; repository: Repository; main: MainRelation }
  | { state: 'foreign'; repository: Repository };

/**
 * How GitHub's main is related to the current commit here: it is the same, lacks commits (`behind`), has more
 * (`ahead`), or both (`diverged`).
 */
export type MainRelation = 'same' | 'behind' | 'ahead' | 'diverged';

/** `owner/name`. */
export function fullName({ owner, name }: RepositoryName): string {
  return `${owner}/${name}`;
}

interface ApiRepository {
  id: number;
  name: string;
  owner: { login: string };
  private: boolean;
  clone_url?: string | undefined;
  html_url: string;
  permissions?: { admin?: boolean | undefined } | undefined;
}

function toRepository(data: ApiRepository): Repository {
  return {
    id: data.id,
    owner: data.owner.login,
    name: data.name,
    visibility: data.private ? 'private' : 'public',
    cloneUrl: data.clone_url ?? `${data.html_url}.git`,
    htmlUrl: data.html_url,
    mayAdminister: data.permissions?.admin ?? false,
  };
}

/** Finds a repository; undefined when there is none that the token may see. Throws a GitHubError. */
export async function findRepository(
  github: GitHub,
  { owner, name }: RepositoryName,
): Promise<Repository | undefined> {
  const data = await github.find(`look up the repository ${owner}/${name}`, (api) =>
    api.repos.get({ owner, repo: name }),
  );
  return data && toRepository(data);
}

/**
 * Looks what stands at a repository's address, compared with the project in a local directory (none: it has no
 * commit yet). Changes nothing. Throws a GitHubError.
 */
export async function lookUpRepository(
  github: GitHub,
  name: RepositoryName,
  directory?: string,
): Promise<RepositoryState> {
  const repository = await findRepository(github, name);
  if (!repository) return { state: 'absent' };
  if (await isEmpty(github, repository)) return { state: 'empty', repository };
  // Below another repository, git would answer for that one.
  const main = directory && isRepository(directory) && (await relationOfMain(github, repository, directory));
  return main ? { state: 'ours', repository, main } : { state: 'foreign', repository };
}

async function isEmpty(github: GitHub, { owner, name }: RepositoryName): Promise<boolean> {
  const { data: branches } = await github.call(`read the branches of ${owner}/${name}`, (api) =>
    api.repos.listBranches({ owner, repo: name, per_page: 1 }),
  );
  return branches.length === 0;
}

/** Undefined when the repository's main has no history in common with ours, or it has no main. */
async function relationOfMain(
  github: GitHub,
  { owner, name }: RepositoryName,
  directory: string,
): Promise<MainRelation | undefined> {
  const branch = await github.find(`read ${mainBranch} of ${owner}/${name}`, (api) =>
    api.repos.getBranch({ owner, repo: name, branch: mainBranch }),
  );
  const head = await resolveCommit(directory, 'HEAD');
  if (!branch || !head) return undefined;
  const theirs = branch.commit.sha;
  if (theirs === head) return 'same';
  if (await isAncestor(directory, theirs, head)) return 'behind';
  const compare = async (base: string): Promise<string | undefined> => {
    const comparison = await github.find(`compare ${mainBranch} of ${owner}/${name} with yours`, (api) =>
      api.repos.compareCommitsWithBasehead({
        owner,
        repo: name,
        basehead: `${base}...${theirs}`,
        per_page: 1,
      }),
    );
    return comparison?.status;
  };
  const relation = await compare(head);
  if (relation === 'ahead' || relation === 'diverged') return relation;
  // Our newest commit was never pushed: do both begin with the same one?
  for (const root of await rootCommits(directory)) {
    if ((await compare(root)) === 'ahead') return 'diverged';
  }
  return undefined;
}

async function resolveCommit(directory: string, name: string): Promise<string | undefined> {
  const { exitCode, stdout } = await run('git', ['rev-parse', '--verify', '--quiet', `${name}^{commit}`], {
    cwd: directory,
  });
  return exitCode === 0 ? stdout.trim() : undefined;
}

async function isAncestor(directory: string, ancestor: string, descendant: string): Promise<boolean> {
  const { exitCode } = await run('git', ['merge-base', '--is-ancestor', ancestor, descendant], {
    cwd: directory,
  });
  return exitCode === 0;
}

async function rootCommits(directory: string): Promise<string[]> {
  const { stdout } = await run('git', ['rev-list', '--max-parents=0', 'HEAD'], { cwd: directory });
  return stdout.split('\n').filter(Boolean);
}

/** The error for a repository that holds what is not ours. */
export function foreignRepositoryError(repository: Repository): GobootError {
  return new GobootError(
    `The repository ${fullName(repository)} exists and holds something else: ${repository.htmlUrl}`,
    {
      remedy:
        'Choose another name or another --owner, or rename that repository. goboot never overwrites one.',
    },
  );
}

export interface NewRepository {
  owner: Owner;
  name: string;
  visibility: RepositoryVisibility;
  description: string;
}

/**
 * Creates an empty repository, and returns it when it can be found. Where the answer is lost it looks before it
 * tries again, so there is never a second one. Throws a GitHubError; its failure is `exists` when there is one of
 * that name already.
 */
export async function createRepository(
  github: GitHub,
  { owner, name, visibility, description }: NewRepository,
  watcher: Watcher = unwatched,
): Promise<Repository> {
  const settings = {
    name,
    private: visibility === 'private',
    description,
    has_wiki: false,
    has_projects: false,
    // GitHub's own first commit would be in the way of ours.
    auto_init: false,
    delete_branch_on_merge: true,
  };
  const wanted = { owner: owner.login, name };
  const action = `create the ${visibility} repository ${fullName(wanted)}`;
  // Otherwise one that was there before could be taken for ours after a lost answer.
  if (await findRepository(github, wanted)) throw existsError(wanted);
  await watcher.before(fullName(wanted), 'absent');
  const created = await github
    .createOnce(
      async () => {
        const { data } = await github.call(action, (api) =>
          owner.kind === 'organization'
            ? api.repos.createInOrg({ org: owner.login, ...settings })
            : api.repos.createForAuthenticatedUser(settings),
        );
        return toRepository(data);
      },
      () => findRepository(github, wanted),
    )
    .catch(async (error) => {
      if (isGitHubFailure(error) && !error.lostAnswer) await watcher.refused(fullName(wanted));
      throw error;
    });
  await watcher.after(fullName(wanted), created.id);
  await github.afterCreation(() =>
    github.call(action, (api) => api.repos.get({ owner: created.owner, repo: created.name })),
  );
  return created;
}

function existsError(name: RepositoryName): GitHubError {
  return new GitHubError(`There is a repository ${fullName(name)} already`, {
    failure: 'exists',
    remedy: 'Choose another name or another --owner.',
  });
}

export interface RepositorySettings {
  description?: string;
  homepage?: string;
  /** Whether GitHub deletes a branch when its pull request is merged. */
  deleteBranchOnMerge?: boolean;
  topics?: readonly string[];
}

/**
 * Brings settings of a repository to the given values and returns the names of those that it had to change.
 * Throws a GitHubError.
 */
export async function updateRepository(
  github: GitHub,
  { owner, name }: RepositoryName,
  settings: RepositorySettings,
): Promise<(keyof RepositorySettings)[]> {
  const repo = { owner, repo: name };
  const { data: current } = await github.afterCreation(() =>
    github.call(`look up the repository ${owner}/${name}`, (api) => api.repos.get(repo)),
  );
  const { description, homepage, deleteBranchOnMerge, topics } = settings;
  const changed: (keyof RepositorySettings)[] = [];
  if (description !== undefined && description !== (current.description ?? '')) changed.push('description');
  if (homepage !== undefined && homepage !== (current.homepage ?? '')) changed.push('homepage');
  // Only administrators are shown this one.
  if (
    deleteBranchOnMerge !== undefined &&
    deleteBranchOnMerge !== (current.delete_branch_on_merge ?? false)
  ) {
    changed.push('deleteBranchOnMerge');
  }
  if (changed.length > 0) {
    await github.afterCreation(() =>
      github.call(`change the settings of ${owner}/${name}`, (api) =>
        api.repos.update({
          ...repo,
          ...(changed.includes('description') && { description }),
          ...(changed.includes('homepage') && { homepage }),
          ...(changed.includes('deleteBranchOnMerge') && { delete_branch_on_merge: deleteBranchOnMerge }),
        }),
      ),
    );
  }
  if (topics && [...topics].sort().join() !== [...(current.topics ?? [])].sort().join()) {
    await github.afterCreation(() =>
      github.call(`set the topics of ${owner}/${name}`, (api) =>
        api.repos.replaceAllTopics({ ...repo, names: [...topics] }),
      ),
    );
    changed.push('topics');
  }
  return changed;
}

/** What the journal keeps of a repository that a run created. */
export type CreatedRepository = Pick<Repository, 'owner' | 'name' | 'id'>;

/**
 * Why a repository is more than what goboot pushed from a local directory, as the rest of the sentence "the
 * repository …"; undefined when it holds nothing but our commits. What Dependabot does by itself does not count.
 */
export async function foreignContent(
  github: GitHub,
  { owner, name }: RepositoryName,
  directory: string,
): Promise<string | undefined> {
  const repo = { owner, repo: name };
  const branches = await github.list(`read the branches of ${owner}/${name}`, (api, page) =>
    api.repos.listBranches({ ...repo, ...page }),
  );
  for (const { name: branch, commit } of branches) {
    if (await resolveCommit(directory, commit.sha)) continue;
    if (branch.startsWith('dependabot/') && (await isByDependabot(github, { owner, name }, commit.sha)))
      continue;
    return `has commits on ${branch} that are not in this project`;
  }
  const releases = await github.list(`read the releases of ${owner}/${name}`, (api, page) =>
    api.repos.listReleases({ ...repo, ...page }),
  );
  if (releases.length > 0)
    return `has ${releases.length === 1 ? 'a release' : `${releases.length} releases`}`;
  const issues = await github.list(`read the issues of ${owner}/${name}`, (api, page) =>
    api.issues.listForRepo({ ...repo, ...page, state: 'all' }),
  );
  if (issues.some(({ user }) => user?.login !== dependabot)) return 'has issues or pull requests';
  return undefined;
}

const dependabot = 'dependabot[bot]';

async function isByDependabot(
  github: GitHub,
  { owner, name }: RepositoryName,
  sha: string,
): Promise<boolean> {
  const { data } = await github.call(`read a commit of ${owner}/${name}`, (api) =>
    api.repos.getCommit({ owner, repo: name, ref: sha }),
  );
  return data.author !== null && 'login' in data.author && data.author.login === dependabot;
}

/**
 * Deletes a repository that goboot created, if it still holds nothing but the commits of a local directory. Returns
 * false when it is gone already. Throws a GobootError when it holds more or is another one by now, and a GitHubError
 * when GitHub refuses.
 */
export async function deleteRepository(
  github: GitHub,
  created: CreatedRepository,
  directory: string,
): Promise<boolean> {
  const found = await findRepository(github, created);
  if (!found) return false;
  if (found.id !== created.id) {
    throw keepError(found, 'is not the one that goboot created: its id is another one');
  }
  const reason = await foreignContent(github, created, directory);
  if (reason) throw keepError(found, reason);
  try {
    await github.call(`delete the repository ${fullName(found)}`, (api) =>
      api.repos.delete({ owner: found.owner, repo: found.name }),
    );
  } catch (error) {
    // A repeated request whose first answer was lost.
    if (!isGitHubFailure(error, 'not found') || (await findRepository(github, created))) throw error;
  }
  return true;
}

function keepError(repository: Repository, reason: string): GobootError {
  return new GobootError(`The repository ${fullName(repository)} ${reason}, so goboot does not delete it`, {
    remedy: `Delete it yourself if you are sure: ${repository.htmlUrl}/settings`,
  });
}
