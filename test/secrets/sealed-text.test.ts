import { expect, test } from 'vitest';
import { open, seal, sealedParts, withParts } from '../../lib/secrets/sealed-text.ts';

test('a whole file is one part, and so is each value in a file', async () => {
  const [first, second] = [await seal('one\n', 'password', ''), await seal('two', 'password', 'prod')];
  expect(sealedParts(`${first}\n`)).toMatchObject([{ sealed: first, indent: '', label: '' }]);

  const indented = (sealed: string) =>
    sealed
      .split('\n')
      .map((line) => `    ${line}`)
      .join('\n');
  const yaml = `a: !vault |\n${indented(first)}\nb: plain\nc:\n  d: !vault |\n${indented(second)}\n# end\n`;
  const parts = sealedParts(yaml);
  expect(parts).toMatchObject([
    { sealed: first, indent: '    ', label: '' },
    { sealed: second, label: 'prod' },
  ]);
  expect(await open(parts[1]?.sealed ?? '', 'password')).toBe('two');
  expect(withParts(yaml, parts)).toBe(yaml);
  expect(withParts(yaml, [])).toBe(yaml);
});

test('a text that only speaks of vaults has no parts', () => {
  expect(sealedParts('It begins with $ANSIBLE_VAULT;1.1;AES256\n')).toEqual([]);
  expect(sealedParts('$ANSIBLE_VAULT;1.1;AES256\nno digits\n')).toEqual([]);
});

test('another password opens nothing', async () => {
  expect(await open(await seal('one', 'password', ''), 'another')).toBeUndefined();
  expect(await open('damaged', 'password')).toBeUndefined();
});
