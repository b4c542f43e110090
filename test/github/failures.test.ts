import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { lookUpAccount, lookUpOwner } from '../../lib/github/account.ts';
import type { GitHub } from '../../lib/github/client.ts';
import { deleteEnvironment, ensureEnvironment } from '../../lib/github/environments.ts';
import { GitHubError, type GitHubFailure } from '../../lib/github/errors.ts';
import { deleteRuleset, protectDefaultBranch } from '../../lib/github/protection.ts';
import { removeOrigin } from '../../lib/github/push.ts';
import {
  createRepository,
  deleteRepository,
  findRepository,
  lookUpRepository,
  type Repository,
  updateRepository,
} from '../../lib/github/repository.ts';
import { deleteSecret, putSecrets } from '../../lib/github/secrets.ts';
import { deleteVariable, putVariables } from '../../lib/github/variables.ts';
import { useGitHub } from '../support/github/clients.ts';
import { newName, newRepository, openClient, push } from '../support/github-client.ts';
import { commitFile, localProject } from '../support/local-project.ts';

const server = useGitHub();

/** Milliseconds for tests of silence. */
const shortTimeout = 300;

interface Prepared {
  github: GitHub;
  repository: Repository;
  directory: string;
}

type Action = (prepared: Prepared) => Promise<unknown>;

const store = ({ repository }: Prepared, environment?: string) => ({
  owner: repository.owner,
  name: repository.name,
  ...(environment && { environment }),
});

async function owner({ github }: Prepared, name: string) {
  return lookUpOwner(github, name, await lookUpAccount(github), 'private');
}

/** An action, and what must have happened before it. */
const actions: Record<string, { before?: Action; act: Action }> = {
  'look up an organisation': { act: (prepared) => owner(prepared, 'team-organization') },
  'create a repository': {
    act: async ({ github, repository }) => {
      const name = repository.name.replace('shop', 'created');
      const where = { owner: repository.owner, name };
      const me = { login: repository.owner, kind: 'user' } as const;
      return (
        (await findRepository(github, where)) ??
        createRepository(github, { owner: me, name, visibility: 'private', description: 'A shop' })
      );
    },
  },
  'look at a repository': {
    before: async ({ github, repository, directory }) => {
      await push(github, repository, directory);
      await removeOrigin(directory, repository.cloneUrl);
      await commitFile(directory, 'more.txt', newName());
    },
    act: ({ github, repository, directory }) => lookUpRepository(github, repository, directory),
  },
  'change its settings': {
    act: ({ github, repository }) =>
      updateRepository(github, repository, { homepage: 'https://x.example', topics: ['x'] }),
  },
  'protect its branch': {
    act: ({ github, repository }) => protectDefaultBranch(github, repository, ['Lint']),
  },
  'change the protection': {
    before: ({ github, repository }) => protectDefaultBranch(github, repository, ['Lint']),
    act: ({ github, repository }) => protectDefaultBranch(github, repository, ['Lint', newName()]),
  },
  'remove a rule': { act: ({ github, repository }) => deleteRuleset(github, repository, 1) },
  'make an environment': {
    act: ({ github, repository }) =>
      ensureEnvironment(github, repository, 'production', { branches: ['main'], tags: ['*'] }),
  },
  'remove an environment': {
    act: ({ github, repository }) => deleteEnvironment(github, repository, 'production'),
  },
  'set a secret': { act: (prepared) => putSecrets(prepared.github, store(prepared), { NAME: 'value' }) },
  'set a secret of an environment': {
    before: ({ github, repository }) => ensureEnvironment(github, repository, 'production'),
    act: (prepared) => putSecrets(prepared.github, store(prepared, 'production'), { NAME: 'value' }),
  },
  'remove a secret': { act: (prepared) => deleteSecret(prepared.github, store(prepared), 'NAME') },
  'create a variable': {
    act: (prepared) => putVariables(prepared.github, store(prepared), { [newName().replace('-', '_')]: '1' }),
  },
  'change a variable': {
    before: (prepared) => putVariables(prepared.github, store(prepared), { NAME: '1' }),
    act: (prepared) => putVariables(prepared.github, store(prepared), { NAME: newName() }),
  },
  'set a variable of an environment': {
    before: ({ github, repository }) => ensureEnvironment(github, repository, 'production'),
    act: (prepared) => putVariables(prepared.github, store(prepared, 'production'), { NAME: newName() }),
  },
  'remove a variable': { act: (prepared) => deleteVariable(prepared.github, store(prepared), 'NAME') },
  'delete a repository': {
    act: async ({ github, repository, directory }) => {
      const { name } = repository;
      const where = { owner: repository.owner, name: name.replace('shop', 'deleted') };
      const me = { login: repository.owner, kind: 'user' } as const;
      const created =
        (await findRepository(github, where)) ??
        (await createRepository(github, {
          owner: me,
          name: where.name,
          visibility: 'private',
          description: '',
        }));
      return deleteRepository(github, created, directory);
    },
  },
};

/** What GitHub's refusals are taken for. */
const faults = [
  [401, 'unauthorized'],
  [403, 'forbidden'],
  ['saml', 'single sign-on'],
  [404, 'not found'],
  [409, 'conflict'],
  [422, 'invalid'],
  [429, 'rate limit'],
  ['primary-rate-limit', 'rate limit'],
  ['secondary-rate-limit', 'rate limit'],
  [500, 'server'],
  [502, 'server'],
  ['reset', 'network'],
  ['silence', 'network'],
] as const satisfies (readonly [unknown, GitHubFailure])[];

// A lookup takes “not found” for an answer, and does without what it may not see.
const maySucceed = new Set<unknown>([403, 404]);

describe.each(Object.keys(actions))('Whatever fails when goboot wants to %s', (name) => {
  const { before, act } = actions[name] as (typeof actions)[string];

  test('is told by a message, and the next attempt succeeds', { timeout: 180_000 }, async () => {
    const token = server().token('classic', 'pro-user');
    const github = await openClient(server(), token);
    const impatient = await openClient(server(), token, { timeout: shortTimeout });
    const directory = await localProject();
    const prepare = async (): Promise<Prepared> => {
      const prepared = { github, repository: await newRepository(github), directory };
      await before?.(prepared);
      return prepared;
    };
    const trial = await prepare();
    server().requests.length = 0;
    await act(trial);
    const calls = server().requests.length;
    expect(calls).toBeGreaterThan(0);

    for (const [fault, failure] of faults) {
      for (let nth = 1; nth <= calls; nth += 1) {
        const label = `${fault} at request ${nth} of ${calls}`;
        const prepared = await prepare();
        const active = server().fail({ path: /./, with: fault, nth, times: 100, retryAfter: 3600 });
        const error = await act({ ...prepared, github: fault === 'silence' ? impatient : github }).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        expect(active.hits, label).toBeGreaterThan(0);
        if (error === undefined) {
          expect(maySucceed.has(fault), `${label} succeeds`).toBe(true);
        } else {
          expect(error, label).toBeInstanceOf(GitHubError);
          const { message, remedy, failure: told } = error as GitHubError;
          // A lookup that finds nothing may lead to another conclusion.
          const conclusions = fault === 404 ? ['exists', 'forbidden'] : [];
          expect([failure, ...conclusions], `${label}: ${message}`).toContain(told);
          expect(message, label).toMatch(/^\S.{20,}[^.]$/);
          expect(inspect(error, { depth: 10, showHidden: true }), label).not.toContain(token);
          if (told !== 'invalid') expect(remedy, label).toBeTruthy();
        }
        server().heal();
        await act(prepared);
      }
    }
  });
});
