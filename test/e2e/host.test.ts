import { expect, test } from 'vitest';
import { useGitHub } from '../support/github/clients.ts';
import { git, projectFile, scaffold } from '../support/scaffold.ts';
import type { Terminal } from '../support/terminal.ts';
import { Workplace } from '../support/workplace.ts';

const server = useGitHub();

async function answer(terminal: Terminal, question: string, text = ''): Promise<void> {
  await terminal.waitFor(question);
  if (text) await terminal.type(text);
  await terminal.press('Enter');
}

test('a conversation about a further environment offers what production has', async () => {
  const place = new Workplace();
  await scaffold(place, { args: ['--host=192.0.2.7', '--port=2222'] });
  const terminal = await place.terminal(['goboot:host', '--skip-github', '--skip-deploy'], { cwd: 'shop' });
  await terminal.waitFor('Name of the new environment (staging)');
  await answer(terminal, 'Name of the new environment', 'production');
  await terminal.waitFor('has an environment "production" already');
  await terminal.press('C-u');
  await answer(terminal, 'Name of the new environment', 'qa');
  await answer(terminal, 'Domain of the site', 'qa.shop.example.com');
  await answer(terminal, 'SSH host (name or address) (192.0.2.7)');
  await answer(terminal, 'SSH user');
  await answer(terminal, 'SSH port (2222)');
  await answer(terminal, 'Private SSH key');
  await answer(terminal, 'SSH jump host');
  await answer(terminal, 'Name that visitors have to give', 'friends');
  await answer(terminal, 'into your ~/.ssh/config', 'n');
  await terminal.waitFor('+Host shop-qa');
  await answer(terminal, 'Go ahead?');
  const { status, screen } = await terminal.waitForExit();
  expect(screen).toContain('yo goboot:deploy --environment qa');
  expect(screen).not.toMatch(/^\s+at /m);
  expect(status).toBe(0);
  expect(JSON.parse(projectFile(place, '.yo-rc.json'))['generator-goboot'].environments.qa).toMatchObject({
    ...{ domain: 'qa.shop.example.com', host: '192.0.2.7', user: 'admin', port: 2222 },
    basicAuthUser: 'friends',
  });
  expect(await git(place, 'status', '--porcelain')).toBe('');
  expect(await git(place, 'log', '--format=%s', '-1')).toContain('Add the environment qa');

  // Rendering the project again keeps the environment.
  const again = await scaffold(place, { cwd: 'shop', args: ['--host=192.0.2.7', '--port=2222'] });
  expect(again.exitCode).toBe(0);
  expect(await git(place, 'log', '--format=%s', '-1')).toContain('Add the environment qa');
});

test('words for manage.py reach it as they are, and help is help', async () => {
  const place = new Workplace();
  await scaffold(place);
  const refused = await place.yo(['goboot:manage'], { cwd: 'shop' });
  expect(refused.exitCode).toBe(2);
  expect(refused.stderr).toContain('yo goboot:manage -- createsuperuser');
  const elsewhere = ['goboot:manage', '--environment', 'qa', '--', 'migrate', '--help', '--plan'];
  const unknown = await place.yo(elsewhere, { cwd: 'shop' });
  expect(unknown.stderr).toContain('The project has no environment "qa"');
  expect(unknown.exitCode).toBe(2);
  const help = await place.yo(['goboot:host', '--help'], { cwd: 'shop' });
  expect(help.stdout).toContain('--basic-auth');
});

test('an environment of a published project comes to GitHub, also in a second attempt', async () => {
  const place = new Workplace();
  await scaffold(place, { args: [`--github-url=${server().url}`] });
  const options = { cwd: 'shop', env: { GH_TOKEN: server().token('classic', 'pro-user') } };
  const add = ['goboot:host', '--domain=staging.shop.example.com', '--skip-deploy', '--yes'];
  const early = await place.yo(add, options);
  expect(early.stderr).toContain('not on GitHub yet');
  expect(early.exitCode).toBe(2);
  expect(await git(place, 'status', '--porcelain')).toBe('');

  expect(await place.yo(['goboot:github', '--yes'], options)).toMatchObject({ exitCode: 0 });
  server().fail({ method: 'PUT', path: /environments\/staging\/secrets/, with: 403 });
  const failed = await place.yo(add, options);
  expect(failed.exitCode).toBe(1);
  expect(failed.stderr).toContain('To go on: yo goboot:host --resume --environment staging --skip-deploy.');
  expect(failed.stderr).toContain('To take back what this run has made: yo goboot:host --undo.');

  server().heal();
  const undone = await place.yo(['goboot:host', '--undo', '--yes'], options);
  expect(undone.exitCode, undone.stderr).toBe(0);
  expect(Object.keys(server().repository('pro-user/shop')?.environments ?? {})).toEqual(['production']);
  expect(await git(place, 'ls-files', '.ansible/inventory')).not.toContain('staging');
  expect(await git(place, 'status', '--porcelain')).toBe('');

  server().fail({ method: 'PUT', path: /environments\/staging\/secrets/, with: 403 });
  expect(await place.yo(add, options)).toMatchObject({ exitCode: 1 });
  server().heal();
  const resumed = await place.yo(
    [...add.filter((word) => !word.startsWith('--domain')), '--resume'],
    options,
  );
  expect(resumed.exitCode, resumed.stderr).toBe(0);
  const repository = server().repository('pro-user/shop');
  const { production, staging } = repository?.environments ?? {};
  expect(staging?.secrets.DEPLOY_SSH_KEY).toMatch(/PRIVATE KEY/);
  expect(staging?.secrets.DEPLOY_SSH_KEY).not.toBe(production?.secrets.DEPLOY_SSH_KEY);
  expect(repository?.commits[0]?.sha).toBe((await git(place, 'rev-parse', 'HEAD')).trim());
  expect(await git(place, 'status', '--porcelain')).toBe('');

  const remove = ['goboot:host', '--remove', 'staging', '--skip-deploy', '--yes'];
  const planned = await place.yo([...remove, '--dry-run'], options);
  expect(planned.stdout).toContain('On GitHub, in pro-user/shop: remove the environment staging');
  expect(Object.keys(server().repository('pro-user/shop')?.environments ?? {})).toContain('staging');
  const removed = await place.yo(remove, options);
  expect(removed.exitCode, removed.stderr).toBe(0);
  expect(Object.keys(server().repository('pro-user/shop')?.environments ?? {})).toEqual(['production']);
  expect(projectFile(place, '.yo-rc.json')).not.toContain('staging');
  expect(await git(place, 'status', '--porcelain')).toBe('');
});
