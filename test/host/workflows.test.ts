import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fetchLivePage } from '../../lib/deploy/live.ts';
import { openRehearsal, type Rehearsal } from '../../lib/rehearsal/rehearsal.ts';
import { ExecutedScripts, withoutServer } from '../support/actions/coverage.ts';
import { dispatch, type Event, pullRequest, push, release, schedule } from '../support/actions/events.ts';
import { readWorkflow } from '../support/actions/files.ts';
import { repositoryOn } from '../support/actions/github-repository.ts';
import { localServicePrograms } from '../support/actions/job-services.ts';
import type { RunnerOptions } from '../support/actions/jobs.ts';
import {
  type ActionsRepository,
  commitChange,
  commitOf,
  fileAt,
  gitIn,
  workflowsAt,
} from '../support/actions/repository.ts';
import { runEvent, runWorkflow, type WorkflowRun } from '../support/actions/run.ts';
import { lookAtThisComputer } from '../support/actions/this-computer.ts';
import { type GitHub, startGitHub } from '../support/github/server.ts';
import { git, vaultVariables } from '../support/scaffold.ts';
import { missingServices } from '../support/services.ts';
import { startTestHost, type TestHost } from '../support/test-host.ts';
import { Workplace } from '../support/workplace.ts';

// The workflows of a project with two environments, executed as they are against a real server: the tests build on
// each other, in this order. The last one looks whether every script was executed.

const domains = { production: 'shop.example.com', staging: 'staging.shop.example.com' };
type Name = keyof typeof domains;

const executed = new ExecutedScripts();
const missing = missingServices();
let directory: string;
let session: Rehearsal;
let host: TestHost;
let place: Workplace;
let github: GitHub;
let token: string;
let repository: ActionsRepository;
let services: Awaited<ReturnType<typeof localServicePrograms>> | undefined;
let options: RunnerOptions;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'goboot-runs-'));
  github = await startGitHub();
  token = github.token('classic', 'pro-user');
  session = await openRehearsal();
  host = await startTestHost(session, 'workflows');
  place = new Workplace();
  await place.run(['git', 'config', '--global', 'user.name', 'Ada Example']);
  await place.run(['git', 'config', '--global', 'user.email', 'ada@example.com']);
  const target = [
    ...[`--host=${host.address}`, `--user=${host.user}`, `--key-file=${host.keyFileFor(place)}`],
    `--known-hosts-file=${host.knownHostsFileFor(place)}`,
  ];
  const project = ['goboot', 'shop', `--github-url=${github.url}`, `--domain=${domains.production}`];
  await yo([...project, ...target, '--linter=pre-commit', '--flow=trunk'], '.');
  await yo(['goboot:host', '--environment=staging', `--domain=${domains.staging}`]);

  repository = repositoryOn(github, 'pro-user/shop');
  const bundle = join(place.temporary, 'shop.bundle');
  await git(place, 'bundle', 'create', '--quiet', bundle, 'main');
  gitIn(repository.path, ['fetch', '--quiet', '--force', bundle, 'main:main']);
  const computer = await lookAtThisComputer(directory);
  if (missing.length === 0) services = await localServicePrograms();
  options = {
    ...computer.options(computer.pythons.slice(0, 1)),
    executed,
    // GitHub's own pace would only make the tests wait.
    env: { PAUSE_SECONDS: '0.5' },
    ...(services && { services }),
  };
});
afterAll(async () => {
  await services?.stop();
  await session?.close();
  await github?.close();
  rmSync(directory, { recursive: true, force: true });
});

async function yo(args: string[], cwd = 'shop'): Promise<void> {
  const { exitCode, stdout, stderr } = await place.yo([...args, '--yes'], { cwd, env: { GH_TOKEN: token } });
  if (exitCode !== 0) throw new Error(`${stdout}\n${stderr}`);
}

/** The commit that an environment says is live, as far as its release names it. */
async function live(environment: Name): Promise<string> {
  const { body } = await visit(environment, '/health/');
  return (JSON.parse(body) as { release: string }).release.split('-').at(-1) as string;
}

const visit = (environment: Name, path = '/') =>
  fetchLivePage({ domain: domains[environment], address: host.address, path });

const short = (commit: string) => commit.slice(0, 8);

type Environments = ReturnType<ActionsRepository['held']>['environments'];

/** The repository, where GitHub holds something else for some of its environments. */
function holding(
  change: (held: { environments: Record<Name, Environments[string]> }) => Environments,
): ActionsRepository {
  return {
    ...repository,
    held: () => {
      const held = repository.held();
      const environments = held.environments as Record<Name, Environments[string]>;
      return { ...held, environments: { ...environments, ...change({ environments }) } };
    },
  };
}

/** Starts a workflow. No run may print a secret, not even behind stars. */
async function start(file: string, event: Event): Promise<WorkflowRun> {
  const run = await runWorkflow(repository, `.github/workflows/${file}`, event, options);
  expect(run.leaks).toEqual([]);
  return run;
}

const errors = ({ annotations }: WorkflowRun) =>
  annotations.filter(({ level }) => level === 'error').map(({ message }) => message);

/** What became of the jobs of a run, by their ids. */
const jobs = (run: WorkflowRun) => Object.fromEntries(run.jobs.map(({ id, conclusion }) => [id, conclusion]));

/** A commit on main that adds something to a file. */
const add = (file: string, text: string) => commitChange(repository, file, (before) => `${before}${text}`);

/** Has GitHub know that lint and test have passed for a commit, which nothing here depends on. */
function passChecks(sha: string): void {
  for (const name of ['lint.yml', 'test.yml']) {
    github.addRun(repository.fullName, name, { sha, conclusion: 'success' });
  }
}

describe.skipIf(missing.length > 0)('A push to main', () => {
  test('deploys to staging as soon as lint and test have passed, and leaves production alone', async () => {
    const before = await live('production');
    const [parent, commit] = [
      commitOf(repository, 'main'),
      add('templates/pages/home.html', '{# a change #}\n'),
    ];
    const runs = await runEvent(repository, push(repository, { before: parent }), options);
    const ended = Object.entries(runs).map(([file, run]) => [file, run.conclusion]);
    expect(Object.fromEntries(ended), runs['deploy-staging.yml']?.log).toEqual({
      'deploy-staging.yml': 'success',
      'lint.yml': 'success',
      'test.yml': 'success',
    });
    expect(Object.values(runs).flatMap(({ leaks }) => leaks)).toEqual([]);
    expect(await live('staging')).toBe(short(commit));
    expect(await live('production')).toBe(before);
  });

  test('with a test that fails is not deployed, and the summary says why', async () => {
    const before = await live('staging');
    const parent = commitOf(repository, 'main');
    const commit = commitChange(repository, 'pages/tests/test_pages.py', (text) =>
      text.replace(
        /( +)def test_\w+\(self.*\n/,
        (line, indent) => `${line}${indent}    self.fail("on purpose")\n`,
      ),
    );
    const runs = await runEvent(repository, push(repository, { before: parent }), options);
    const { 'deploy-staging.yml': deploy, 'test.yml': tests } = runs;
    expect(tests?.conclusion).toBe('failure');
    expect(deploy && jobs(deploy), deploy?.log).toEqual({ checks: 'failure', deploy: 'skipped' });
    expect(deploy?.summary).toContain(`Not deployed: test.yml has ended with failure for ${short(commit)}`);
    expect(await live('staging')).toBe(before);
    gitIn(repository.path, ['update-ref', 'refs/heads/main', parent]);
  });
});

describe('deploy.yml', () => {
  let released: string;
  let before: string;

  test('puts a published release live, shows its notes and names the site', async () => {
    before = await live('production');
    released = add('templates/pages/home.html', '{# for the release #}\n');
    passChecks(released);
    gitIn(repository.path, ['tag', 'v1.0.0', released]);
    const run = await start(
      'deploy.yml',
      release(repository, { tag: 'v1.0.0', body: 'What is new: *pears*' }),
    );
    expect(run.conclusion, run.log).toBe('success');
    expect(await live('production')).toBe(short(released));
    expect(run.title).toBe('deploy v1.0.0');
    expect(run.summary).toMatch(/^## v1\.0\.0\n\nWhat is new: \*pears\*\n[\s\S]*\*\*deployed\*\*/);
    const [deploy] = run.jobs.filter(({ id }) => id === 'deploy');
    expect(deploy?.environment).toEqual({ name: 'production', url: `https://${domains.production}` });
  });

  test('does nothing for a pre-release', async () => {
    const run = await start('deploy.yml', release(repository, { tag: 'v1.0.0', prerelease: true }));
    expect(jobs(run)).toEqual({ checks: 'skipped', deploy: 'skipped' });
  });

  test('rolls back to the release before when it is asked to, and to one that is named', async () => {
    const back = await start('deploy.yml', dispatch(repository, { inputs: { action: 'roll back' } }));
    expect(back.conclusion, back.log).toBe('success');
    expect(await live('production')).toBe(before);
    const inputs = { action: 'roll back', release: short(released) };
    const forth = await start('deploy.yml', dispatch(repository, { inputs }));
    expect(forth.conclusion, forth.log).toBe('success');
    expect(await live('production')).toBe(short(released));
  });

  test('does not deploy a commit that lint and test have not passed', async () => {
    const commit = add('README.md', '\n');
    const tried = add('templates/pages/home.html', '{# untested #}\n');
    github.addRun(repository.fullName, 'lint.yml', { sha: tried, conclusion: 'success' });
    github.addRun(repository.fullName, 'test.yml', { sha: tried, conclusion: 'failure' });
    const run = await start('deploy.yml', dispatch(repository));
    expect(jobs(run)).toEqual({ checks: 'failure', deploy: 'skipped' });
    expect(errors(run)).toEqual([expect.stringContaining('test.yml has ended with failure')]);
    expect(await live('production')).toBe(short(released));

    passChecks(commit);
    const older = await start('deploy.yml', dispatch(repository, { inputs: { ref: commit } }));
    expect(older.conclusion, older.log).toBe('success');
    expect(await live('production')).toBe(short(commit));
    released = commit;
  });

  test('says what the server says when a deploy fails, and leaves the site as it was', async () => {
    passChecks(add('shop/urls.py', '\nimport no_such_module\n'));
    const run = await start('deploy.yml', dispatch(repository));
    expect(run.conclusion).toBe('failure');
    expect(errors(run)).toContainEqual(expect.stringContaining('no_such_module'));
    expect(run.summary).toContain('**failed**');
    expect(run.summary).toMatch(/no\\?_such\\?_module/);
    expect(await live('production')).toBe(short(released));
  });

  test('closes the site with a message for visitors, and opens it', async () => {
    const message = 'Ada\'s "new" shop $HOME \\ grüßt';
    const closed = await start(
      'deploy.yml',
      dispatch(repository, { inputs: { action: 'maintenance on', message } }),
    );
    expect(closed.conclusion, closed.log).toBe('success');
    const page = await visit('production');
    expect(page.status).toBe(503);
    expect(page.body).toContain('new&quot; shop $HOME');
    const opened = await start('deploy.yml', dispatch(repository, { inputs: { action: 'maintenance off' } }));
    expect(opened.conclusion, opened.log).toBe('success');
    expect((await visit('production')).status).toBe(200);
  });

  test('backs up', async () => {
    const run = await start('deploy.yml', dispatch(repository, { inputs: { action: 'back up' } }));
    expect(run.conclusion, run.log).toBe('success');
  });

  test('of staging does not deploy from a branch that the environment does not allow', async () => {
    gitIn(repository.path, ['branch', 'feature', commitOf(repository, 'main~1')]);
    passChecks(commitOf(repository, 'feature'));
    const run = await start('deploy-staging.yml', dispatch(repository, { ref: 'refs/heads/feature' }));
    expect(jobs(run)).toEqual({ checks: 'success', deploy: 'failure' });
    expect(errors(run)[0]).toContain('Branch "feature" is not allowed to deploy to staging');
  });
});

describe('The weekly check', () => {
  const issues = () => github.repository(repository.fullName)?.issues ?? [];
  const monday = () => schedule(repository, '23 5 * * 1');

  test('keeps one issue for each environment about what is wrong on the server', async () => {
    for (const file of ['check.yml', 'check.yml', 'check-staging.yml']) {
      // A certificate that the site made for itself is always something to look at.
      const run = await start(file, monday());
      expect(run.conclusion, run.log).toBe('failure');
    }
    expect(issues().map(({ title, state }) => `${title}: ${state}`)).toEqual([
      'shop-production needs attention: open',
      'shop-staging needs attention: open',
    ]);
    expect(issues()[0]?.body).toContain('browsers warn of it');
  });

  test('says in the issue that the server cannot be asked', async () => {
    const unreachable = holding(({ environments: { production } }) => ({
      production: { ...production, variables: { ...production.variables, DEPLOY_PORT: '9' } },
    }));
    const run = await runWorkflow(unreachable, '.github/workflows/check.yml', monday(), options);
    expect(run.conclusion).toBe('failure');
    expect(issues()[0]?.body).toMatch(/could not be asked: .*(refused|timed out)/);
  });
});

describe('The plan', () => {
  let number: number;
  const comments = (): string[] => {
    const issues = github.repository(repository.fullName)?.issues ?? [];
    return (issues.find((issue) => issue.number === number)?.comments ?? []).map(({ body }) => body);
  };
  const opened = (more: { action?: string; fork?: boolean } = {}) =>
    pullRequest(repository, { head: 'plan', number, ...more });

  /** GitHub, where somebody has set up the environments for plans as docs/github.md says. */
  function withPlans(): ActionsRepository {
    const PLAN_SSH_KEY = readFileSync(host.keyFile as string, 'utf8');
    return holding(({ environments: { production } }) => {
      const { ANSIBLE_VAULT_PASSWORD = '' } = production.secrets;
      const plan = { secrets: { PLAN_SSH_KEY, ANSIBLE_VAULT_PASSWORD }, variables: {} };
      return { 'production-plan': plan, 'staging-plan': plan };
    });
  }

  async function plan(file: string, event: Event, at = withPlans()): Promise<WorkflowRun> {
    const run = await runWorkflow(at, `.github/workflows/${file}`, event, options);
    expect(run.leaks).toEqual([]);
    expect(run.conclusion, run.log).toBe('success');
    return run;
  }

  beforeAll(async () => {
    // Issues and pull requests share their numbers, and the comments are those of an issue.
    const answer = await fetch(`${github.url}/repos/${repository.fullName}/issues`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ title: 'Keep releases warm for another time' }),
    });
    number = ((await answer.json()) as { number: number }).number;
    // A runner has the key in its agent only, and not where the developer has it.
    const key = host.keyFileFor(place);
    renameSync(key, `${key}-elsewhere`);
    const file = '.ansible/inventory/production/group_vars/all/main.yml';
    const change = (text: string) => `${text}application_keep_warm_seconds: 299\n`;
    commitChange(repository, file, change, { branch: 'plan', from: 'main' });
  });

  test('of a pull request is a comment for each environment, and changes nothing', async () => {
    for (const file of ['plan.yml', 'plan-staging.yml']) await plan(file, opened());
    const [production = '', staging = ''] = comments();
    expect(comments()).toHaveLength(2);
    expect(production).toMatch(/^<!-- plan of production -->\n### (\d+|No) tasks would change production/);
    expect(production).toMatch(/^\+.*\b299\b/m);
    expect(staging).toMatch(/^<!-- plan of staging -->\n### /);
    expect(staging).not.toMatch(/\b299\b/);
    const { stdout } = await host.rootShell("grep -rlE '\\b299\\b' /etc/shop-production || true");
    expect(stdout).toBe('');
  });

  test('is brought up to date in place, and shows no secret of the vault', async () => {
    await plan('plan.yml', opened({ action: 'synchronize' }));
    expect(comments()).toHaveLength(2);
    const secrets = Object.values(await vaultVariables(place));
    for (const secret of secrets) expect(comments().join().includes(secret)).toBe(false);
  });

  test('is left out for a fork, which is given no secret, and where nobody has set it up', async () => {
    for (const [event, at] of [
      [opened({ fork: true }), withPlans()],
      [dispatch(repository), repository],
    ] as const) {
      const run = await plan('plan.yml', event, at);
      expect(run.summary).toMatch(/^There is no plan of production/);
    }
    expect(comments()).toHaveLength(2);
  });
});

test('Every script of a workflow was executed here, but for those that the tests of rendered projects execute', () => {
  const { sha } = dispatch(repository);
  const paths = workflowsAt(repository, sha).filter((path) => !withoutServer.includes(path));
  expect(paths.length).toBeGreaterThan(0);
  const files = paths.map((path) => readWorkflow(path, fileAt(repository, sha, path)));
  expect(executed.missing(files)).toEqual([]);
});
