import sodium from 'libsodium-wrappers';
import { expect, test } from 'vitest';
import { sealSecret } from '../../lib/github/secrets.ts';
import { validateValueName, validateValues } from '../../lib/github/stored-values.ts';

const shop = { owner: 'ada', name: 'shop' };

test.each(['plain', 'with\nlines\r\nand a final one\n', 'Grüße 🎉'])(
  'a sealed secret can be opened with the private key alone, and is then the same: %j',
  async (value) => {
    await sodium.ready;
    const pair = sodium.crypto_box_keypair();
    const sealed = await sealSecret(value, {
      key: Buffer.from(pair.publicKey).toString('base64'),
      key_id: '1',
    });
    const opened = sodium.crypto_box_seal_open(
      Buffer.from(sealed, 'base64'),
      pair.publicKey,
      pair.privateKey,
    );
    expect(Buffer.from(opened).toString()).toBe(value);
  },
);

test('the same value is sealed differently each time', async () => {
  await sodium.ready;
  const key = { key: Buffer.from(sodium.crypto_box_keypair().publicKey).toString('base64'), key_id: '1' };
  expect(await sealSecret('value', key)).not.toBe(await sealSecret('value', key));
});

test.each(['GITHUB_TOKEN', 'github_token', '1ST', 'WITH-DASH', 'WITH SPACE', '', 'ÄÖ'])(
  'the name %j is refused before anything is sent',
  (name) => {
    expect(() => validateValueName(name, 'secret')).toThrow(/GitHub allows no secret of the name/);
  },
);

test.each(['DEPLOY_SSH_KEY', '_X', 'lower', 'A1'])('the name %j is fine', (name) => {
  expect(() => validateValueName(name, 'variable')).not.toThrow();
});

test('too large and empty values are refused, by name and never by value', () => {
  const most = 48 * 1024;
  expect(() => validateValues({ KEY: 'x'.repeat(most) }, 'secret', shop, [])).not.toThrow();
  expect(() => validateValues({ KEY: `s3cret${'x'.repeat(most)}` }, 'secret', shop, [])).toThrow(
    /^The secret KEY has 49158 bytes, and GitHub takes at most 49152$/,
  );
  // What counts are bytes, not characters.
  expect(() => validateValues({ KEY: 'ü'.repeat(most / 2 + 1) }, 'secret', shop, [])).toThrow(/bytes/);
  expect(() => validateValues({ KEY: '' }, 'variable', shop, [])).toThrow(/^The variable KEY is empty$/);
});

test('more secrets than GitHub allows are refused, counting those that are there', () => {
  const there = Array.from({ length: 99 }, (_, index) => `S${index}`);
  expect(() => validateValues({ S0: 'again', NEW: 'x' }, 'secret', shop, there)).not.toThrow();
  expect(() =>
    validateValues({ A: 'x', B: 'x' }, 'secret', { ...shop, environment: 'staging' }, there),
  ).toThrow('the environment staging of ada/shop would have 101 secrets, and GitHub allows 100');
});

test('names that differ in case only are refused', () => {
  expect(() => validateValues({ Key: 'x', KEY: 'y' }, 'secret', shop, [])).toThrow(/upper and lower case/);
});
