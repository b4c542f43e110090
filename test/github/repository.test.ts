import { describe, expect, test } from 'vitest';
import {
  createRepository,
  deleteRepository,
  findRepository,
  lookUpRepository,
  updateRepository,
} from '../../lib/github/repository.ts';
import { useGitHub } from '../support/github/clients.ts';
import { failureOf, newName, newRepository, openClient, push } from '../support/github-client.ts';
import { commitFile, git, localProject } from '../support/local-project.ts';

const server = useGitHub();
const classicClient = (user = 'free-user') => openClient(server(), server().token('classic', user));
const me = { login: 'free-user', kind: 'user' } as const;

describe('A new repository', () => {
  test.each([
    ['free-user', 'private'],
    ['free-user', 'public'],
    ['team-organization', 'private'],
    ['free-organization', 'public'],
  ] as const)('of %s is %s, empty and described', async (owner, visibility) => {
    const repository = await newRepository(await classicClient(), { owner, visibility });
    expect(repository).toMatchObject({ owner, visibility, mayAdminister: true });
    const state = server().repository(`${owner}/${repository.name}`);
    expect(state).toMatchObject({ private: visibility === 'private', description: 'A shop', commits: [] });
    expect(repository.cloneUrl).toContain(server().origin);
  });

  test('can be created with a fine-grained token, for oneself and for an organisation', async () => {
    const own = await openClient(server(), server().token('fine-grained'));
    expect((await newRepository(own)).owner).toBe('free-user');
    const token = server().token('fine-grained', 'free-user', { owner: 'team-organization' });
    const repository = await newRepository(await openClient(server(), token), { owner: 'team-organization' });
    expect(repository.owner).toBe('team-organization');
  });

  test('is refused where there is one of that name', async () => {
    const github = await classicClient();
    const { name } = await newRepository(github);
    const error = await failureOf(() =>
      createRepository(github, { owner: me, name, visibility: 'private', description: '' }),
    );
    expect(error.failure).toBe('exists');
  });

  test.each([502, 'reset', 'silence'] as const)(
    'is not created twice when the answer is lost (%s)',
    async (fault) => {
      const github = await openClient(server(), server().token('classic'), { timeout: 300 });
      const name = newName();
      server().fail({ method: 'POST', path: /^\/user\/repos$/, with: fault, afterEffect: true });
      const repository = await createRepository(github, {
        owner: me,
        name,
        visibility: 'private',
        description: '',
      });
      expect(repository.name).toBe(name);
      expect(server().requests.filter(({ method }) => method === 'POST')).toHaveLength(1);
    },
  );

  test.each([502, 'reset', 'silence'] as const)(
    'is created at a second attempt when the first was lost (%s)',
    async (fault) => {
      const github = await openClient(server(), server().token('classic'), { timeout: 300 });
      const name = newName();
      server().fail({ method: 'POST', path: /^\/user\/repos$/, with: fault });
      expect(
        (await createRepository(github, { owner: me, name, visibility: 'private', description: '' })).name,
      ).toBe(name);
      expect(server().requests.filter(({ method }) => method === 'POST')).toHaveLength(2);
    },
  );

  test('is waited for until it can be found', async () => {
    const github = await classicClient();
    server().fail({ path: /^\/repos\/free-user\/shop-\d+$/, with: 404, nth: 2, times: 2 });
    const { name } = await newRepository(github);
    expect(server().repository(`free-user/${name}`)).toBeDefined();
  });
});

describe('What stands at a repository’s address', () => {
  test('is nothing', async () => {
    expect(await lookUpRepository(await classicClient(), { owner: 'free-user', name: newName() })).toEqual({
      state: 'absent',
    });
  });

  test('is an empty repository', async () => {
    const github = await classicClient();
    const repository = await newRepository(github);
    expect(await lookUpRepository(github, repository, await localProject())).toEqual({
      state: 'empty',
      repository,
    });
  });

  test('is our own earlier push, the same as here or behind', async () => {
    const github = await classicClient();
    const repository = await newRepository(github);
    const directory = await localProject();
    await push(github, repository, directory);
    expect(await lookUpRepository(github, repository, directory)).toMatchObject({
      state: 'ours',
      main: 'same',
    });
    await commitFile(directory, 'more.txt', 'more');
    expect(await lookUpRepository(github, repository, directory)).toMatchObject({
      state: 'ours',
      main: 'behind',
    });
  });

  test('is ours, with commits of a colleague', async () => {
    const github = await classicClient();
    const repository = await newRepository(github);
    const directory = await localProject();
    await commitFile(directory, 'more.txt', 'more');
    await push(github, repository, directory);
    git(directory, 'reset', '--quiet', '--hard', 'HEAD~1');
    expect(await lookUpRepository(github, repository, directory)).toMatchObject({
      state: 'ours',
      main: 'ahead',
    });
    await commitFile(directory, 'other.txt', 'other');
    expect(await lookUpRepository(github, repository, directory)).toMatchObject({
      state: 'ours',
      main: 'diverged',
    });
  });

  test('is somebody’s other work', async () => {
    const github = await classicClient();
    const name = newName();
    server().addRepository(`free-user/${name}`, { files: { 'README.md': '# Mine' } });
    const where = { owner: 'free-user', name };
    expect(await lookUpRepository(github, where, await localProject())).toMatchObject({ state: 'foreign' });
    expect(await lookUpRepository(github, where)).toMatchObject({ state: 'foreign' });
    // The directory of a project that is still to be made.
    expect(await lookUpRepository(github, where, '/nowhere/shop')).toMatchObject({ state: 'foreign' });
  });
});

describe('Settings of a repository', () => {
  const settings = {
    description: 'The shop',
    homepage: 'https://shop.example.com',
    deleteBranchOnMerge: true,
    topics: ['django', 'goboot'],
  };

  test('are brought to what is wanted, and a second time nothing changes', async () => {
    const github = await classicClient();
    const repository = await newRepository(github);
    expect(await updateRepository(github, repository, settings)).toEqual([
      'description',
      'homepage',
      'topics',
    ]);
    expect(server().repository(`free-user/${repository.name}`)).toMatchObject({
      description: 'The shop',
      homepage: 'https://shop.example.com',
      topics: ['django', 'goboot'],
    });
    server().requests.length = 0;
    expect(await updateRepository(github, repository, settings)).toEqual([]);
    expect(server().requests.map(({ method }) => method)).toEqual(['GET']);
  });
});

describe('A repository that is not needed any more', () => {
  test('is deleted while it holds nothing but our commits, once', async () => {
    const github = await classicClient();
    const repository = await newRepository(github);
    const directory = await localProject();
    await push(github, repository, directory);
    expect(await deleteRepository(github, repository, directory)).toBe(true);
    expect(await findRepository(github, repository)).toBeUndefined();
    expect(await deleteRepository(github, repository, directory)).toBe(false);
  });

  test('is gone although the answer was lost', async () => {
    const github = await classicClient();
    const repository = await newRepository(github);
    server().fail({ method: 'DELETE', path: /./, with: 'reset', afterEffect: true });
    expect(await deleteRepository(github, repository, await localProject())).toBe(true);
  });

  test('is kept when it has commits that are not here', async () => {
    const github = await classicClient();
    const repository = await newRepository(github);
    const directory = await localProject();
    await push(github, repository, directory);
    await expect(deleteRepository(github, repository, await localProject('Another'))).rejects.toThrow(
      /has commits on main that are not in this project, so goboot does not delete it$/,
    );
    expect(await findRepository(github, repository)).toBeDefined();
  });

  test('is kept when it is another one of that name by now', async () => {
    const github = await classicClient();
    const repository = await newRepository(github);
    await expect(
      deleteRepository(github, { ...repository, id: repository.id + 1 }, await localProject()),
    ).rejects.toThrow(/is not the one that goboot created/);
  });

  test('is kept when somebody wrote an issue or made a release', async () => {
    const github = await classicClient();
    const repository = await newRepository(github);
    const directory = await localProject();
    await push(github, repository, directory);
    const repo = { owner: repository.owner, repo: repository.name };
    await github.call('write an issue', (api) => api.issues.create({ ...repo, title: 'Hello' }));
    await expect(deleteRepository(github, repository, directory)).rejects.toThrow(
      /has issues or pull requests/,
    );
    await github.call('make a release', (api) => api.repos.createRelease({ ...repo, tag_name: 'v1' }));
    await expect(deleteRepository(github, repository, directory)).rejects.toThrow(/has a release/);
  });

  test('cannot be deleted without the scope delete_repo, which is named', async () => {
    const repository = await newRepository(await classicClient());
    const token = server().token('classic', 'free-user', { scopes: ['repo', 'workflow'] });
    const error = await failureOf(async () =>
      deleteRepository(await openClient(server(), token), repository, await localProject()),
    );
    expect(error).toMatchObject({ failure: 'missing permission' });
    expect(error.message).toMatch(/this needs delete_repo$/);
  });
});
