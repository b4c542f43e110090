import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { collectAnswers, type Prompt, readAnswersFile } from '../lib/ask.ts';
import { type AnswerName, questions } from '../lib/questions.ts';
import { makeDeployKeyPair } from '../lib/ssh/key-pair.ts';
import type { ConfiguredHost } from '../lib/ssh/user-configuration.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

const defaults = { gitName: 'Ada', gitEmail: 'ada@example.com' };
const required = { projectName: 'shop', domain: 'shop.example.com' };

/** A user who types the given answers and presses return for all else. */
function userTyping(typed: Record<string, string>): { asked: string[]; prompt: Prompt } {
  const asked: string[] = [];
  return {
    asked,
    prompt: async ({ name, default: fallback }) => {
      asked.push(name);
      return typed[name] ?? fallback ?? '';
    },
  };
}

test('with the required flags nothing is asked and the rest has defaults', async () => {
  const answers = await collectAnswers(questions, { flags: required, file: {}, stored: {}, defaults });
  expect(answers).toMatchObject({
    ...required,
    author: 'Ada',
    email: 'ada@example.com',
    host: 'shop.example.com',
    port: 22,
    jumpHost: '',
  });
});

test('what is missing is named all at once', async () => {
  const nothing = { flags: {}, file: {}, stored: {}, defaults: { gitName: '', gitEmail: '' } };
  await expect(collectAnswers(questions, nothing)).rejects.toMatchObject({
    code: 2,
    message: 'Missing: the project name, --domain, --author, --email',
  });
});

test('flags win over the answers file, that over stored answers, those over defaults', async () => {
  const answers = await collectAnswers(questions, {
    flags: { ...required, port: '1' },
    file: { port: '2', user: 'file' },
    stored: { port: '3', user: 'stored', host: 'stored.example.com' },
    defaults,
  });
  expect(answers).toMatchObject({ port: 1, user: 'file', host: 'stored.example.com' });
});

test('a wrong flag is refused before anything is asked', async () => {
  const user = userTyping({});
  const sources = { flags: { port: '0' }, file: {}, stored: {}, defaults, prompt: user.prompt };
  await expect(collectAnswers(questions, sources)).rejects.toMatchObject({ code: 2 });
  expect(user.asked).toEqual([]);
});

test('a user without a jump host is not asked about it, and never for a known_hosts file', async () => {
  const user = userTyping(required);
  await collectAnswers(questions, { flags: {}, file: {}, stored: {}, defaults, prompt: user.prompt });
  expect(user.asked).toEqual([
    'projectName',
    'domain',
    'author',
    'email',
    'host',
    'user',
    'port',
    'keyFile',
    'jumpHost',
    'owner',
    'visibility',
  ]);
});

test('a jump host takes user and key of the host behind it as defaults', async () => {
  const flags = { ...required, user: 'debian', jumpHost: 'jump.example.com' };
  const answers = await collectAnswers(questions, { flags, file: {}, stored: {}, defaults });
  expect(answers).toMatchObject({ jumpUser: 'debian', jumpPort: 22, jumpKeyFile: answers.keyFile });
});

describe('an answers file', () => {
  function answersFile(contents: string): string {
    const path = join(temporaryDirectory(), 'answers.yml');
    writeFileSync(path, contents);
    return path;
  }

  test('has the names of the flags and keeps every value as it was written', async () => {
    const path = answersFile('project-name: shop\ndomain: shop.example.com\nport: 0022\nuser: no\n');
    expect(await readAnswersFile(path, questions)).toEqual({
      projectName: 'shop',
      domain: 'shop.example.com',
      port: '0022',
      user: 'no',
    });
  });

  test.each([
    ['- a\n- b\n', 'is not a mapping'],
    ['', 'is not a mapping'],
    ['colour: red\n', 'unknown key "colour"'],
    ['domain: [a, b]\n', '"domain"'],
    ['domain: "unclosed\n', 'cannot be read'],
  ])('%j is refused', async (contents, message) => {
    const path = answersFile(contents);
    await expect(readAnswersFile(path, questions)).rejects.toMatchObject({
      code: 2,
      message: expect.stringContaining(message),
    });
  });

  test('that does not exist is refused by name', async () => {
    await expect(readAnswersFile('/no/such/file.yml', questions)).rejects.toMatchObject({
      code: 2,
      message: expect.stringContaining('"/no/such/file.yml"'),
    });
  });
});

describe('A host of the user’s ssh configuration', () => {
  const keyFile = join(mkdtempSync(join(tmpdir(), 'goboot-test-')), 'key');
  beforeAll(() => writeFileSync(keyFile, makeDeployKeyPair('test').privateKey, { mode: 0o600 }));
  afterAll(() => rmSync(dirname(keyFile), { recursive: true }));
  const bastion = { address: '192.0.2.1', user: 'gate', port: 2200, keyFile };
  const web: ConfiguredHost = {
    address: '203.0.113.7',
    user: 'debian',
    port: 2222,
    keyFile,
    jumps: [bastion],
    proxyCommand: false,
  };
  const known: Record<string, ConfiguredHost> = {
    web,
    'behind-two': { ...web, jumps: [bastion, { ...bastion, address: '10.0.0.1', user: 'hop' }] },
    'behind-program': { ...web, jumps: [], proxyCommand: true },
  };
  const sources = (flags: Partial<Record<AnswerName, string>>) => ({
    flags: { ...required, ...flags },
    file: {},
    stored: {},
    defaults: { ...defaults, hostNames: Object.keys(known) },
    lookUpHost: async (name: string) => known[name],
  });

  test('is answered by its name, which only this computer knows; the rest follows', async () => {
    expect(await collectAnswers(questions, sources({ host: 'web' }))).toMatchObject({
      host: '203.0.113.7',
      user: 'debian',
      port: 2222,
      keyFile,
      jumpHost: '192.0.2.1',
      jumpUser: 'gate',
      jumpPort: 2200,
      jumpKeyFile: keyFile,
    });
  });

  test('may be behind several machines in a row', async () => {
    expect(await collectAnswers(questions, sources({ host: 'behind-two' }))).toMatchObject({
      jumpHost: '192.0.2.1,10.0.0.1',
      jumpUser: 'gate,hop',
      jumpPort: 2200,
      jumpKeyFile: keyFile,
    });
  });

  test('gives way to what is said', async () => {
    const given = sources({ host: 'web', user: 'ada', jumpHost: 'other.example.com' });
    expect(await collectAnswers(questions, given)).toMatchObject({
      ...{ host: '203.0.113.7', user: 'ada', port: 2222 },
      ...{ jumpHost: 'other.example.com', jumpUser: 'ada', jumpPort: 22 },
    });
  });

  test('can be chosen where one is asked for, after the default', async () => {
    const choices: (readonly string[] | undefined)[] = [];
    const prompt: Prompt = async (question) => {
      if (question.name === 'host') choices.push(question.choices);
      return question.name === 'host' ? 'web' : (question.default ?? '');
    };
    const answers = await collectAnswers(questions, { ...sources({}), prompt });
    expect(choices).toEqual([['shop.example.com', 'web', 'behind-two', 'behind-program']]);
    expect(answers).toMatchObject({ host: '203.0.113.7', user: 'debian' });
  });

  test('is refused where only this computer can reach it so, unless a jump host is named', async () => {
    await expect(collectAnswers(questions, sources({ host: 'behind-program' }))).rejects.toThrow(
      '"203.0.113.7" by a ProxyCommand, which only this computer has',
    );
    const direct = await collectAnswers(questions, sources({ host: 'behind-program', jumpHost: '' }));
    expect(direct).toMatchObject({ host: '203.0.113.7', jumpHost: '' });
  });
});
