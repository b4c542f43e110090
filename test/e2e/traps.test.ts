import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import { run } from '../../lib/process.ts';
import { giveTo } from '../support/normal-user.ts';
import { answeringFlags, projectFile, scaffold } from '../support/scaffold.ts';
import { Workplace } from '../support/workplace.ts';

const isRoot = process.getuid?.() === 0;
const canBecomeRoot = isRoot || (await run('sudo', ['-n', 'true']).catch(() => undefined))?.exitCode === 0;

/** What Yeoman gets wrong on the way from the command line to a generator. */
describe('the command line is taken as it was typed', () => {
  test.concurrent('a switch in front does not swallow the project’s name', async () => {
    const place = new Workplace();
    const { exitCode, stdout } = await place.yo(['goboot', '--yes', '--dry-run', 'shop', ...answeringFlags]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`Shop in ${place.cwd}/shop`);
  });

  test.concurrent('a switch set to false is off', async () => {
    const place = new Workplace();
    const { exitCode } = await place.yo([
      'goboot',
      'shop',
      '--yes',
      '--check=false',
      '--dry-run=false',
      ...answeringFlags,
    ]);
    expect(exitCode).toBe(0);
    expect(readdirSync(place.cwd)).toEqual(['shop']);
  });

  test.concurrent('a switch set to true is on', async () => {
    const place = new Workplace();
    const { exitCode } = await place.yo(['goboot', 'shop', '--yes', '--check=true', ...answeringFlags]);
    expect(exitCode).toBe(0);
    expect(readdirSync(place.cwd)).toEqual([]);
  });

  test.concurrent.each([
    ['007', '"007"'],
    ['1e3', '"1e3"'],
    ['0x10', '"0x10"'],
  ])('the argument %s is not turned into another number', async (argument, named) => {
    const place = new Workplace();
    const { exitCode, stderr } = await place.yo(['goboot', argument, '--yes', ...answeringFlags]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(named);
  });

  test.concurrent('an unknown option is refused, and one like it suggested', async () => {
    const place = new Workplace();
    const { exitCode, stderr } = await place.yo(['goboot', 'shop', '--yes', '--key=x', ...answeringFlags]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('Unknown option --key');
    expect(stderr).toContain('--key-file');
    expect(readdirSync(place.cwd)).toEqual([]);
  });

  test.concurrent('short forms reach the generator', async () => {
    const place = new Workplace();
    const { exitCode, stdout } = await place.yo([
      ...[
        'goboot',
        'shop',
        '-y',
        '--skip-github',
        '--skip-deploy',
        '-A',
        'Ada Example',
        '-E',
        'ada@example.com',
      ],
      ...['-D', 'shop.example.com', '-H', '192.0.2.7', '-U', 'debian', '-P', '2222', '--dry-run'],
    ]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('Shop in ');
  });
});

describe('started by root, yo gives up its rights and keeps root’s home', () => {
  test.skipIf(!canBecomeRoot)('the message says what to do instead', async () => {
    const place = new Workplace();
    const { PATH, ...environment } = place.environment();
    // Root's home, which nobody else may enter.
    const home = join(place.cwd, 'root');
    const asRoot = isRoot ? [] : ['sudo', '-n'];
    await run([...asRoot, 'install'][0] as string, [
      ...asRoot.slice(1),
      ...(isRoot ? [] : ['install']),
      '-d',
      '-m',
      '0700',
      home,
    ]);
    const settings = Object.entries({ ...environment, HOME: home, USER: 'root' }).map(
      ([key, value]) => `${key}=${value}`,
    );
    const words = [
      ...asRoot,
      'env',
      '-i',
      ...settings,
      `PATH=${PATH}`,
      'yo',
      'goboot',
      'shop',
      ...answeringFlags,
    ];
    const { exitCode, stderr } = await run(words[0] as string, words.slice(1), { cwd: place.cwd });
    expect(stderr).toContain('Do not start yo as root');
    expect(stderr).not.toMatch(/^\s+at |node:internal/m);
    expect(exitCode).toBe(2);
    expect(readdirSync(place.cwd)).toEqual(['root']);
  });
});

describe('an error whose code is a text does not crash yo', () => {
  test('a file where a directory has to be', async () => {
    const place = new Workplace();
    await scaffold(place);
    const blocked = join(place.cwd, 'shop', 'templates');
    rmSync(blocked, { recursive: true });
    writeFileSync(blocked, '');
    giveTo(place.user, blocked);
    const { exitCode, stdout, stderr } = await place.yo(
      ['goboot', '--yes', '--skip-github', '--skip-deploy', '--force'],
      {
        cwd: 'shop',
      },
    );
    expect(`${stdout}${stderr}`).not.toMatch(/^\s+at |node:internal|ERR_INVALID_ARG_TYPE/m);
    expect(stderr).toContain('templates');
    expect([1, 2, 3]).toContain(exitCode);
  });

  test('a directory that may not be written', async () => {
    const place = new Workplace();
    await scaffold(place);
    const path = join(place.cwd, 'shop', 'pages');
    await place.run(['sh', '-c', 'rm pages/urls.py && chmod 0555 pages'], { cwd: 'shop' });
    const { exitCode, stdout, stderr } = await place.yo(
      ['goboot', '--yes', '--skip-github', '--skip-deploy', '--force'],
      {
        cwd: 'shop',
      },
    );
    await place.run(['chmod', '0755', 'pages'], { cwd: 'shop' });
    expect(`${stdout}${stderr}`).not.toMatch(/^\s+at |node:internal|ERR_INVALID_ARG_TYPE/m);
    expect(stderr).toContain(path);
    expect([1, 2, 3]).toContain(exitCode);
  });

  test('a settings file that is damaged', async () => {
    const place = new Workplace();
    await scaffold(place);
    await place.run(['sh', '-c', 'echo "{" > .yo-rc.json'], { cwd: 'shop' });
    const { exitCode, stderr } = await place.yo(['goboot', '--yes', '--skip-github', '--skip-deploy'], {
      cwd: 'shop',
    });
    expect(stderr).toContain('.yo-rc.json');
    expect(stderr).not.toMatch(/^\s+at |node:internal/m);
    expect([1, 2, 3]).toContain(exitCode);
  });
});

describe('a project is found from inside it', () => {
  test('another generator’s settings in a directory above are none of ours', async () => {
    const place = new Workplace();
    const above = join(place.cwd, '.yo-rc.json');
    writeFileSync(above, '{"generator-other":{"project":{"projectName":"other"}}}');
    await scaffold(place);
    expect(JSON.parse(projectFile(place, '.yo-rc.json'))['generator-goboot'].project.projectName).toBe(
      'shop',
    );

    const deeper = join('shop', 'pages', 'deeper');
    mkdirSync(join(place.cwd, deeper));
    const again = await place.yo(['goboot', '--dry-run', '--yes', '--skip-github', '--skip-deploy'], {
      cwd: deeper,
    });
    expect(again).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining(`Shop in ${place.cwd}/shop\n`),
    });
    // It gets as far as to the server, whose name no DNS knows, and so has found the project.
    const deploy = await place.yo(['goboot:deploy', '--dry-run', '--yes'], { cwd: deeper });
    expect(deploy.exitCode).toBe(3);
    expect(deploy.stderr).toContain('shop.example.com');
    expect(readdirSync(join(place.cwd, deeper))).toEqual([]);
    expect(readdirSync(dirname(above)).sort()).toEqual(['.yo-rc.json', 'shop']);
  });
});

test('the account that the tests run yo as is a normal user’s', async () => {
  const place = new Workplace();
  const { stdout } = await place.run(['id', '-u']);
  expect(Number(stdout)).toBe(inject('installation').user.account?.uid ?? process.getuid?.());
  expect(stdout).not.toBe('0');
});
