import { mkdtempSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { giveTo } from '../support/normal-user.ts';
import { answeringFlags } from '../support/scaffold.ts';
import { Workplace } from '../support/workplace.ts';

/** A directory with every program of this system but one, as on a computer where that one was never installed. */
function systemWithout(place: Workplace, missing: string): string {
  const directory = mkdtempSync(join(inject('installation').directory, 'path-'));
  giveTo(place.user, directory);
  const taken = new Set([missing]);
  for (const system of ['/usr/local/bin', '/usr/bin', '/bin']) {
    for (const program of readdirSync(system)) {
      if (taken.has(program)) continue;
      taken.add(program);
      symlinkSync(join(system, program), join(directory, program));
    }
  }
  return directory;
}

test.concurrent.each([
  { program: 'git', remedy: 'apt-get install git' },
  { program: 'ssh', remedy: 'apt-get install openssh-client' },
  { program: 'uv', remedy: 'pipx install uv' },
])('without $program: a message that says how to get it', async ({ program, remedy }) => {
  const place = new Workplace();
  const before = place.listing();
  const { exitCode, stderr } = await place.yo(['goboot', 'shop', '--yes', ...answeringFlags], {
    path: systemWithout(place, program),
    without: program,
  });
  expect(stderr).toContain(program);
  expect(stderr).toContain(remedy);
  expect(stderr).not.toMatch(/^\s+at |node:internal/m);
  expect(exitCode).toBe(3);
  expect(place.listing()).toEqual(before);
});

test('without any of them: one message that names all', async () => {
  const place = new Workplace();
  const empty = mkdtempSync(join(inject('installation').directory, 'path-'));
  giveTo(place.user, empty);
  for (const program of ['env', 'sh']) symlinkSync(join('/bin', program), join(empty, program));
  const { exitCode, stderr } = await place.yo(['goboot', 'shop', '--yes', ...answeringFlags], {
    path: empty,
    without: 'uv',
  });
  for (const program of ['git', 'ssh', 'uv']) expect(stderr).toMatch(new RegExp(`^ *${program}: `, 'm'));
  expect(exitCode).toBe(3);
});
