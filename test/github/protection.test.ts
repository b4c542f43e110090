import { describe, expect, test } from 'vitest';
import { pullRequestChecks } from '../../lib/github/checks.ts';
import { deleteRuleset, protectDefaultBranch } from '../../lib/github/protection.ts';
import { useGitHub } from '../support/github/clients.ts';
import { failureOf, newRepository, openClient, push } from '../support/github-client.ts';
import { commitFile, git, localProject } from '../support/local-project.ts';

const server = useGitHub();

async function pushed(user = 'pro-user', owner?: string) {
  const github = await openClient(server(), server().token('classic', user));
  const repository = await newRepository(github, { ...(owner && { owner }) });
  const directory = await localProject();
  await push(github, repository, directory);
  return { github, repository, directory };
}

const checks = ['Lint', 'Test'];

describe('The default branch', () => {
  test('keeps its history, and takes from others what has passed the checks', async () => {
    const { github, repository, directory } = await pushed();
    const protection = await protectDefaultBranch(github, repository, await pullRequestChecks(directory));
    expect(protection).toMatchObject({
      rulesets: [
        { name: 'Keep history', result: 'created' },
        { name: 'Require checks', result: 'created' },
      ],
    });
    const rulesets = server().repository(`pro-user/${repository.name}`)?.rulesets ?? [];
    expect(rulesets.map(({ name, enforcement, conditions }) => ({ name, enforcement, conditions }))).toEqual(
      ['Keep history', 'Require checks'].map((name) => ({
        name,
        enforcement: 'active',
        conditions: { ref_name: { include: ['~DEFAULT_BRANCH'], exclude: [] } },
      })),
    );
    const [history, passing] = rulesets;
    expect(history?.rules.map(({ type }) => type)).toEqual(['deletion', 'non_fast_forward']);
    expect(history?.bypass_actors).toEqual([]);
    expect(passing?.rules[0]?.parameters?.required_status_checks).toEqual([
      { context: 'Lint' },
      { context: 'Test' },
    ]);
    expect(passing?.bypass_actors).toEqual([
      { actor_id: 5, actor_type: 'RepositoryRole', bypass_mode: 'always' },
    ]);
  });

  test('can still be pushed to by whoever works alone', async () => {
    const { github, repository, directory } = await pushed();
    await protectDefaultBranch(github, repository, checks);
    await commitFile(directory, 'more.txt', 'more');
    expect(await push(github, repository, directory)).toMatchObject({ pushed: true });
    git(directory, 'commit', '--quiet', '--amend', '--message', 'Rewritten');
    expect((await failureOf(() => push(github, repository, directory))).failure).toBe('conflict');
  });

  test('is as it was when nothing has changed, and follows the workflows when they have', async () => {
    const { github, repository } = await pushed();
    await protectDefaultBranch(github, repository, checks);
    server().requests.length = 0;
    expect(await protectDefaultBranch(github, repository, ['Test', 'Lint'])).toMatchObject({
      rulesets: [{ result: 'unchanged' }, { result: 'unchanged' }],
    });
    expect(server().requests.every(({ method }) => method === 'GET')).toBe(true);
    expect(await protectDefaultBranch(github, repository, ['Lint'])).toMatchObject({
      rulesets: [{ result: 'unchanged' }, { result: 'updated' }],
    });
  });

  test('waits for no check where the project has none', async () => {
    const { github, repository } = await pushed();
    expect(await protectDefaultBranch(github, repository, [])).toMatchObject({
      rulesets: [{ name: 'Keep history' }],
    });
  });

  test('is protected for an organisation with a plan, too', async () => {
    const { github, repository } = await pushed('free-user', 'team-organization');
    expect(await protectDefaultBranch(github, repository, checks)).toHaveProperty('rulesets');
  });

  test.each([
    [undefined, 'free-user'],
    ['free-organization', 'free-organization'],
  ])('is not protected where the plan lacks it, and the reason is told (%s)', async (owner, name) => {
    const { github, repository } = await pushed('free-user', owner);
    const protection = await protectDefaultBranch(github, repository, checks);
    expect(protection).toEqual({
      skipped: expect.stringContaining(`The plan of ${name} has no rules for private repositories`),
    });
  });

  test.each([502, 'reset'] as const)('gets no rule twice when an answer is lost (%s)', async (fault) => {
    const { github, repository } = await pushed();
    server().fail({ method: 'POST', path: /\/rulesets$/, with: fault, afterEffect: true });
    await protectDefaultBranch(github, repository, checks);
    expect(server().repository(`pro-user/${repository.name}`)?.rulesets).toHaveLength(2);
  });

  test('loses a rule again', async () => {
    const { github, repository } = await pushed();
    const protection = await protectDefaultBranch(github, repository, checks);
    const [ruleset] = 'rulesets' in protection ? protection.rulesets : [];
    expect(await deleteRuleset(github, repository, ruleset?.id ?? 0)).toBe(true);
    expect(await deleteRuleset(github, repository, ruleset?.id ?? 0)).toBe(false);
    expect(server().repository(`pro-user/${repository.name}`)?.rulesets).toHaveLength(1);
  });
});
