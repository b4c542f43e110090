import { expect, test } from 'vitest';
import { answeringFlags, scaffold } from '../support/scaffold.ts';
import { Workplace } from '../support/workplace.ts';

// Control characters other than line breaks.
const escapeSequence = /[^\P{Cc}\n]/u;

function events(stdout: string): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

test('--json prints one object per line and nothing else', async () => {
  const place = new Workplace();
  const { stdout, stderr } = await scaffold(place, { args: ['--json'] });
  expect(stderr).toBe('');
  const printed = events(stdout);
  expect(printed.map(({ event }) => event)).toEqual(expect.arrayContaining(['plan', 'step', 'result']));
  for (const step of printed.filter(({ event }) => event === 'step')) {
    expect(step).toMatchObject({ name: expect.any(String), status: 'done', seconds: expect.any(Number) });
  }
  expect(printed.at(-1)).toMatchObject({
    event: 'result',
    status: 'scaffolded',
    created: expect.arrayContaining(['manage.py']),
  });

  const refused = await place.yo([
    'goboot',
    'shop',
    '--json',
    '--yes',
    '--skip-github',
    '--skip-deploy',
    '--port=0',
  ]);
  expect(refused).toMatchObject({ exitCode: 2, stderr: '' });
  expect(events(refused.stdout)).toEqual([
    expect.objectContaining({ event: 'error', exitCode: 2, message: expect.stringContaining('"0"') }),
  ]);

  const unknown = await place.yo(['goboot', 'shop', '--json', '--nonsense']);
  expect(unknown).toMatchObject({ exitCode: 2, stderr: '' });
  expect(events(unknown.stdout)).toEqual([expect.objectContaining({ event: 'error' })]);
});

test('--quiet prints nothing but problems', async () => {
  const place = new Workplace();
  expect(await scaffold(place, { args: ['--quiet'] })).toMatchObject({ stdout: '', stderr: '' });
  const refused = await place.yo(['goboot', '-q', '--skip-github', '--skip-deploy', '--port=0'], {
    cwd: 'shop',
  });
  expect(refused).toMatchObject({ exitCode: 2, stdout: '' });
  expect(refused.stderr).toContain('"0"');
});

test('without a terminal the output is plain lines', async () => {
  const place = new Workplace();
  const { stdout } = await scaffold(place);
  expect(stdout).not.toMatch(escapeSequence);
  const refused = await place.yo(['goboot', 'shop', '--port=0', ...answeringFlags]);
  expect(refused.stderr).not.toMatch(escapeSequence);
});

test('help names every flag and is no run', async () => {
  const place = new Workplace();
  const before = place.listing();
  const { exitCode, stdout } = await place.yo(['goboot', '--help']);
  expect(exitCode).toBe(0);
  for (const flag of ['--domain', '--key-file', '--jump-host', '--answers', '--dry-run', '--json']) {
    expect(stdout).toContain(flag);
  }
  expect(place.listing()).toEqual(before);
});
