import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as yaml from 'yaml';
import { layerPath } from '../../lib/paths.ts';
import {
  setOwnSecret,
  trimmedInput,
  validateOwnName,
  validateOwnValue,
} from '../../lib/secrets/own-secrets.ts';
import { VaultContents } from '../../lib/vault.ts';

test.each(['STRIPE_KEY', 'S3', 'SENTRY_DSN', 'EMAIL_URL', 'A'.repeat(100)])(
  '%s can be the name of a secret',
  (name) => {
    expect(validateOwnName(name)).toBe(name);
  },
);

test.each([
  ['', 'is not a name'],
  ['stripe_key', 'is not a name'],
  ['1KEY', 'is not a name'],
  ['_KEY', 'is not a name'],
  ['STRIPE-KEY', 'is not a name'],
  ['STRIPE KEY', 'is not a name'],
  ['KEY=VALUE', 'is not a name'],
  ['SECRET_KEY', 'already'],
  ['SECRET_KEY_FALLBACKS', 'already'],
  ['GITHUB_TOKEN', 'already'],
  ['LD_PRELOAD', 'already'],
  ['PYTHONPATH', 'already'],
  ['PATH', 'already'],
  ['A'.repeat(101), '101 characters'],
])('the name %j is refused', (name, reason) => {
  expect(() => validateOwnName(name)).toThrow(reason);
});

test('every name that the environment of a site has by itself is refused, but for that of the mail server', () => {
  const template = readFileSync(
    join(layerPath('ansible'), 'roles/application/templates/environment.j2'),
    'utf8',
  );
  const names = [...template.matchAll(/variable\('([A-Z_]+)'/g)].map(([, name]) => name as string);
  expect(names).toContain('CELERY_BROKER_URL');
  for (const name of names.filter((each) => each !== 'EMAIL_URL')) {
    expect(() => validateOwnName(name), name).toThrow('already');
  }
});

test.each(['x', 'two\nlines', '\ttab', 'ü🔑 "$HOME" \\ `x` {{ y }}', 'x'.repeat(48 * 1024)])(
  'a value may be text of one or several lines',
  (value) => {
    expect(validateOwnValue('KEY', value)).toBe(value);
  },
);

test.each([
  ['', 'is empty'],
  [' \n', 'is empty'],
  ['one\r\ntwo', 'Windows line ends'],
  ['nul\0', 'control characters'],
  ['escape\u001b[0m', 'control characters'],
  ['delete\u007f', 'control characters'],
  ['half a character\ud800', 'control characters'],
  ['x'.repeat(48 * 1024 + 1), '49153 bytes'],
])('a value that a service cannot get is refused, and not shown: %#', (value, reason) => {
  const refuse = () => validateOwnValue('STRIPE_KEY', value);
  expect(refuse).toThrow(`The value of STRIPE_KEY`);
  expect(refuse).toThrow(reason);
  if (value.trim()) expect(refuse).not.toThrow(value.slice(0, 6));
});

test('the line end that echo or a file puts behind a value does not belong to it', () => {
  expect(trimmedInput('value\n')).toBe('value');
  expect(trimmedInput('two\nlines\r\n')).toBe('two\nlines');
});

test('there are at most a hundred secrets, and half a megabyte of them', () => {
  const vault = new VaultContents('', yaml);
  for (let number = 0; number < 100; number += 1) setOwnSecret(vault, `KEY_${number}`, 'x');
  expect(() => setOwnSecret(vault, 'ANOTHER', 'x')).toThrow('100 secrets');
  setOwnSecret(vault, 'KEY_7', 'y');
  const large = new VaultContents('', yaml);
  for (let number = 0; number < 10; number += 1) setOwnSecret(large, `KEY_${number}`, 'x'.repeat(48 * 1024));
  expect(() => setOwnSecret(large, 'ANOTHER', 'x'.repeat(48 * 1024))).toThrow('540672 bytes');
});
