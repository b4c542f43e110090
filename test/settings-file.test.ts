import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { collectAnswers } from '../lib/ask.ts';
import { questions } from '../lib/questions.ts';
import {
  answersToStore,
  findProjectRoot,
  locateProject,
  openProject,
  projectFromAnswers,
  readStoredAnswers,
  storedEnvironments,
  storeEnvironmentAnswers,
} from '../lib/settings-file.ts';
import { reachableFromHere } from '../lib/ssh/key-files.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

const answers = await collectAnswers(questions, {
  flags: {
    projectName: 'shop',
    domain: 'shop.example.com',
    author: 'Ada',
    email: 'ada@example.com',
    user: 'debian',
    keyFile: '',
    jumpHost: 'jump.example.com',
  },
  file: {},
  stored: {},
  defaults: { gitName: '', gitEmail: '' },
});

function projectDirectory(
  stored: unknown = {
    project: answersToStore(answers).project,
    environments: { production: answersToStore(answers).environment },
  },
): string {
  const root = temporaryDirectory();
  writeFileSync(join(root, '.yo-rc.json'), JSON.stringify({ 'generator-goboot': stored }));
  return root;
}

test('answers are kept by project and environment, and come back as the same project', () => {
  const opened = openProject(projectDirectory());
  expect(opened).toMatchObject(projectFromAnswers(answers, 'production'));
  expect(opened.environment).toMatchObject({
    site: 'shop-production',
    domain: 'shop.example.com',
    host: { address: 'shop.example.com', user: 'debian', port: 22 },
    jump: { address: 'jump.example.com', user: 'debian', port: 22 },
  });
});

test('a project is found from any directory below it', () => {
  const root = projectDirectory();
  const below = join(root, 'pages', 'templates');
  mkdirSync(below, { recursive: true });
  expect(findProjectRoot(below)).toBe(root);
  expect(openProject(below).root).toBe(root);
});

test('the settings of another generator are no project of ours', () => {
  const root = temporaryDirectory();
  writeFileSync(join(root, '.yo-rc.json'), JSON.stringify({ 'generator-other': {} }));
  expect(findProjectRoot(root)).toBeUndefined();
});

test('a key file that this computer has not is for the checks to tell, together with all else', () => {
  const root = projectDirectory();
  const file = join(root, '.yo-rc.json');
  const stored = JSON.parse(readFileSync(file, 'utf8'));
  stored['generator-goboot'].environments.production.keyFile = '/somebody/else/key';
  writeFileSync(file, JSON.stringify(stored));
  expect(openProject(root).environment.host.keyFile).toBe('/somebody/else/key');
});

test('outside of a project the message says where one is', () => {
  const directory = temporaryDirectory();
  expect(() => openProject(directory)).toThrowError(
    expect.objectContaining({ code: 2, message: expect.stringContaining(directory) }),
  );
});

test('an environment that does not exist is refused with those that do', () => {
  expect(() => openProject(projectDirectory(), 'staging')).toThrowError(
    expect.objectContaining({
      code: 2,
      message: expect.stringContaining('"staging"'),
      remedy: 'It has: production.',
    }),
  );
});

test('a damaged file is named, with a way to repair it', () => {
  const root = temporaryDirectory();
  writeFileSync(join(root, '.yo-rc.json'), '{ "generator-goboot": ');
  expect(() => findProjectRoot(root)).toThrowError(
    expect.objectContaining({ code: 1, message: expect.stringContaining('.yo-rc.json') }),
  );
});

test('a new project goes into a directory of its name', () => {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'notes.txt'), '');
  expect(locateProject(directory, 'shop', undefined)).toBe(join(directory, 'shop'));
});

test('an empty directory that already has the name is taken', () => {
  const directory = join(temporaryDirectory(), 'shop');
  mkdirSync(directory);
  expect(locateProject(directory, 'shop', undefined)).toBe(directory);
  expect(basename(locateProject(directory, 'other', undefined))).toBe('other');
});

test('another project’s directory is refused', () => {
  const root = projectDirectory();
  expect(locateProject(root, 'shop', root)).toBe(root);
  expect(() => locateProject(root, 'blog', root)).toThrowError(
    expect.objectContaining({ code: 2, message: expect.stringContaining('"blog"') }),
  );
});

test('the environments of a project come in the order in which they were added', async () => {
  const root = projectDirectory();
  const kept = { ...answersToStore(answers).environment, domain: 'staging.example.com', jumpHost: '' };
  expect(await storeEnvironmentAnswers(root, 'staging', kept)).toBe(true);
  expect(await storeEnvironmentAnswers(root, 'staging', kept)).toBe(false);
  const [production, staging, ...others] = storedEnvironments(root);
  expect(production).toEqual(openProject(root).environment);
  expect(staging).toEqual(openProject(root, 'staging').environment);
  expect(staging).toMatchObject({ site: 'shop-staging', domain: 'staging.example.com' });
  expect(staging).not.toHaveProperty('jump');
  expect(others).toEqual([]);
  expect(storedEnvironments(temporaryDirectory())).toEqual([]);
});

test('www leads to the domain of production, unless it is a part of that or was left out', () => {
  const wwwOf = (environment: string, changes: Partial<typeof answers>) =>
    projectFromAnswers({ ...answers, ...changes }, environment).environment.www;
  expect(wwwOf('production', {})).toBe('redirect');
  expect(wwwOf('production', { domain: 'www.example.com' })).toBe('none');
  expect(wwwOf('production', { www: 'none' })).toBe('none');
  expect(wwwOf('staging', {})).toBe('none');
  expect(wwwOf('staging', { www: 'redirect' })).toBe('redirect');
});

test('a directory without settings has no stored answers', () => {
  expect(readStoredAnswers(temporaryDirectory())).toEqual({ project: {}, environments: {} });
});

describe('on a colleague’s computer', () => {
  const stored = () => ({
    project: answersToStore(answers).project,
    environments: {
      production: {
        ...answersToStore(answers).environment,
        keyFile: '/home/ada/.ssh/id_ed25519',
        jumpKeyFile: '~/.ssh/no-such-key',
      },
    },
  });

  test('a project opens although the key files that it names are elsewhere', () => {
    const { environment } = openProject(projectDirectory(stored()));
    expect(environment.host.keyFile).toBe('/home/ada/.ssh/id_ed25519');
    const here = reachableFromHere(environment);
    expect(here.missingKeyFiles).toEqual(['/home/ada/.ssh/id_ed25519', '~/.ssh/no-such-key']);
    expect(here.environment.host).toEqual({ address: 'shop.example.com', user: 'debian', port: 22 });
    expect(here.environment.jump).toEqual({ address: 'jump.example.com', user: 'debian', port: 22 });
  });

  test('the account and the key of this run stand in for the stored ones, which stay', () => {
    const root = projectDirectory(stored());
    const key = join(root, 'my-key');
    writeFileSync(key, '-----BEGIN OPENSSH PRIVATE KEY-----\n');
    const before = readFileSync(join(root, '.yo-rc.json'), 'utf8');
    const given = { user: 'grace', keyFile: key, jumpUser: 'hop', jumpKeyFile: key };
    const { environment } = openProject(root, 'production', given);
    expect(environment.host).toMatchObject({ user: 'grace', keyFile: key });
    expect(environment.jump).toMatchObject({ user: 'hop', keyFile: key });
    expect(reachableFromHere(environment)).toEqual({ environment, missingKeyFiles: [] });
    expect(readFileSync(join(root, '.yo-rc.json'), 'utf8')).toBe(before);
  });

  test('a key file of this run must exist', () => {
    expect(() =>
      openProject(projectDirectory(stored()), 'production', { keyFile: '/no/such/key' }),
    ).toThrowError(expect.objectContaining({ code: 2, message: expect.stringContaining('"/no/such/key"') }));
  });
});
