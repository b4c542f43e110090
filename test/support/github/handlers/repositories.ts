import { authorizeCreation } from '../access.ts';
import { fullRepository } from '../bodies.ts';
import { type Context, type Handler, list, parameter, type RepositoryHandler, signedIn } from '../context.ts';
import { created, invalid, noContent, notFound, ok, refusal } from '../reply.ts';
import { type Repository, timestamp } from '../world.ts';

/** Bodies that create and change repositories. */
interface Settings {
  name?: string;
  private?: boolean;
  visibility?: string;
  description?: string | null;
  homepage?: string | null;
  archived?: boolean;
  default_branch?: string;
  auto_init?: boolean;
  [other: string]: unknown;
}

const creationFailed = (field: string, message: string) =>
  refusal(422, 'Repository creation failed.', {
    errors: [{ resource: 'Repository', code: 'custom', field, message }],
  });

/** Characters that GitHub does not let names have become hyphens. */
const usableName = (name: string) => name.replace(/[^A-Za-z0-9._-]+/g, '-');

function create(context: Context, owner: string) {
  const { world } = context;
  const viewer = signedIn(context);
  const body = context.body as Settings;
  const isPrivate = body.private ?? body.visibility === 'private';
  authorizeCreation(world, viewer, owner, isPrivate);
  const name = usableName(String(body.name));
  if (/^\.{0,2}$/.test(name) || name.length > 100) throw creationFailed('name', 'name is invalid');
  if (world.repository(owner, name)) {
    throw creationFailed('name', 'name already exists on this account');
  }
  const repository = world.addRepository({ owner, name, creator: viewer.login, private: isPrivate });
  change(repository, { ...body, name: undefined });
  if (body.auto_init) {
    repository.bare.commit(repository.defaultBranch, { 'README.md': `# ${name}\n` }, 'Initial commit');
  }
  return {
    ...created(fullRepository(world, repository, viewer.login)),
    headers: { location: `${world.api}/repos/${repository.fullName}` },
  };
}

const passedOn = /^(has_|allow_|delete_branch_|squash_|merge_|use_squash|web_commit)/;

function change(repository: Repository, body: Settings): void {
  if (body.description !== undefined) repository.description = body.description || null;
  if (body.homepage !== undefined) repository.homepage = body.homepage || null;
  if (body.archived !== undefined) repository.archived = body.archived;
  for (const [name, value] of Object.entries(body)) {
    if (passedOn.test(name)) repository.settings[name] = value;
  }
  repository.updatedAt = timestamp();
}

export const accountRepositoryHandlers: Record<string, Handler> = {
  'repos/create-for-authenticated-user': (context) => create(context, signedIn(context).login),

  'repos/create-in-org': (context) => {
    signedIn(context);
    const organization = context.world.organization(parameter(context, 'org'));
    if (!organization) throw notFound();
    return create(context, organization.login);
  },

  'repos/list-for-authenticated-user': (context) => {
    const { login } = signedIn(context);
    const mine = [...context.world.repositories.values()].filter(({ owner }) => owner === login);
    return list(context, mine, (repository) => fullRepository(context.world, repository, login));
  },
};

export const repositoryHandlers: Record<string, RepositoryHandler> = {
  'repos/get': ({ world, repository, viewer }) => ok(fullRepository(world, repository, viewer?.login)),

  'repos/update': ({ world, repository, viewer, ...context }) => {
    const body = context.body as Settings;
    if (body.name !== undefined && body.name !== repository.name) {
      const name = usableName(body.name);
      if (world.repository(repository.owner, name)) {
        throw invalid([
          {
            resource: 'Repository',
            code: 'custom',
            field: 'name',
            message: 'name already exists on this account',
          },
        ]);
      }
      world.repositories.delete(repository.fullName.toLowerCase());
      repository.name = name;
      world.repositories.set(repository.fullName.toLowerCase(), repository);
    }
    if (body.default_branch !== undefined && body.default_branch !== repository.defaultBranch) {
      if (!repository.bare.resolve(`refs/heads/${body.default_branch}`)) {
        throw invalid([
          {
            resource: 'Repository',
            field: 'default_branch',
            code: 'invalid',
            message: `The branch ${body.default_branch} was not found. Please push that ref first or create it via the Git Data API.`,
          },
        ]);
      }
      repository.defaultBranch = body.default_branch;
      repository.bare.git('symbolic-ref', 'HEAD', `refs/heads/${body.default_branch}`);
    }
    repository.private =
      body.private ?? (body.visibility ? body.visibility === 'private' : repository.private);
    change(repository, body);
    return ok(fullRepository(world, repository, viewer?.login));
  },

  'repos/delete': ({ world, repository }) => {
    world.removeRepository(repository);
    return noContent;
  },

  'repos/get-all-topics': ({ repository }) => ok({ names: repository.topics }),

  'repos/replace-all-topics': ({ repository, body }) => {
    const { names } = body as { names: string[] };
    const wrong = names.find((name) => !/^[a-z0-9][a-z0-9-]{0,49}$/i.test(name));
    if (wrong !== undefined || names.length > 20) {
      throw refusal(422, 'Validation Failed', {
        errors: [
          names.length > 20
            ? 'A repository cannot have more than 20 topics.'
            : 'Topics must start with a lowercase letter or number, consist of 50 characters or less, and can include hyphens.',
        ],
      });
    }
    repository.topics = [...new Set(names.map((name) => name.toLowerCase()))];
    return ok({ names: repository.topics });
  },

  'repos/check-vulnerability-alerts': ({ repository }) => {
    if (!repository.vulnerabilityAlerts) throw refusal(404, 'Vulnerability alerts are disabled.');
    return noContent;
  },
  'repos/enable-vulnerability-alerts': ({ repository }) => {
    repository.vulnerabilityAlerts = true;
    return noContent;
  },
  'repos/disable-vulnerability-alerts': ({ repository }) => {
    repository.vulnerabilityAlerts = false;
    repository.automatedSecurityFixes = false;
    return noContent;
  },
  'repos/check-automated-security-fixes': ({ repository }) =>
    ok({ enabled: repository.automatedSecurityFixes, paused: false }),
  'repos/enable-automated-security-fixes': ({ repository }) => {
    if (!repository.vulnerabilityAlerts) {
      throw refusal(422, 'Vulnerability alerts must be enabled to configure automated security fixes.');
    }
    repository.automatedSecurityFixes = true;
    return noContent;
  },
  'repos/disable-automated-security-fixes': ({ repository }) => {
    repository.automatedSecurityFixes = false;
    return noContent;
  },
  'repos/check-immutable-releases': ({ repository }) => {
    if (!repository.immutableReleases) throw notFound();
    return ok({ enabled: true, enforced_by_owner: false });
  },
  'repos/enable-immutable-releases': ({ repository }) => {
    repository.immutableReleases = true;
    return noContent;
  },
  'repos/disable-immutable-releases': ({ repository }) => {
    repository.immutableReleases = false;
    return noContent;
  },
};
