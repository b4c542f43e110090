import { cpSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tokenNeeds } from '../../lib/github/token.ts';
import { Journal } from '../../lib/journal.ts';
import { gitWith, useGitHub } from '../support/github/clients.ts';
import { commitFile, git } from '../support/local-project.ts';
import {
  besidesKeys,
  comparable,
  creationsIn,
  fitsProject,
  knownHosts,
  ProjectTemplate,
  projectName,
  type RunOptions,
  runPublication,
  runUndo,
  unknownTo,
  vaultPassword,
} from '../support/publication.ts';

const server = useGitHub();
let template: ProjectTemplate;
beforeAll(async () => {
  template = await ProjectTemplate.make();
});
afterAll(() => template.remove(), 60_000);

interface Scenario extends RunOptions {
  fullName: string;
}

/** A copy of the project for an owner; what an earlier test has published there is gone. */
async function scenario(owner: string, options: Partial<RunOptions> = {}): Promise<Scenario> {
  const fullName = `${owner}/${projectName}`;
  const user = owner.endsWith('-user') ? owner : 'free-user';
  if (server().repository(fullName)) await remove(fullName, user);
  const token = options.token ?? server().token('classic', user);
  const gitHub = { ...(owner !== user && { owner }), ...options.gitHub };
  return { server: server(), root: await template.copy(), fullName, ...options, token, gitHub };
}

async function remove(fullName: string, user: string): Promise<void> {
  await fetch(`${server().url}/repos/${fullName}`, {
    method: 'DELETE',
    headers: { authorization: `token ${server().token('classic', user)}`, 'user-agent': 'tests' },
  });
  server().requests.splice(0);
}

const stateOf = ({ fullName }: Scenario) => {
  const state = server().repository(fullName);
  if (!state) throw new Error(`${fullName} does not exist`);
  return state;
};

/** The requests that changed something, or the push, as short texts. */
function writes(): string[] {
  return server()
    .requests.filter(({ method, path }) => method !== 'GET' || path.endsWith('git-receive-pack'))
    .map(({ method, path }) => `${method} ${path}`);
}

async function errorOf(action: Promise<unknown>): Promise<string> {
  const error = await action.then(
    () => undefined,
    (thrown: Error & { remedy?: string }) => thrown,
  );
  if (!error) throw new Error('expected an error');
  return `${error.message} ${error.remedy ?? ''}`;
}

const settings = (run: Scenario) => ({
  secrets: { DEPLOY_SSH_KEY: 'fits the project', ANSIBLE_VAULT_PASSWORD: vaultPassword(run.root) },
  variables: {
    DEPLOY_HOST: '192.0.2.10',
    DEPLOY_PORT: '22',
    DEPLOY_USER: 'deploy',
    DEPLOY_KNOWN_HOSTS: knownHosts,
  },
});

const prefixed = (values: Record<string, string>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [`PRODUCTION_${name}`, value]));

describe('A publication', () => {
  test.each([
    { owner: 'pro-user', visibility: 'private', kind: 'classic', plan: 'paid' },
    { owner: 'pro-user', visibility: 'private', kind: 'fine-grained', plan: 'paid' },
    { owner: 'free-user', visibility: 'public', kind: 'classic', plan: 'free' },
    { owner: 'free-user', visibility: 'private', kind: 'classic', plan: 'free' },
    { owner: 'free-user', visibility: 'private', kind: 'fine-grained', plan: 'free' },
    { owner: 'team-organization', visibility: 'private', kind: 'classic', plan: 'paid' },
    { owner: 'team-organization', visibility: 'private', kind: 'fine-grained', plan: 'paid' },
    { owner: 'free-organization', visibility: 'private', kind: 'classic', plan: 'free' },
    { owner: 'free-organization', visibility: 'public', kind: 'fine-grained', plan: 'free' },
  ] as const)('is whole for $owner, $visibility, $plan, with a $kind token', async (given) => {
    const { owner, visibility } = given;
    const isOrganization = owner.endsWith('-organization');
    const token =
      given.kind === 'classic'
        ? server().token('classic', isOrganization ? 'free-user' : owner)
        : server().token('fine-grained', isOrganization ? 'free-user' : owner, { owner });
    const run = await scenario(owner, { token, gitHub: { visibility, ...(isOrganization && { owner }) } });
    const { missing, place, repository, commit } = await runPublication(run);

    const full = given.plan === 'paid' || visibility === 'public';
    expect({ place, visibility: repository.visibility }).toEqual({
      place: full ? 'environment' : 'repository',
      visibility,
    });
    const { secrets, variables } = settings(run);
    expect(besidesKeys(stateOf(run), run.root)).toMatchObject({
      private: visibility === 'private',
      description: 'Shop',
      homepage: 'https://shop.example.com/',
      topics: ['django', 'ansible'],
      commit: 'main',
      secrets: full ? {} : prefixed(secrets),
      variables: full ? {} : prefixed(variables),
      environments: full
        ? {
            production: {
              secrets,
              variables,
              deploymentBranchPolicy: { protected_branches: false, custom_branch_policies: true },
              branchPolicies: [
                { name: 'main', type: 'branch' },
                { name: '*', type: 'tag' },
              ],
            },
          }
        : {},
      rulesets: full ? [{ name: 'Keep history' }, { name: 'Require checks' }] : [],
    });
    expect(unknownTo(run.root, run.fullName, stateOf(run))).toEqual([]);

    // Whoever clones it has what is here.
    const clone = join(mkdtempSync(join(run.root, '..', 'clone-')), projectName);
    git('/', 'clone', '--quiet', stateOf(run).path, clone);
    expect(git(clone, 'rev-parse', 'HEAD')).toBe(commit);
    expect(git(clone, 'ls-files')).toBe(git(run.root, 'ls-files'));
    expect(git(run.root, 'status', '--porcelain', '--branch')).toBe('## main...origin/main');

    // What the plan lacks is said in words that name the account.
    expect(missing.join(' ')).toMatch(
      full ? /^$/ : new RegExp(`plan of ${owner} has no environments.*PRODUCTION_.*main is not protected`),
    );
  });

  test('with a branch for each environment creates the branches, and requires checks of all of them', async () => {
    const run = await scenario('pro-user', { gitHub: { flow: 'gitops' } });
    const { commit } = await runPublication(run);
    expect(git(stateOf(run).path, 'for-each-ref', '--format=%(refname:short) %(objectname)')).toBe(
      `develop ${commit}\nmain ${commit}`,
    );
    expect(stateOf(run).environments.production?.branchPolicies).toEqual([{ name: 'main', type: 'branch' }]);
    const inventory = join(run.root, '.ansible/inventory');
    cpSync(join(inventory, 'production'), join(inventory, 'staging'), { recursive: true });
    git(run.root, 'add', '.ansible/inventory');
    await runPublication({ ...run, environment: { name: 'staging', site: 'shop-staging' } });
    const { rulesets, environments, path } = stateOf(run);
    for (const { conditions } of rulesets) {
      expect(conditions?.ref_name?.include).toEqual([
        ...['~DEFAULT_BRANCH', 'refs/heads/develop', 'refs/heads/stage'],
      ]);
    }
    expect(environments.staging?.branchPolicies.map(({ name }) => name)).toEqual(['main', 'stage']);
    expect(git(path, 'branch', '--format=%(refname:short)').split('\n')).toEqual([
      'develop',
      'main',
      'stage',
    ]);
  });

  test('puts everything in place before a workflow can start', async () => {
    const run = await scenario('pro-user');
    await runPublication(run);
    const order = writes();
    const push = order.findIndex((request) => request.endsWith('git-receive-pack'));
    const last = (part: RegExp) => order.findLastIndex((request) => part.test(request));
    for (const part of [
      /POST \/user\/repos$/,
      /deployment-branch-policies$/,
      /\/variables$/,
      /\/secrets\//,
    ]) {
      expect(last(part), String(part)).toBeGreaterThanOrEqual(0);
      expect(last(part), String(part)).toBeLessThan(push);
    }
    // With a required check in force, the first commit could not be pushed.
    expect(order.findIndex((request) => request.endsWith('/rulesets'))).toBeGreaterThan(push);
  });

  test('of a host that nobody has logged in to says when GitHub can deploy', async () => {
    const run = await scenario('pro-user', { knownHosts: '' });
    const { missing } = await runPublication(run);
    expect(missing.join()).toContain('The host key of 192.0.2.10 is not known yet');
    expect(stateOf(run).environments.production?.variables).not.toHaveProperty('DEPLOY_KNOWN_HOSTS');
    expect((await runPublication({ ...run, knownHosts })).missing).toEqual([]);
    expect(stateOf(run).environments.production?.variables.DEPLOY_KNOWN_HOSTS).toBe(knownHosts);
  });
});

describe('A second run', () => {
  test.each(['pro-user', 'free-user'])('changes nothing for %s', async (owner) => {
    const run = await scenario(owner);
    await runPublication(run);
    const [before, head] = [comparable(stateOf(run)), git(run.root, 'rev-parse', 'HEAD')];
    const ours = Journal.open(run.root).ours();
    server().requests.splice(0);
    await runPublication(run);
    expect(comparable(stateOf(run))).toEqual(before);
    expect(git(run.root, 'rev-parse', 'HEAD')).toBe(head);
    expect(Journal.open(run.root).ours()).toEqual(ours);
    expect([...new Set(writes())]).toEqual([
      // The plan may have been upgraded since.
      ...(owner === 'free-user' ? [expect.stringMatching(/^PUT .*\/environments\/production$/)] : []),
      // GitHub shows no secret, so the one that is known here is set again.
      expect.stringMatching(/^PUT .*ANSIBLE_VAULT_PASSWORD$/),
    ]);
  });

  test('pushes what was committed since', async () => {
    const run = await scenario('pro-user');
    await runPublication(run);
    await commitFile(run.root, 'notes.txt', 'More.\n');
    const { commit } = await runPublication(run);
    expect(stateOf(run).commits[0]?.sha).toBe(commit);
    expect(git(run.root, 'rev-parse', 'HEAD')).toBe(commit);
  });

  test.each(['pro-user', 'free-user'])(
    'makes a new key where the private half is lost, for %s',
    async (owner) => {
      const run = await scenario(owner);
      await runPublication(run);
      const keys = (): Record<string, string> => {
        const { secrets, environments } = stateOf(run);
        return environments.production?.secrets ?? secrets;
      };
      const name = owner === 'pro-user' ? 'DEPLOY_SSH_KEY' : 'PRODUCTION_DEPLOY_SSH_KEY';
      const old = keys()[name] as string;
      const store = owner === 'pro-user' ? 'environments/production' : 'actions';
      const path = `${server().url}/repos/${run.fullName}/${store}/secrets/${name}`;
      const headers = { authorization: `token ${run.token}`, 'user-agent': 'tests' };
      expect((await fetch(path, { method: 'DELETE', headers })).status).toBe(204);
      await runPublication(run);
      const current = keys()[name] as string;
      expect(current).not.toBe(old);
      expect([fitsProject(run.root, current), fitsProject(run.root, old)]).toEqual([true, false]);
      expect(stateOf(run).commits[0]?.sha).toBe(git(run.root, 'rev-parse', 'HEAD'));
    },
  );

  test.each(['pro-user', 'free-user'])('lets variables of a jump host come and go, for %s', async (owner) => {
    const run = await scenario(owner);
    const names = () => {
      const { variables, environments } = stateOf(run);
      return Object.keys(environments.production?.variables ?? variables).filter((name) => /JUMP/.test(name));
    };
    await runPublication(run);
    expect(names()).toEqual([]);
    const jump = { address: 'gate.example.com', user: 'guest', port: 2222 };
    await runPublication({ ...run, environment: { jump } });
    expect(names().map((name) => name.replace('PRODUCTION_', ''))).toEqual([
      'DEPLOY_JUMP_HOST',
      'DEPLOY_JUMP_PORT',
      'DEPLOY_JUMP_USER',
    ]);
    await runPublication(run);
    expect(names()).toEqual([]);
    expect(
      Journal.open(run.root)
        .ours()
        .filter(({ name }) => /JUMP/.test(name)),
    ).toEqual([]);
  });

  test('takes away the variables of a jump host that was given up before the first push', async () => {
    const run = await scenario('pro-user');
    const jump = { address: 'gate.example.com', user: 'guest', port: 22 };
    server().failPush({ with: 500 });
    await errorOf(runPublication({ ...run, environment: { jump } }));
    await runPublication(run);
    expect(stateOf(run).environments.production?.variables).not.toHaveProperty('DEPLOY_JUMP_HOST');
  });
});

describe('A repository that is there already', () => {
  test('and empty is used, and an undo leaves it', async () => {
    const run = await scenario('pro-user');
    server().addRepository(run.fullName, { private: true });
    await runPublication(run);
    expect(besidesKeys(stateOf(run), run.root)).toMatchObject({
      commit: 'main',
      environments: { production: settings(run) },
    });
    const { left } = await runUndo(run);
    const after = stateOf(run);
    expect([after.environments, after.rulesets]).toEqual([{}, []]);
    expect(left).toMatchObject([{ creation: { kind: 'push' }, reason: /stays/ }]);
  });

  test('with somebody else’s content is refused, and nothing is written', async () => {
    const run = await scenario('pro-user');
    server().addRepository(run.fullName, { private: true, files: { 'README.md': 'Mine.\n' } });
    const [before, head] = [comparable(stateOf(run)), git(run.root, 'rev-parse', 'HEAD')];
    expect(await errorOf(runPublication(run))).toMatch(/holds something else.*another name/);
    expect(writes()).toEqual([]);
    expect(comparable(stateOf(run))).toEqual(before);
    expect(git(run.root, 'rev-parse', 'HEAD')).toBe(head);
    expect(Journal.open(run.root).entries()).toEqual([]);
  });

  test('that an owner made after a refusal is not taken for ours', async () => {
    const run = await scenario('pro-user');
    server().fail({ method: 'POST', path: /^\/user\/repos$/, with: 403 });
    expect(await errorOf(runPublication(run))).toMatch(/create the private repository pro-user\/shop/);
    server().addRepository(run.fullName, { private: true });
    await runPublication(run);
    const { removed } = await runUndo(run);
    expect(removed.map(({ kind }) => kind)).not.toContain('repository');
    expect(server().repository(run.fullName)).toBeDefined();
  });

  test('that appears while goboot looks is not taken for ours', async () => {
    const run = await scenario('pro-user');
    // The first look does not find it, the one before the creation does.
    server().addRepository(run.fullName, { private: true });
    server().fail({ method: 'GET', path: new RegExp(`^/repos/${run.fullName}$`), with: 404, nth: 1 });
    expect(await errorOf(runPublication(run))).toMatch(/There is a repository pro-user\/shop already/);
    expect(Journal.open(run.root).ours()).toEqual([]);
    await runUndo(run);
    expect(server().repository(run.fullName)).toBeDefined();
  });

  test('with newer commits of a colleague asks for them first', async () => {
    const run = await scenario('pro-user');
    await runPublication(run);
    const other = join(mkdtempSync(join(run.root, '..', 'colleague-')), projectName);
    git('/', 'clone', '--quiet', stateOf(run).path, other);
    await commitFile(other, 'notes.txt', 'Mine.\n');
    await gitWith(run.token, other, 'push', `${server().origin}/${run.fullName}.git`, 'HEAD:main');
    server().requests.splice(0);
    expect(await errorOf(runPublication(run))).toMatch(/commits that are not here.*git pull --rebase/);
    expect(writes()).toEqual([]);
  });
});

describe('A token that lacks', () => {
  /** Nothing may be on GitHub that the journal does not know; what it knows can be undone. */
  async function expectKnown(run: Scenario): Promise<void> {
    const found = server().repository(run.fullName);
    expect(unknownTo(run.root, run.fullName, found)).toEqual([]);
    const able = { ...run, token: server().token('classic', run.fullName.split('/')[0]) };
    expect((await runUndo(able)).left).toEqual([]);
    expect(creationsIn(run.fullName, server().repository(run.fullName))).toEqual([]);
  }

  test('the scope delete_repo undoes nothing but forgets nothing either', async () => {
    const run = await scenario('pro-user');
    await runPublication(run);
    const before = comparable(stateOf(run));
    const token = server().token('classic', 'pro-user', { scopes: ['repo', 'workflow'] });
    expect(await errorOf(runUndo({ ...run, token }))).toMatch(/delete the repository.*scope delete_repo/);
    expect(comparable(stateOf(run))).toEqual(before);
    await expectKnown(run);
  });

  test.each(['repo', 'workflow'])('the scope %s is refused by the check', async (scope) => {
    const scopes = ['repo', 'workflow'].filter((other) => other !== scope);
    const run = await scenario('pro-user', { token: server().token('classic', 'pro-user', { scopes }) });
    expect(await errorOf(runPublication(run))).toMatch(
      new RegExp(`GitHub token: .*lacks the scope ${scope}\\b`),
    );
    expect([writes(), server().repository(run.fullName)]).toEqual([[], undefined]);
  });

  const needed = tokenNeeds.filter(({ optional, permission }) => !optional && permission !== 'Metadata');
  test.each(needed.map(({ permission, headerNames }) => ({ permission, without: headerNames[0] as string })))(
    'the permission $permission is told its name',
    async ({ permission, without }) => {
      const permissions = Object.fromEntries(
        needed
          .flatMap(({ headerNames: [name = ''], level }) => (name === without ? [] : [[name, level]]))
          .concat([['metadata', 'read']]),
      );
      // Secrets and variables are in the repository itself only where the plan has no environments.
      const owner = ['Secrets', 'Variables'].includes(permission) ? 'free-user' : 'pro-user';
      const token = server().token('fine-grained', owner, { permissions });
      const run = await scenario(owner, { token });
      expect(await errorOf(runPublication(run))).toContain(`${permission}: `);
      await expectKnown(run);
    },
  );
});
