// What the API says of things, in the form that GitHub's description gives it.
import type { Commit } from './bare-repository.ts';
import { type Repository, timestamp, type World } from './world.ts';

const unmeasured = timestamp(new Date('2020-01-01'));

/** The short form of a user or organisation, which many replies contain. */
export function simpleUser(world: World, login: string) {
  const { id, nodeId, kind } = world.account(login) ?? { id: 0, nodeId: '', kind: 'user' };
  const url = `${world.api}/users/${login}`;
  return {
    login,
    id,
    node_id: nodeId,
    avatar_url: `${world.origin}/avatars/${id}`,
    gravatar_id: '',
    url,
    html_url: `${world.origin}/${login}`,
    followers_url: `${url}/followers`,
    following_url: `${url}/following{/other_user}`,
    gists_url: `${url}/gists{/gist_id}`,
    starred_url: `${url}/starred{/owner}{/repo}`,
    subscriptions_url: `${url}/subscriptions`,
    organizations_url: `${url}/orgs`,
    repos_url: `${url}/repos`,
    events_url: `${url}/events{/privacy}`,
    received_events_url: `${url}/received_events`,
    type: kind === 'organization' ? 'Organization' : 'User',
    site_admin: false,
    user_view_type: 'public',
  };
}

const ownedBy = (world: World, login: string, isPrivate: boolean) =>
  [...world.repositories.values()].filter(
    (repository) => repository.owner === login && repository.private === isPrivate,
  ).length;

export function publicUser(world: World, login: string) {
  return {
    ...simpleUser(world, login),
    name: null,
    company: null,
    blog: '',
    location: null,
    email: null,
    hireable: null,
    bio: null,
    public_repos: ownedBy(world, login, false),
    public_gists: 0,
    followers: 0,
    following: 0,
    created_at: unmeasured,
    updated_at: unmeasured,
  };
}

/** What users see of themselves with a token that may tell. */
export function privateUser(world: World, login: string) {
  const plan = world.account(login)?.plan ?? 'free';
  return {
    ...publicUser(world, login),
    user_view_type: 'private',
    private_gists: 0,
    total_private_repos: ownedBy(world, login, true),
    owned_private_repos: ownedBy(world, login, true),
    disk_usage: 0,
    collaborators: 0,
    two_factor_authentication: true,
    plan: { name: plan, space: 976562499, collaborators: 0, private_repos: 9999 },
  };
}

export function simpleOrganization(world: World, login: string) {
  const account = world.account(login);
  const url = `${world.api}/orgs/${login}`;
  return {
    login,
    id: account?.id ?? 0,
    node_id: account?.nodeId ?? '',
    url,
    repos_url: `${url}/repos`,
    events_url: `${url}/events`,
    hooks_url: `${url}/hooks`,
    issues_url: `${url}/issues`,
    members_url: `${url}/members{/member}`,
    public_members_url: `${url}/public_members{/member}`,
    avatar_url: `${world.origin}/avatars/${account?.id}`,
    description: null,
  };
}

/** An organisation; its members see its plan and settings too. */
export function fullOrganization(world: World, login: string, seenBy: 'public' | 'member') {
  const organization = world.organization(login);
  const mayCreate = organization?.membersMayCreateRepositories !== false;
  return {
    ...simpleOrganization(world, login),
    html_url: `${world.origin}/${login}`,
    has_organization_projects: true,
    has_repository_projects: true,
    public_repos: ownedBy(world, login, false),
    public_gists: 0,
    followers: 0,
    following: 0,
    type: 'Organization',
    created_at: unmeasured,
    updated_at: unmeasured,
    archived_at: null,
    ...(seenBy === 'member' && {
      default_repository_permission: 'read',
      members_can_create_repositories: mayCreate,
      members_can_create_public_repositories: mayCreate,
      members_can_create_private_repositories: mayCreate,
      plan: {
        name: organization?.plan ?? 'free',
        space: 976562499,
        private_repos: 9999,
        filled_seats: Object.keys(organization?.members ?? {}).length,
        seats: 10,
      },
    }),
  };
}

/** The form of a repository that lists and runs contain. */
export function minimalRepository(world: World, repository: Repository) {
  const url = `${world.api}/repos/${repository.fullName}`;
  const html = `${world.origin}/${repository.fullName}`;
  return {
    id: repository.id,
    node_id: repository.nodeId,
    name: repository.name,
    full_name: repository.fullName,
    private: repository.private,
    owner: simpleUser(world, repository.owner),
    html_url: html,
    description: repository.description,
    fork: false,
    url,
    forks_url: `${url}/forks`,
    keys_url: `${url}/keys{/key_id}`,
    collaborators_url: `${url}/collaborators{/collaborator}`,
    teams_url: `${url}/teams`,
    hooks_url: `${url}/hooks`,
    issue_events_url: `${url}/issues/events{/number}`,
    events_url: `${url}/events`,
    assignees_url: `${url}/assignees{/user}`,
    branches_url: `${url}/branches{/branch}`,
    tags_url: `${url}/tags`,
    blobs_url: `${url}/git/blobs{/sha}`,
    git_tags_url: `${url}/git/tags{/sha}`,
    git_refs_url: `${url}/git/refs{/sha}`,
    trees_url: `${url}/git/trees{/sha}`,
    statuses_url: `${url}/statuses/{sha}`,
    languages_url: `${url}/languages`,
    stargazers_url: `${url}/stargazers`,
    contributors_url: `${url}/contributors`,
    subscribers_url: `${url}/subscribers`,
    subscription_url: `${url}/subscription`,
    commits_url: `${url}/commits{/sha}`,
    git_commits_url: `${url}/git/commits{/sha}`,
    comments_url: `${url}/comments{/number}`,
    issue_comment_url: `${url}/issues/comments{/number}`,
    contents_url: `${url}/contents/{+path}`,
    compare_url: `${url}/compare/{base}...{head}`,
    merges_url: `${url}/merges`,
    archive_url: `${url}/{archive_format}{/ref}`,
    downloads_url: `${url}/downloads`,
    issues_url: `${url}/issues{/number}`,
    pulls_url: `${url}/pulls{/number}`,
    milestones_url: `${url}/milestones{/number}`,
    notifications_url: `${url}/notifications{?since,all,participating}`,
    labels_url: `${url}/labels{/name}`,
    releases_url: `${url}/releases{/id}`,
    deployments_url: `${url}/deployments`,
  };
}

export function fullRepository(world: World, repository: Repository, login: string | undefined) {
  const role = world.role(login, repository);
  const html = `${world.origin}/${repository.fullName}`;
  return {
    ...minimalRepository(world, repository),
    created_at: repository.createdAt,
    updated_at: repository.updatedAt,
    pushed_at: repository.pushedAt,
    git_url: `git://${new URL(world.origin).host}/${repository.fullName}.git`,
    ssh_url: `git@${new URL(world.origin).hostname}:${repository.fullName}.git`,
    clone_url: `${html}.git`,
    svn_url: html,
    homepage: repository.homepage,
    // In kilobytes; a repository without commits has none.
    size: repository.bare.isEmpty ? 0 : 1,
    stargazers_count: 0,
    watchers_count: 0,
    language: null,
    has_issues: true,
    has_projects: true,
    has_downloads: true,
    has_wiki: true,
    has_pages: false,
    has_discussions: false,
    forks_count: 0,
    mirror_url: null,
    archived: repository.archived,
    disabled: false,
    open_issues_count: repository.issues.filter(({ state }) => state === 'open').length,
    license: null,
    allow_forking: true,
    is_template: false,
    web_commit_signoff_required: false,
    topics: repository.topics,
    visibility: repository.private ? 'private' : 'public',
    forks: 0,
    open_issues: repository.issues.filter(({ state }) => state === 'open').length,
    watchers: 0,
    default_branch: repository.defaultBranch,
    ...(login !== undefined && {
      permissions: {
        admin: role === 'admin',
        maintain: role === 'admin',
        push: role === 'admin' || role === 'write',
        triage: role === 'admin' || role === 'write',
        pull: role !== undefined,
      },
    }),
    ...(role === 'admin' && {
      allow_squash_merge: true,
      allow_merge_commit: true,
      allow_rebase_merge: true,
      allow_auto_merge: false,
      delete_branch_on_merge: false,
      allow_update_branch: false,
      ...repository.settings,
    }),
    ...(world.organization(repository.owner) && {
      organization: simpleUser(world, repository.owner),
    }),
    network_count: 0,
    subscribers_count: 0,
  };
}

export function commitBody(world: World, repository: Repository, commit: Commit) {
  const url = `${world.api}/repos/${repository.fullName}`;
  const html = `${world.origin}/${repository.fullName}`;
  return {
    sha: commit.sha,
    node_id: commit.sha,
    commit: {
      author: commit.author,
      committer: commit.committer,
      message: commit.message,
      tree: { sha: commit.tree, url: `${url}/git/trees/${commit.tree}` },
      url: `${url}/git/commits/${commit.sha}`,
      comment_count: 0,
      verification: {
        verified: false,
        reason: 'unsigned',
        signature: null,
        payload: null,
        verified_at: null,
      },
    },
    url: `${url}/commits/${commit.sha}`,
    html_url: `${html}/commit/${commit.sha}`,
    comments_url: `${url}/commits/${commit.sha}/comments`,
    author: null,
    committer: null,
    parents: commit.parents.map((sha) => ({
      sha,
      url: `${url}/commits/${sha}`,
      html_url: `${html}/commit/${sha}`,
    })),
  };
}
