import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { giveTo } from '../support/normal-user.ts';
import { answeringFlags, git, projectFile, scaffold } from '../support/scaffold.ts';
import { Workplace } from '../support/workplace.ts';

function settings(place: Workplace) {
  return JSON.parse(projectFile(place, '.yo-rc.json'))['generator-goboot'];
}

function writeFile(place: Workplace, name: string, contents: string): void {
  const path = join(place.cwd, name);
  writeFileSync(path, contents);
  giveTo(place.user, path);
}

test('flags alone make a project, commit it and leave nothing else behind', async () => {
  const place = new Workplace();
  const { stdout, stderr } = await scaffold(place);
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^ {2}\d+ new files$/m);
  expect(stdout).toMatch(/^Lock the Python packages: done \(\d/m);
  expect(stdout).toMatch(/^Commit: done \(\d/m);
  expect(stdout).toContain('cd shop');

  expect(settings(place)).toMatchObject({
    project: { projectName: 'shop', author: 'Ada Example', email: 'ada@example.com' },
    environments: {
      production: { domain: 'shop.example.com', host: 'shop.example.com', user: 'admin', port: 22 },
    },
  });
  expect(await git(place, 'status', '--porcelain')).toBe('');
  expect(await git(place, 'log', '--format=%an <%ae> %s')).toMatch(
    /^Ada Example <ada@example\.com> Start Shop with goboot \d+\.\d+\.\d+$/,
  );
  expect(await git(place, 'ls-files', 'manage.py', 'uv.lock', '.yo-rc.json')).toBe(
    '.yo-rc.json\nmanage.py\nuv.lock',
  );
  expect(statSync(join(place.cwd, 'shop', 'manage.py')).mode & 0o111).toBe(0o111);
  expect(readdirSync(place.temporary)).toEqual([]);
  expect(readdirSync(place.cwd)).toEqual(['shop']);
});

test('on a newer Node, with the defaults that git knows', async () => {
  const place = new Workplace();
  writeFileSync(
    join(place.user.home, '.gitconfig'),
    '[user]\n  name = Grace Example\n  email = grace@example.com\n',
  );
  const node = await place.run(['node', '--version'], { newerNode: true });
  expect(Number(/^v(\d+)/.exec(node.stdout)?.[1])).toBeGreaterThanOrEqual(24);
  const result = await place.yo(
    ['goboot', '--yes', '--skip-github', '--skip-deploy', '--domain', 'shop.example.com', 'shop'],
    { newerNode: true },
  );
  expect(result).toMatchObject({ exitCode: 0, stderr: '' });
  expect(settings(place).project).toMatchObject({ author: 'Grace Example', email: 'grace@example.com' });
  expect(await git(place, 'status', '--porcelain')).toBe('');
});

test('an answers file, overruled by a flag', async () => {
  const place = new Workplace();
  writeFile(
    place,
    'answers.yaml',
    [
      'project-name: shop',
      'domain: shop.example.com',
      'author: "Zoë O\'Brien \\"Z\\""',
      'email: zoe@example.com',
      'host: 2001:db8::7',
      'user: debian',
      'port: 22',
      'jump-host: gate.example.com',
      'jump-user: guest',
    ].join('\n'),
  );
  const result = await place.yo([
    'goboot',
    '--answers',
    'answers.yaml',
    '--skip-github',
    '--skip-deploy',
    '--port',
    '2222',
  ]);
  expect(result).toMatchObject({ exitCode: 0, stderr: '' });
  expect(settings(place)).toMatchObject({
    project: { projectName: 'shop', author: 'Zoë O\'Brien "Z"', email: 'zoe@example.com' },
    environments: {
      production: {
        domain: 'shop.example.com',
        host: '2001:db8::7',
        user: 'debian',
        port: 2222,
        jumpHost: 'gate.example.com',
        jumpUser: 'guest',
        jumpPort: 22,
      },
    },
  });
  const connection = await place.run(['ssh', '-F', '.ansible/ssh_config', '-G', 'shop-production'], {
    cwd: 'shop',
  });
  expect(connection.stdout.split('\n')).toEqual(
    expect.arrayContaining(['user debian', 'hostname 2001:db8::7', 'port 2222']),
  );
});

test('an international domain is punycode in every file', async () => {
  const place = new Workplace();
  await scaffold(place, { args: [] });
  const other = new Workplace();
  const result = await other.yo([
    'goboot',
    'shop',
    '--yes',
    ...answeringFlags.filter((flag) => !flag.startsWith('--domain')),
    '--domain=Bücher.example',
  ]);
  expect(result.exitCode).toBe(0);
  expect(settings(other).environments.production.domain).toBe('xn--bcher-kva.example');
  const filesNaming = async (where: Workplace, text: string) =>
    (await where.run(['git', 'grep', '-lis', text], { cwd: 'shop' })).stdout;
  // Wherever a plain domain is inserted, the encoded one is, and nowhere is it as it was typed.
  expect(await filesNaming(other, 'xn--bcher-kva.example')).toBe(
    await filesNaming(place, 'shop.example.com'),
  );
  expect(await filesNaming(other, 'bücher')).toBe('');
});

test('without a network the project is complete but for its lock file', async () => {
  const place = new Workplace();
  const isRoot = inject('installation').user.account !== undefined;
  const result = await place.yo(['goboot', 'shop', '--yes', ...answeringFlags], {
    env: { UV_CACHE_DIR: join(place.user.home, 'cache'), ...(!isRoot && { UV_OFFLINE: '1' }) },
    ...(isRoot && { isolated: true }),
  });
  expect(result.exitCode).toBe(0);
  expect(result.stdout).toMatch(/Lock the Python packages: skipped, \S/);
  expect(result.stdout).toMatch(/Run uv lock in the project/);
  expect(await git(place, 'ls-files', 'uv.lock', 'manage.py')).toBe('manage.py');
  expect(await git(place, 'status', '--porcelain')).toBe('');
});

test('rendering again: identical, changed, elsewhere', async () => {
  const place = new Workplace();
  await scaffold(place);
  const head = await git(place, 'rev-parse', 'HEAD');
  const untouched = place.listing();
  const withoutGit = (listing: Record<string, string>) =>
    Object.fromEntries(
      Object.entries(listing).filter(
        // git refreshes its index when it compares, and Yeoman always writes its settings file.
        ([path]) => !path.startsWith('work/shop/.git/') && !path.endsWith('.yo-rc.json'),
      ),
    );

  const again = await place.yo(['goboot', '--yes', '--skip-github', '--skip-deploy'], { cwd: 'shop' });
  expect(again).toMatchObject({ exitCode: 0, stderr: '' });
  expect(again.stdout).toMatch(/^ {2}\d+ identical files$/m);
  expect(again.stdout).toMatch(/Commit: done, nothing to commit/);
  expect(await git(place, 'rev-parse', 'HEAD')).toBe(head);
  expect(withoutGit(place.listing())).toEqual(withoutGit(untouched));

  mkdirSync(join(place.cwd, 'shop', 'pages', 'deeper'));
  const inside = await place.yo(['goboot', '--yes', '--skip-github', '--skip-deploy'], {
    cwd: 'shop/pages/deeper',
  });
  expect(inside.exitCode).toBe(0);
  expect(inside.stdout).toMatch(/^ {2}\d+ identical files$/m);
  expect(readdirSync(join(place.cwd, 'shop', 'pages', 'deeper'))).toEqual([]);

  const beforeRefusal = place.listing();
  const other = await place.yo(['goboot', 'bakery', '--yes', ...answeringFlags], { cwd: 'shop/pages' });
  expect(other).toMatchObject({ exitCode: 2, stdout: '' });
  expect(other.stderr).toContain('"bakery"');
  expect(place.listing()).toEqual(beforeRefusal);

  writeFile(place, 'shop/README.md', 'Mine now.\n');
  writeFile(place, 'shop/notes.txt', 'Not committed yet.\n');
  const beforeConflict = place.listing();
  const refused = await place.yo(['goboot', '--yes', '--skip-github', '--skip-deploy'], { cwd: 'shop' });
  expect(refused.exitCode).toBe(2);
  expect(refused.stderr).toContain('README.md');
  expect(refused.stderr).toContain('--force');
  expect(place.listing()).toEqual(beforeConflict);

  const forced = await place.yo(['goboot', '--yes', '--skip-github', '--skip-deploy', '--force'], {
    cwd: 'shop',
  });
  expect(forced).toMatchObject({ exitCode: 0, stderr: '' });
  expect(projectFile(place, 'README.md')).not.toContain('Mine now');
  // The user's own work in progress is not swept into goboot's commit.
  expect(await git(place, 'status', '--porcelain')).toBe('?? notes.txt');
});

test.concurrent.each(['--dry-run', '--check'])(
  '%s touches nothing, outside and inside a project',
  async (flag) => {
    const place = new Workplace();
    const before = place.listing();
    const outside = await place.yo(['goboot', 'shop', '--yes', ...answeringFlags, flag]);
    expect(outside).toMatchObject({ exitCode: 0, stderr: '' });
    expect(outside.stdout).toMatch(/^ {2}\d+ new files$/m);
    expect(outside.stdout).toContain('Nothing was changed.');
    expect(place.listing()).toEqual(before);

    await scaffold(place);
    writeFile(place, 'shop/README.md', 'Mine now.\n');
    const changed = place.listing();
    const inside = await place.yo(['goboot', '--yes', '--skip-github', '--skip-deploy', flag], {
      cwd: 'shop',
    });
    expect(inside).toMatchObject({ exitCode: 0, stderr: '' });
    expect(inside.stdout).toContain('1 changed file: README.md');
    expect(place.listing()).toEqual(changed);
  },
);
