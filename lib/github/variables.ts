import type { GitHub } from './client.ts';
import { isGitHubFailure } from './errors.ts';
import { describeStore, type ValueStore, validateValues } from './stored-values.ts';
import { unwatched, type Watcher } from './watcher.ts';

/** https://docs.github.com/rest/actions/variables: per_page is at most 30 there. */
const variablesPerPage = 30;

/** The variables of a repository or an environment, by name in GitHub's upper case. Throws a GitHubError. */
export async function listVariables(github: GitHub, store: ValueStore): Promise<Map<string, string>> {
  const { owner, name: repo, environment } = store;
  const variables = await github.list(
    `list the variables of ${describeStore(store)}`,
    async (api, page) => {
      const answer = environment
        ? await api.actions.listEnvironmentVariables({ owner, repo, environment_name: environment, ...page })
        : await api.actions.listRepoVariables({ owner, repo, ...page });
      return { ...answer, data: answer.data.variables };
    },
    variablesPerPage,
  );
  return new Map(variables.map(({ name, value }) => [name.toUpperCase(), value]));
}

export interface StoredVariable {
  name: string;
  result: 'created' | 'updated' | 'unchanged';
}

/**
 * Brings variables of a repository or an environment to the given values, one after the other. All of them are
 * checked before the first is sent. Throws a GobootError that holds no value.
 */
export async function putVariables(
  github: GitHub,
  store: ValueStore,
  values: Readonly<Record<string, string>>,
  watcher: Watcher = unwatched,
): Promise<StoredVariable[]> {
  const existing = await github.afterCreation(() => listVariables(github, store));
  validateValues(values, 'variable', store, [...existing.keys()]);
  const results: StoredVariable[] = [];
  for (const [name, value] of Object.entries(values)) {
    const current = existing.get(name.toUpperCase());
    const result = current === undefined ? 'created' : current === value ? 'unchanged' : 'updated';
    await watcher.before(name, befores[result]);
    if (result === 'created') await createVariable(github, store, name, value);
    if (result === 'updated') await updateVariable(github, store, name, value);
    await watcher.after(name);
    results.push({ name, result });
  }
  return results;
}

const befores = { created: 'absent', updated: 'replaced', unchanged: 'kept' } as const;

async function createVariable(github: GitHub, store: ValueStore, name: string, value: string): Promise<void> {
  const { owner, name: repo, environment } = store;
  try {
    await github.createOnce<unknown>(
      () =>
        github.afterCreation(() =>
          github.call<unknown>(`create the variable ${name} of ${describeStore(store)}`, (api) =>
            environment
              ? api.actions.createEnvironmentVariable({
                  owner,
                  repo,
                  environment_name: environment,
                  name,
                  value,
                })
              : api.actions.createRepoVariable({ owner, repo, name, value }),
          ),
        ),
      async () => (await listVariables(github, store)).get(name.toUpperCase()),
    );
  } catch (error) {
    // Somebody else has created it since the list was read.
    if (!isGitHubFailure(error, 'conflict', 'exists')) throw error;
    await updateVariable(github, store, name, value);
  }
}

async function updateVariable(github: GitHub, store: ValueStore, name: string, value: string): Promise<void> {
  const { owner, name: repo, environment } = store;
  await github.call(`change the variable ${name} of ${describeStore(store)}`, (api) =>
    environment
      ? api.actions.updateEnvironmentVariable({ owner, repo, environment_name: environment, name, value })
      : api.actions.updateRepoVariable({ owner, repo, name, value }),
  );
}

/** Removes a variable. Returns false when there is none of that name. Throws a GitHubError. */
export function deleteVariable(github: GitHub, store: ValueStore, name: string): Promise<boolean> {
  const { owner, name: repo, environment } = store;
  return github.remove(`delete the variable ${name} of ${describeStore(store)}`, (api) =>
    environment
      ? api.actions.deleteEnvironmentVariable({ owner, repo, environment_name: environment, name })
      : api.actions.deleteRepoVariable({ owner, repo, name }),
  );
}
