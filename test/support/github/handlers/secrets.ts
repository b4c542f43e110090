import { countedList, parameter, type RepositoryContext, type RepositoryHandler } from '../context.ts';
import { created, noContent, notFound, ok, type Reply, refusal } from '../reply.ts';
import { type ActionsStore, timestamp } from '../world.ts';
import { environmentOf } from './environments.ts';

const maximumBytes = 48 * 1024;
const maximumSecrets = 100;

function checkName(kind: 'Secret' | 'Variable', name: string): void {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    throw refusal(
      422,
      `${kind} names can only contain alphanumeric characters ([a-z], [A-Z], [0-9]) or underscores (_). Spaces are not allowed. Must start with a letter ([a-z], [A-Z]) or underscores (_).`,
    );
  }
  if (/^GITHUB_/i.test(name)) throw refusal(422, `${kind} names must not start with GITHUB_.`);
}

function storeHandlers(
  store: (context: RepositoryContext) => ActionsStore,
  id: Record<
    | 'publicKey'
    | 'listSecrets'
    | 'getSecret'
    | 'putSecret'
    | 'deleteSecret'
    | 'listVariables'
    | 'getVariable'
    | 'createVariable'
    | 'updateVariable'
    | 'deleteVariable',
    string
  >,
): Record<string, RepositoryHandler> {
  const secretName = (context: RepositoryContext) => parameter(context, 'secret_name').toUpperCase();
  const variableName = (context: RepositoryContext) => parameter(context, 'name').toUpperCase();
  return {
    [id.publicKey]: (context) => {
      const { keyId, publicKey } = store(context);
      return ok({ key_id: keyId, key: publicKey });
    },

    [id.listSecrets]: (context) =>
      countedList(context, 'secrets', sorted(store(context).secrets), ([name, secret]) => ({
        name,
        ...dates(secret),
      })),

    [id.getSecret]: (context) => {
      const secret = store(context).secrets.get(secretName(context));
      if (!secret) throw notFound();
      return ok({ name: secretName(context), ...dates(secret) });
    },

    [id.putSecret]: (context): Reply => {
      const to = store(context);
      const name = secretName(context);
      checkName('Secret', name);
      const { encrypted_value: sealed, key_id: keyId } = context.body as {
        encrypted_value: string;
        key_id: string;
      };
      if (keyId !== to.keyId) throw refusal(422, 'Key ID does not match the public key of this resource.');
      const value = to.open(sealed);
      if (!value) throw refusal(422, 'The encrypted value could not be decrypted with the public key.');
      if (value.length > maximumBytes) throw refusal(422, 'Secret value is too large: at most 48 KB.');
      const old = to.secrets.get(name);
      if (!old && to.secrets.size >= maximumSecrets) {
        throw refusal(422, `A maximum of ${maximumSecrets} secrets can be created.`);
      }
      const now = timestamp();
      to.secrets.set(name, { value: value.toString(), createdAt: old?.createdAt ?? now, updatedAt: now });
      return old ? noContent : created({});
    },

    [id.deleteSecret]: (context) => {
      if (!store(context).secrets.delete(secretName(context))) throw notFound();
      return noContent;
    },

    [id.listVariables]: (context) =>
      countedList(context, 'variables', sorted(store(context).variables), ([name, variable]) => ({
        name,
        value: variable.value,
        ...dates(variable),
      })),

    [id.getVariable]: (context) => {
      const variable = store(context).variables.get(variableName(context));
      if (!variable) throw notFound();
      return ok({ name: variableName(context), value: variable.value, ...dates(variable) });
    },

    [id.createVariable]: (context) => {
      const { variables } = store(context);
      const { name: given, value } = context.body as { name: string; value: string };
      checkName('Variable', given);
      const name = given.toUpperCase();
      if (variables.has(name)) throw refusal(409, 'Already exists - Variable already exists');
      checkSize(value);
      const now = timestamp();
      variables.set(name, { value, createdAt: now, updatedAt: now });
      return created({});
    },

    [id.updateVariable]: (context) => {
      const { variables } = store(context);
      const old = variables.get(variableName(context));
      if (!old) throw notFound();
      const { name = variableName(context), value = old.value } = context.body as {
        name?: string;
        value?: string;
      };
      checkName('Variable', name);
      checkSize(value);
      variables.delete(variableName(context));
      variables.set(name.toUpperCase(), { ...old, value, updatedAt: timestamp() });
      return noContent;
    },

    [id.deleteVariable]: (context) => {
      if (!store(context).variables.delete(variableName(context))) throw notFound();
      return noContent;
    },
  };
}

function checkSize(value: string): void {
  if (Buffer.byteLength(value) > maximumBytes) {
    throw refusal(422, 'Variable value is too large: at most 48 KB.');
  }
}

const sorted = <T>(entries: ReadonlyMap<string, T>) =>
  [...entries].sort(([first], [second]) => (first < second ? -1 : 1));

const dates = ({ createdAt, updatedAt }: { createdAt: string; updatedAt: string }) => ({
  created_at: createdAt,
  updated_at: updatedAt,
});

export const secretHandlers: Record<string, RepositoryHandler> = {
  ...storeHandlers(({ repository }) => repository, {
    publicKey: 'actions/get-repo-public-key',
    listSecrets: 'actions/list-repo-secrets',
    getSecret: 'actions/get-repo-secret',
    putSecret: 'actions/create-or-update-repo-secret',
    deleteSecret: 'actions/delete-repo-secret',
    listVariables: 'actions/list-repo-variables',
    getVariable: 'actions/get-repo-variable',
    createVariable: 'actions/create-repo-variable',
    updateVariable: 'actions/update-repo-variable',
    deleteVariable: 'actions/delete-repo-variable',
  }),
  ...storeHandlers(environmentOf, {
    publicKey: 'actions/get-environment-public-key',
    listSecrets: 'actions/list-environment-secrets',
    getSecret: 'actions/get-environment-secret',
    putSecret: 'actions/create-or-update-environment-secret',
    deleteSecret: 'actions/delete-environment-secret',
    listVariables: 'actions/list-environment-variables',
    getVariable: 'actions/get-environment-variable',
    createVariable: 'actions/create-environment-variable',
    updateVariable: 'actions/update-environment-variable',
    deleteVariable: 'actions/delete-environment-variable',
  }),
};
