import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sampleCommandLines } from '../support/command-lines.ts';
import { listDirectory } from '../support/directory-listing.ts';
import { git, projectFile, scaffold, vaultVariables } from '../support/scaffold.ts';
import { Workplace } from '../support/workplace.ts';

test('secrets are in the vault and its password file, and nowhere else', async () => {
  const place = new Workplace();
  const stop = sampleCommandLines();
  const { stdout, stderr } = await scaffold(place);
  const commandLines = await stop();
  expect(readdirSync(place.temporary)).toEqual([]);

  const passwordFile = '.ansible/vault_password';
  const password = projectFile(place, passwordFile).trim();
  expect(password.length).toBeGreaterThanOrEqual(32);
  expect(statSync(join(place.cwd, 'shop', passwordFile)).mode & 0o777).toBe(0o600);
  expect((await place.run(['git', 'check-ignore', passwordFile], { cwd: 'shop' })).stdout).toBe(passwordFile);

  // Ansible itself, locked with the project, opens the vault.
  const variables = await vaultVariables(place);
  expect(Object.keys(variables)).toEqual(
    expect.arrayContaining(['vault_secret_key', 'vault_broker_password']),
  );
  const secrets = [password, ...Object.values(variables)];
  for (const secret of secrets) expect(secret.length).toBeGreaterThanOrEqual(32);
  expect(new Set(secrets).size).toBe(secrets.length);

  const history = await git(place, 'log', '--all', '--patch', '--format=%B');
  expect(history).toContain('$ANSIBLE_VAULT;1.1;AES256');
  const settings = projectFile(place, '.yo-rc.json');
  const processes = [...commandLines].join('\n');
  expect(processes).toMatch(/git .*commit/);
  expect(processes).toMatch(/uv lock/);
  for (const secret of secrets) {
    for (const [where, text] of Object.entries({ stdout, stderr, history, settings, processes })) {
      expect(text.includes(secret), where).toBe(false);
    }
  }

  // No file outside of the project's directory has any of them, whatever its name.
  for (const directory of [place.user.home, place.temporary]) {
    for (const [path, kind] of Object.entries(listDirectory(directory))) {
      if (!kind.startsWith('file')) continue;
      const contents = readFileSync(join(directory, path), 'utf8');
      expect(
        secrets.some((secret) => contents.includes(secret)),
        path,
      ).toBe(false);
    }
  }
});

test('two projects never share a secret', async () => {
  const places = [new Workplace(), new Workplace()];
  await Promise.all(places.map((place) => scaffold(place)));
  const [one, two] = places.map((place) => projectFile(place, '.ansible/vault_password'));
  expect(one).not.toBe(two);
});

test('rendering again keeps the vault and its password', async () => {
  const place = new Workplace();
  await scaffold(place);
  const files = ['.ansible/vault_password', '.ansible/inventory/production/group_vars/all/vault.yml'];
  const before = files.map((file) => projectFile(place, file));
  await place.yo(
    ['goboot', '--yes', '--skip-github', '--skip-deploy', '--force', '--domain=other.example.com'],
    {
      cwd: 'shop',
    },
  );
  expect(files.map((file) => projectFile(place, file))).toEqual(before);
});
