import { simpleUser } from '../bodies.ts';
import { list, parameter, type RepositoryContext, type RepositoryHandler, signedIn } from '../context.ts';
import { created, invalid, notFound, ok } from '../reply.ts';
import { newId, type Release, timestamp } from '../world.ts';

function body({ world, repository }: RepositoryContext, release: Release) {
  const url = `${world.api}/repos/${repository.fullName}`;
  const html = `${world.origin}/${repository.fullName}`;
  return {
    url: `${url}/releases/${release.id}`,
    assets_url: `${url}/releases/${release.id}/assets`,
    upload_url: `${world.origin}/api/uploads/repos/${repository.fullName}/releases/${release.id}/assets{?name,label}`,
    html_url: `${html}/releases/tag/${release.tag}`,
    id: release.id,
    node_id: String(release.id),
    author: simpleUser(world, release.author),
    tag_name: release.tag,
    target_commitish: release.target,
    name: release.name,
    draft: release.draft,
    prerelease: release.prerelease,
    created_at: release.createdAt,
    published_at: release.draft ? null : release.updatedAt,
    assets: [],
    tarball_url: `${url}/tarball/${release.tag}`,
    zipball_url: `${url}/zipball/${release.tag}`,
    body: release.body,
  };
}

const published = ({ draft, prerelease }: Release) => !draft && !prerelease;

export const releaseHandlers: Record<string, RepositoryHandler> = {
  'repos/list-releases': (context) =>
    list(context, [...context.repository.releases].reverse(), (release) => body(context, release)),

  'repos/get-latest-release': (context) => {
    const release = context.repository.releases.findLast(published);
    if (!release) throw notFound();
    return ok(body(context, release));
  },

  'repos/get-release-by-tag': (context) => {
    const tag = parameter(context, 'tag');
    const release = context.repository.releases.find(
      (candidate) => candidate.tag === tag && !candidate.draft,
    );
    if (!release) throw notFound();
    return ok(body(context, release));
  },

  'repos/create-release': (context) => {
    const { repository } = context;
    const given = context.body as {
      tag_name: string;
      target_commitish?: string;
      name?: string;
      body?: string;
      draft?: boolean;
      prerelease?: boolean;
    };
    const refuse = (field: string, code: string) => invalid([{ resource: 'Release', field, code }]);
    if (repository.bare.isEmpty)
      throw invalid([
        { resource: 'Release', code: 'custom', field: 'base', message: 'Repository is empty.' },
      ]);
    const draft = given.draft ?? false;
    if (repository.releases.some((release) => release.tag === given.tag_name && !release.draft)) {
      throw refuse('tag_name', 'already_exists');
    }
    const target = given.target_commitish ?? repository.defaultBranch;
    if (!draft && !repository.bare.resolve(`refs/tags/${given.tag_name}`)) {
      const commit = repository.bare.resolve(`${target}^{commit}`);
      if (!commit) throw refuse('target_commitish', 'invalid');
      repository.bare.git('update-ref', `refs/tags/${given.tag_name}`, commit);
    }
    const now = timestamp();
    const release: Release = {
      id: newId(),
      tag: given.tag_name,
      target,
      name: given.name ?? null,
      body: given.body ?? null,
      draft,
      prerelease: given.prerelease ?? false,
      author: signedIn(context).login,
      createdAt: now,
      updatedAt: now,
    };
    repository.releases.push(release);
    return created(body(context, release));
  },
};
