import { checkOrganizationPolicy, hasScope } from '../access.ts';
import { fullOrganization, privateUser, publicUser, simpleOrganization, simpleUser } from '../bodies.ts';
import { type Handler, parameter, signedIn } from '../context.ts';
import { notFound, ok, refusal } from '../reply.ts';

const limit = { limit: 5000, used: 0, remaining: 5000 };

export const accountHandlers: Record<string, Handler> = {
  'users/get-authenticated': (context) => {
    const { login, token } = signedIn(context);
    // The plan belongs to what is private of an account. Tokens need a scope or a permission of their own for that.
    const mayTell =
      token.kind === 'fine-grained' ? 'plan' in token.permissions : hasScope(token, 'read:user');
    return ok(mayTell ? privateUser(context.world, login) : publicUser(context.world, login));
  },

  'users/get-by-username': (context) => {
    const account = context.world.account(parameter(context, 'username'));
    if (!account) throw notFound();
    return ok(publicUser(context.world, account.login));
  },

  'orgs/get': ({ world, viewer, ...context }) => {
    const organization = world.organization(String(context.parameters.org));
    if (!organization) throw notFound();
    checkOrganizationPolicy(world, viewer, organization.login);
    const isMember = viewer !== undefined && organization.members[viewer.login] !== undefined;
    const mayTell = viewer?.token.kind === 'fine-grained' || (viewer && hasScope(viewer.token, 'read:org'));
    return ok(fullOrganization(world, organization.login, isMember && mayTell ? 'member' : 'public'));
  },

  'orgs/get-membership-for-authenticated-user': (context) => {
    const { world } = context;
    const viewer = signedIn(context);
    const organization = world.organization(parameter(context, 'org'));
    if (!organization) throw notFound();
    checkOrganizationPolicy(world, viewer, organization.login);
    if (viewer.token.kind === 'classic' && !hasScope(viewer.token, 'read:org')) {
      throw refusal(403, 'You need at least read:org scope to view your organization membership.');
    }
    const role = organization.members[viewer.login];
    if (!role) throw notFound();
    return ok({
      url: `${world.api}/orgs/${organization.login}/memberships/${viewer.login}`,
      state: 'active',
      role,
      organization_url: `${world.api}/orgs/${organization.login}`,
      organization: simpleOrganization(world, organization.login),
      user: simpleUser(world, viewer.login),
    });
  },

  'rate-limit/get': () => {
    const core = { ...limit, reset: Math.floor(Date.now() / 1000) + 3600 };
    return ok({ resources: { core, search: core, graphql: core }, rate: core });
  },

  'meta/get': () =>
    ok({
      verifiable_password_authentication: false,
      // The host keys of github.com, which is what the real one says here too.
      ssh_key_fingerprints: {
        SHA256_ED25519: '+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU',
        SHA256_ECDSA: 'p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM',
      },
    }),
};
