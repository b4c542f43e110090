import { commitBody } from '../bodies.ts';
import { list, parameter, type RepositoryContext, type RepositoryHandler } from '../context.ts';
import { created, notFound, ok, refusal } from '../reply.ts';

const emptyRepository = () => refusal(409, 'Git Repository is empty.');

function branchBody({ world, repository }: RepositoryContext, name: string, sha: string) {
  const url = `${world.api}/repos/${repository.fullName}`;
  return {
    name,
    commit: { sha, url: `${url}/commits/${sha}` },
    protected: isProtected(repository, name),
  };
}

function isProtected(repository: RepositoryContext['repository'], branch: string): boolean {
  return (
    repository.protection.has(branch) ||
    repository.rulesets.some((ruleset) => ruleset.enforcement === 'active')
  );
}

function refBody({ world, repository }: RepositoryContext, ref: { ref: string; sha: string; type: string }) {
  const url = `${world.api}/repos/${repository.fullName}/git`;
  return {
    ref: ref.ref,
    node_id: ref.sha,
    url: `${url}/${ref.ref}`,
    object: { type: ref.type, sha: ref.sha, url: `${url}/${ref.type}s/${ref.sha}` },
  };
}

export const gitDataHandlers: Record<string, RepositoryHandler> = {
  'repos/list-branches': (context) =>
    list(context, context.repository.bare.refs('refs/heads'), ({ ref, sha }) =>
      branchBody(context, ref.replace('refs/heads/', ''), sha),
    ),

  'repos/get-branch': (context) => {
    const { world, repository } = context;
    const name = parameter(context, 'branch');
    const [commit] = repository.bare.resolve(`refs/heads/${name}`)
      ? repository.bare.commits(`refs/heads/${name}`, 1)
      : [];
    if (!commit) throw refusal(404, 'Branch not found');
    const url = `${world.api}/repos/${repository.fullName}/branches/${name}`;
    return ok({
      name,
      commit: commitBody(world, repository, commit),
      _links: { self: url, html: `${world.origin}/${repository.fullName}/tree/${name}` },
      protected: isProtected(repository, name),
      protection: {
        enabled: repository.protection.has(name),
        required_status_checks: { enforcement_level: 'off', contexts: [], checks: [] },
      },
      protection_url: `${url}/protection`,
    });
  },

  'git/create-ref': (context) => {
    const { repository } = context;
    if (repository.bare.isEmpty) throw emptyRepository();
    const { ref, sha } = context.body as { ref: string; sha: string };
    if (repository.bare.resolve(ref)) throw refusal(422, 'Reference already exists');
    if (!repository.bare.resolve(`${sha}^{commit}`)) throw refusal(422, 'Object does not exist');
    repository.bare.git('update-ref', ref, sha);
    return created(refBody(context, { ref, sha, type: 'commit' }));
  },

  'git/get-ref': (context) => {
    const { repository } = context;
    if (repository.bare.isEmpty) throw emptyRepository();
    const name = `refs/${parameter(context, 'ref')}`;
    const ref = repository.bare.refs('refs').find((candidate) => candidate.ref === name);
    if (!ref) throw notFound();
    return ok(refBody(context, ref));
  },

  'repos/list-commits': (context) => {
    const { world, repository, query } = context;
    if (repository.bare.isEmpty) throw emptyRepository();
    const revision = repository.bare.resolve(`${query.get('sha') ?? repository.defaultBranch}^{commit}`);
    if (!revision) throw notFound();
    return list(context, repository.bare.commits(revision, 1000), (commit) =>
      commitBody(world, repository, commit),
    );
  },

  'repos/get-commit': (context) => {
    const { world, repository } = context;
    if (repository.bare.isEmpty) throw emptyRepository();
    const ref = parameter(context, 'ref');
    const revision = repository.bare.resolve(`${ref}^{commit}`);
    const [commit] = revision ? repository.bare.commits(revision, 1) : [];
    if (!commit) throw refusal(422, `No commit found for SHA: ${ref}`);
    return ok(commitBody(world, repository, commit));
  },

  'repos/compare-commits': (context) => {
    const { world, repository } = context;
    if (repository.bare.isEmpty) throw notFound();
    const { bare } = repository;
    const commit = (name: 'base' | 'head') => bare.resolve(`${parameter(context, name)}^{commit}`);
    const [base, head] = [commit('base'), commit('head')];
    if (!base || !head) throw notFound();
    const mergeBase = bare.mergeBase(base, head);
    if (!mergeBase) throw refusal(404, `No common ancestor between ${base} and ${head}.`);
    const [behind = 0, ahead = 0] = bare.leftAndRight(base, head);
    const url = `${world.origin}/${repository.fullName}/compare/${base}...${head}`;
    const body = (sha: string) =>
      bare.commits(sha, 1).map((commit) => commitBody(world, repository, commit))[0];
    return ok({
      url: `${world.api}/repos/${repository.fullName}/compare/${base}...${head}`,
      html_url: url,
      permalink_url: url,
      diff_url: `${url}.diff`,
      patch_url: `${url}.patch`,
      base_commit: body(base),
      merge_base_commit: body(mergeBase),
      status: ahead > 0 ? (behind > 0 ? 'diverged' : 'ahead') : behind > 0 ? 'behind' : 'identical',
      ahead_by: ahead,
      behind_by: behind,
      total_commits: ahead,
      commits: bare.commits(head, ahead).map((commit) => commitBody(world, repository, commit)),
      files: [],
    });
  },

  'repos/get-content': (context) => {
    const { world, repository, query } = context;
    if (repository.bare.isEmpty) throw refusal(404, 'This repository is empty.');
    const revision = query.get('ref') ?? repository.defaultBranch;
    const path = parameter(context, 'path').replace(/\/$/, '');
    const found = repository.bare.resolve(revision) && repository.bare.contents(revision, path);
    if (!found) throw notFound();
    const body = (entry: { type: string; path: string; sha: string; size: number }) => {
      const url = `${world.api}/repos/${repository.fullName}/contents/${entry.path}?ref=${revision}`;
      const git = `${world.api}/repos/${repository.fullName}/git/blobs/${entry.sha}`;
      const html = `${world.origin}/${repository.fullName}/blob/${revision}/${entry.path}`;
      return {
        name: entry.path.split('/').at(-1),
        path: entry.path,
        sha: entry.sha,
        size: entry.size,
        url,
        html_url: html,
        git_url: git,
        download_url: entry.type === 'file' ? `${html}?raw=1` : null,
        type: entry.type,
        _links: { self: url, git, html },
      };
    };
    if (Array.isArray(found)) return ok(found.map(body));
    return ok({
      ...body({
        type: 'file',
        path,
        sha: String(repository.bare.resolve(`${revision}:${path}`)),
        size: found.length,
      }),
      content: found.toString('base64').replace(/.{60}/g, '$&\n'),
      encoding: 'base64',
    });
  },
};
