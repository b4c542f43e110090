import { expect, test } from 'vitest';
import { daysOf, type SecretsFlags, secretsRequest } from '../../lib/secrets/request.ts';

const request = (flags: Partial<SecretsFlags>) => secretsRequest({ finish: false, resume: false, ...flags });

test.each<[Partial<SecretsFlags>, object]>([
  [{}, { action: 'look' }],
  [{ set: 'STRIPE_KEY' }, { action: 'set', name: 'STRIPE_KEY' }],
  [{ unset: 'STRIPE_KEY' }, { action: 'unset', name: 'STRIPE_KEY' }],
  [{ rotate: 'all' }, { action: 'rotate', names: 'all', leaked: false }],
  [
    { rotate: 'secret-key, broker-password,secret-key' },
    { action: 'rotate', names: ['secret-key', 'broker-password'], leaked: false },
  ],
  [{ leaked: 'secret-key' }, { action: 'rotate', names: ['secret-key'], leaked: true }],
  [{ finish: true }, { action: 'finish' }],
  [{ resume: true }, { action: 'resume' }],
])('%j asks for %j', (flags, expected) => {
  expect(request(flags)).toEqual(expected);
});

test.each<[Partial<SecretsFlags>, string]>([
  [{ set: 'stripe' }, '"stripe" is not a name'],
  [{ set: 'A_KEY', rotate: 'all' }, 'exclude each other'],
  [{ finish: true, resume: true }, 'exclude each other'],
  [{ rotate: 'password' }, '--rotate does not know "password"'],
  [{ rotate: '' }, '--rotate does not know ""'],
  [{ leaked: 'secret-key,nothing' }, '--leaked does not know "nothing"'],
  [{ rotate: 'STRIPE_KEY' }, 'Only whoever has issued "STRIPE_KEY"'],
])('%j is refused', (flags, message) => {
  expect(() => request(flags)).toThrow(message);
});

test('of a leaked secret of the owner’s the old value has to be revoked first', () => {
  expect(() => request({ leaked: 'STRIPE_KEY' })).toThrow(
    expect.objectContaining({ remedy: expect.stringMatching(/^Let them revoke.*--set STRIPE_KEY$/) }),
  );
});

test('a number of days has a d or not', () => {
  expect(daysOf('90d', '--older-than')).toBe(90);
  expect(daysOf('0', '--keep-old')).toBe(0);
  for (const text of ['', '3 months', '-1', '1.5', '99999']) {
    expect(() => daysOf(text, '--older-than')).toThrow(`--older-than ${JSON.stringify(text)}`);
  }
});
