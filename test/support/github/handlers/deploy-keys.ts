import { list, parameter, type RepositoryContext, type RepositoryHandler, signedIn } from '../context.ts';
import { created, invalid, noContent, notFound, ok } from '../reply.ts';
import { type DeployKey, newId, timestamp } from '../world.ts';

function body({ world, repository }: RepositoryContext, key: DeployKey) {
  return {
    ...key,
    url: `${world.api}/repos/${repository.fullName}/keys/${key.id}`,
    verified: true,
    last_used: null,
    enabled: true,
  };
}

function keyOf(context: RepositoryContext): DeployKey {
  const id = Number(parameter(context, 'key_id'));
  const key = context.repository.deployKeys.find((candidate) => candidate.id === id);
  if (!key) throw notFound();
  return key;
}

export const deployKeyHandlers: Record<string, RepositoryHandler> = {
  'repos/list-deploy-keys': (context) =>
    list(context, context.repository.deployKeys, (key) => body(context, key)),

  'repos/get-deploy-key': (context) => ok(body(context, keyOf(context))),

  'repos/create-deploy-key': (context) => {
    const { world, repository } = context;
    const given = context.body as { key: string; title?: string; read_only?: boolean };
    const refuse = (message: string) =>
      invalid([{ resource: 'PublicKey', code: 'custom', field: 'key', message }]);
    const [type, data] = given.key.trim().split(/\s+/);
    if (!type || !data || !/^(ssh-|ecdsa-|sk-)/.test(type) || !/^[A-Za-z0-9+/]+=*$/.test(data)) {
      throw refuse('key is invalid. You must supply a key in OpenSSH public key format');
    }
    const key = `${type} ${data}`;
    // A key may be a deploy key once on the whole of GitHub.
    if (
      [...world.repositories.values()].some(({ deployKeys }) => deployKeys.some((other) => other.key === key))
    ) {
      throw refuse('key is already in use');
    }
    const deployKey: DeployKey = {
      id: newId(),
      key,
      title: given.title ?? '',
      read_only: given.read_only ?? false,
      created_at: timestamp(),
      added_by: signedIn(context).login,
    };
    repository.deployKeys.push(deployKey);
    return created(body(context, deployKey));
  },

  'repos/delete-deploy-key': (context) => {
    const key = keyOf(context);
    context.repository.deployKeys = context.repository.deployKeys.filter((candidate) => candidate !== key);
    return noContent;
  },
};
