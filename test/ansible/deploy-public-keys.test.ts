import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import {
  addDeployPublicKey,
  publicKeyList,
  readDeployPublicKeys,
  removeDeployPublicKey,
  replaceDeployPublicKey,
} from '../../lib/ansible/deploy-public-keys.ts';
import { projectPaths } from '../../lib/paths.ts';
import { makeDeployKeyPair } from '../../lib/ssh/key-pair.ts';
import { sampleFiles } from '../support/sample-project.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const [first, second, third] = ['shop', 'blog', 'news'].map((name) => makeDeployKeyPair(name).publicKey) as [
  string,
  string,
  string,
];
const path = projectPaths.environmentVariables('production');

function projectWith(text: string): { root: string; read(): string } {
  const root = temporaryDirectory();
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return { root, read: () => readFileSync(file, 'utf8') };
}

const rendered = async (): Promise<string> =>
  String((await sampleFiles('shop')).find((file) => file.path === path)?.contents);

describe('the deploy key of a project', () => {
  test('is added to the rendered file as rendering would have written it, and only once', async () => {
    const text = await rendered();
    const { root, read } = projectWith(text);
    expect(await addDeployPublicKey(root, 'production', first)).toBe(true);
    expect(read()).toBe(text.replace('deploy_public_keys: []\n', publicKeyList([first])));
    expect(parse(read())).toEqual({ ...parse(text), deploy_public_keys: [first] });

    expect(await addDeployPublicKey(root, 'production', first)).toBe(false);
    expect(await addDeployPublicKey(root, 'production', first.replace(/ shop.*/, ' another comment'))).toBe(
      false,
    );
    expect(await readDeployPublicKeys(root, 'production')).toEqual([first]);
  });

  test('is replaced in its place, and a second time nothing changes', async () => {
    const text = await rendered();
    const { root, read } = projectWith(
      text.replace('deploy_public_keys: []\n', publicKeyList([first, second])),
    );
    expect(await replaceDeployPublicKey(root, 'production', first, third)).toBe(true);
    expect(read()).toBe(text.replace('deploy_public_keys: []\n', publicKeyList([third, second])));
    expect(await replaceDeployPublicKey(root, 'production', first, third)).toBe(false);
  });

  test('is added where the one that it replaces is missing', async () => {
    const { root } = projectWith('deploy_public_keys: []\n');
    expect(await replaceDeployPublicKey(root, 'production', first, second)).toBe(true);
    expect(await readDeployPublicKeys(root, 'production')).toEqual([second]);
  });

  test('is taken away again, down to the empty list', async () => {
    const text = await rendered();
    const { root, read } = projectWith(
      text.replace('deploy_public_keys: []\n', publicKeyList([first, second])),
    );
    expect(await removeDeployPublicKey(root, 'production', first)).toBe(true);
    expect(await removeDeployPublicKey(root, 'production', first)).toBe(false);
    expect(read()).toBe(text.replace('deploy_public_keys: []\n', publicKeyList([second])));
    expect(await removeDeployPublicKey(root, 'production', second)).toBe(true);
    expect(read()).toBe(text);
  });
});

describe('a file that its user has changed keeps everything else', () => {
  const line = (key: string) => `"${key}"`;

  test.each([
    [
      'an empty list with a comment',
      'a: 1\ndeploy_public_keys: [] # nobody yet\nb: 2\n',
      `a: 1\ndeploy_public_keys: # nobody yet\n  - ${line(first)}\nb: 2\n`,
    ],
    [
      'a list in one line',
      `deploy_public_keys: [${line(second)}]\n`,
      `deploy_public_keys:\n  - ${line(second)}\n  - ${line(first)}\n`,
    ],
    [
      'no value',
      'deploy_public_keys:\n\n# next\nb: 2\n',
      `deploy_public_keys:\n  - ${line(first)}\n\n# next\nb: 2\n`,
    ],
    [
      'comments, odd spaces and a list that is not indented',
      `---\n# top\na:   1   # one\n\ndeploy_public_keys:\n# mine\n- ${second}   # laptop\n\n# after\nb:   [ 1,2 ]\n`,
      `---\n# top\na:   1   # one\n\ndeploy_public_keys:\n# mine\n- ${second}   # laptop\n- ${line(first)}\n\n# after\nb:   [ 1,2 ]\n`,
    ],
    [
      'a folded key as the last item, at the end of the file, without a final newline',
      `deploy_public_keys:\n    - >-\n      ${second}`,
      `deploy_public_keys:\n    - >-\n      ${second}\n    - ${line(first)}\n`,
    ],
    ['no such variable', 'a: 1\n', `a: 1\n\ndeploy_public_keys:\n  - ${line(first)}\n`],
  ])('%s', async (_, before, after) => {
    const { root, read } = projectWith(before);
    expect(await addDeployPublicKey(root, 'production', first)).toBe(true);
    expect(read()).toBe(after);
    expect(await addDeployPublicKey(root, 'production', first)).toBe(false);
  });

  test('a replaced key takes its comment with it, its neighbours keep theirs', async () => {
    const { root, read } = projectWith(
      `deploy_public_keys:\n  # one\n  - ${first} # old\n  # two\n  - >-\n    ${second}\n  - ${third} # three\nb: 2\n`,
    );
    expect(await replaceDeployPublicKey(root, 'production', second, 'ssh-ed25519 AAAAold new')).toBe(true);
    expect(await replaceDeployPublicKey(root, 'production', first, 'ssh-ed25519 AAAAnew newer')).toBe(true);
    expect(read()).toBe(
      `deploy_public_keys:\n  # one\n  - "ssh-ed25519 AAAAnew newer"\n  # two\n  - "ssh-ed25519 AAAAold new"\n  - ${third} # three\nb: 2\n`,
    );
  });
});

test('a key that is too long for a line is folded and stays the same key', async () => {
  const long = `ssh-rsa AAAA${'x'.repeat(700)} ada at work`;
  const { root, read } = projectWith(await rendered());
  await addDeployPublicKey(root, 'production', first);
  await addDeployPublicKey(root, 'production', long);
  await addDeployPublicKey(root, 'production', second);
  expect(parse(read()).deploy_public_keys).toEqual([first, long, second]);
  const tooLong = read()
    .split('\n')
    .filter((text) => text.length > 160 && text.trim().includes(' '));
  expect(tooLong).toEqual([]);
  await replaceDeployPublicKey(root, 'production', long, third);
  expect(parse(read()).deploy_public_keys).toEqual([first, third, second]);
});

describe('what cannot be edited is refused and left as it is', () => {
  test.each([
    ['a damaged file', 'a: [1\n', 'is not valid YAML'],
    ['a text instead of a list', 'deploy_public_keys: "{{ other_keys }}"\n', 'is not a list of keys'],
    ['a list of something else', 'deploy_public_keys:\n  - key: 1\n', 'is not a list of keys'],
  ])('%s', async (_, text, message) => {
    const { root, read } = projectWith(text);
    await expect(addDeployPublicKey(root, 'production', first)).rejects.toMatchObject({
      code: 1,
      message: expect.stringMatching(new RegExp(`${path}.*${message}|${message}`)),
      remedy: expect.anything(),
    });
    expect(read()).toBe(text);
  });

  test('an environment without settings', async () => {
    await expect(addDeployPublicKey(temporaryDirectory(), 'production', first)).rejects.toMatchObject({
      message: expect.stringContaining(path),
    });
  });

  test.each(['', 'AAAA', `${first}\nssh-ed25519 AAAA second`, '-----BEGIN OPENSSH PRIVATE KEY-----'])(
    'what is no public key: %j',
    async (key) => {
      const { root } = projectWith('deploy_public_keys: []\n');
      await expect(addDeployPublicKey(root, 'production', key)).rejects.toMatchObject({ code: 2 });
    },
  );
});
