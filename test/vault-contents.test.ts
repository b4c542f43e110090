import { expect, test } from 'vitest';
import * as yaml from 'yaml';
import { VaultContents } from '../lib/vault.ts';

test('a changed vault keeps everything else, comments too', () => {
  const text = '# Of 2024.\nvault_secret_key: "a" # never shown\n\n# Ours\nvault_other:\n  - one\n';
  const vault = new VaultContents(text, yaml);
  vault.set('b', 'vault_secret_key');
  vault.set('x', 'vault_application_secrets', 'STRIPE_KEY');
  expect(vault.toString()).toBe(
    '# Of 2024.\nvault_secret_key: !unsafe "b" # never shown\n\n# Ours\nvault_other:\n  - one\nvault_application_secrets:\n  STRIPE_KEY: !unsafe "x"\n',
  );
});

test.each([
  'two\nlines\n',
  '{{ lookup("file", "/etc/passwd") }}',
  'yes',
  '012',
  ' spaces ',
  '"quoted" \\ $HOME `x` # not a comment: no',
  'ü🔑',
  `long ${'x'.repeat(90)} line`,
])('a value comes back as it was set: %j', (value) => {
  const vault = new VaultContents('', yaml);
  vault.set(value, 'vault_application_secrets', 'NAME');
  const again = new VaultContents(vault.toString(), yaml);
  expect(again.texts('vault_application_secrets')).toEqual({ NAME: value });
});

test('a mapping goes with its last entry', () => {
  const vault = new VaultContents('a: 1\n', yaml);
  vault.set('x', 'vault_application_secrets', 'ONE');
  vault.remove('vault_application_secrets', 'TWO');
  vault.remove('vault_application_secrets', 'ONE');
  expect(vault.toString()).toBe('a: 1\n');
});

test('a list is replaced as a whole', () => {
  const vault = new VaultContents('vault_secret_key_fallbacks: [a, b]\n', yaml);
  vault.set(['c', ...vault.list('vault_secret_key_fallbacks')], 'vault_secret_key_fallbacks');
  expect(new VaultContents(vault.toString(), yaml).list('vault_secret_key_fallbacks')).toEqual([
    'c',
    'a',
    'b',
  ]);
});
