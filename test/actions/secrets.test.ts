import { expect, test } from 'vitest';
import { pullRequest } from '../support/actions/events.ts';
import { gitIn } from '../support/actions/repository.ts';
import { runTiny, runTinySteps } from '../support/actions/tiny-workflow.ts';

const of = (secrets: Record<string, string>, variables: Record<string, string> = {}) => ({
  secrets,
  variables,
});

test('secrets and variables of the environment win over those of the repository, in jobs that name it', async () => {
  const steps =
    'steps: [{env: {S: "${{ secrets.KEY }}"}, run: \'echo "${#S} ${{ vars.HOST }} <${{ secrets.NONE }}>"\'}]';
  const run = await runTiny(
    `
  with: {runs-on: ubuntu-24.04, environment: production, ${steps}}
  without: {runs-on: ubuntu-24.04, ${steps}}
    `,
    {
      held: {
        ...of({ KEY: 'four' }, { HOST: 'a.example' }),
        environments: { production: of({ KEY: 'sixsix' }, { HOST: 'b.example' }) },
      },
    },
  );
  expect(run.log).toContain('6 b.example <>');
  expect(run.log).toContain('4 a.example <>');
});

test('a secret that is printed is masked in log, summary and messages, each of its lines, and told of', async () => {
  const run = await runTinySteps(
    `
- name: Talk
  env: {KEY: "\${{ secrets.KEY }}"}
  run: |
    echo "$KEY"
    echo "::error::$KEY" | head -n 1
    echo "$KEY" >> "$GITHUB_STEP_SUMMARY"
    `,
    { held: of({ KEY: 'first line\nsecond line' }) },
  );
  expect(run.log).not.toMatch(/first line|second line/);
  expect(run.summary).toBe('***\n');
  expect(run.annotations[0]?.message).toBe('***');
  expect(run.leaks).toEqual([
    { secret: 'KEY', where: 'only, Talk' },
    { secret: 'KEY', where: 'only, Talk, summary' },
  ]);
});

test('what a step asks to be masked is masked from then on', async () => {
  const run = await runTinySteps(
    '- run: |\n    value=$((40 + 2))\n    echo "::add-mask::made-$value"\n    echo "it is made-$value"',
  );
  expect(run.log).toContain('it is ***');
  expect(run.log).not.toContain('made-42');
});

test('an output that holds a secret does not reach other jobs', async () => {
  const run = await runTiny(
    `
  first:
    runs-on: ubuntu-24.04
    outputs: {key: "\${{ secrets.KEY }}", other: value}
    steps: [{run: "true"}]
  second:
    needs: first
    runs-on: ubuntu-24.04
    steps: [{run: 'echo "<\${{ needs.first.outputs.key }}\${{ needs.first.outputs.other }}>"'}]
    `,
    { held: of({ KEY: 'sesame' }) },
  );
  expect(run.log).toContain('<value>');
});

test('a token has the permissions of its job, or of the workflow, and no others', async () => {
  const run = await runTiny(
    `
  one: {runs-on: ubuntu-24.04, permissions: {issues: write}, steps: [{run: 'echo "\${{ github.event_name }}"'}]}
  two: {runs-on: ubuntu-24.04, steps: [{run: "true"}]}
    `,
    { head: 'on: push\npermissions: {contents: read}' },
  );
  expect(run.jobs.map(({ permissions }) => permissions)).toEqual([{ issues: 'write' }, { contents: 'read' }]);
});

test('a pull request from a fork gets no secrets, and a token that can only read', async () => {
  const job = `
  only:
    runs-on: ubuntu-24.04
    permissions: {pull-requests: write}
    steps: [{env: {KEY: "\${{ secrets.KEY }}"}, run: 'echo "<$KEY>"'}]
  `;
  const run = await runTiny(job, {
    head: 'on: pull_request',
    held: of({ KEY: 'sesame' }),
    event: (repository) => {
      gitIn(repository.path, ['branch', 'feature', 'main']);
      return pullRequest(repository, { head: 'feature', fork: true });
    },
  });
  expect(run.log).toContain('<>');
  expect(run.jobs[0]?.permissions).toEqual({ 'pull-requests': 'read' });
});

test('an environment is used only from the branches that it allows', async () => {
  const job =
    '  only: {runs-on: ubuntu-24.04, environment: {name: production, url: "https://${{ vars.HOST }}"}, steps: [{run: "true"}]}';
  const production = (name: string) => ({
    held: {
      environments: {
        production: { ...of({}, { HOST: 'a.example' }), allowed: [{ name, type: 'branch' as const }] },
      },
    },
  });
  const refused = await runTiny(job, production('release'));
  expect(refused.conclusion).toBe('failure');
  expect(refused.annotations[0]?.message).toContain('Branch "main" is not allowed to deploy to production');
  const accepted = await runTiny(job, production('main'));
  expect(accepted.jobs[0]?.environment).toEqual({ name: 'production', url: 'https://a.example' });
});
