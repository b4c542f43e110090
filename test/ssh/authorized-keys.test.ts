import { expect, test } from 'vitest';
import { hasAuthorizedKey, withAuthorizedKey, withoutAuthorizedKeys } from '../../lib/ssh/authorized-keys.ts';
import { makeDeployKeyPair } from '../../lib/ssh/key-pair.ts';

const [old, other, next] = ['old', 'other', 'next'].map((name) => makeDeployKeyPair(name).publicKey) as [
  string,
  string,
  string,
];
const options = 'restrict,port-forwarding,permitopen="10.0.0.1:22",command="false"';
const line = `restrict ${next}`;
const file = `# people\n${other}\n\n${options} ${old}\n# end\n`;

test('a new key may do what the old one may, in a line behind it', () => {
  expect(withAuthorizedKey(file, { oldKeys: [old], newKey: next, line })).toBe(
    `# people\n${other}\n\n${options} ${old}\n${options} ${next}\n# end\n`,
  );
});

test('without the old key the usual line is added, whether the file ends with a line end or not', () => {
  const added = (text: string) => withAuthorizedKey(text, { oldKeys: [old], newKey: next, line });
  expect(added('')).toBe(`${line}\n`);
  expect(added(`${other}`)).toBe(`${other}\n${line}\n`);
  expect(added(`${other}\n`)).toBe(`${other}\n${line}\n`);
});

test('a key that is there already is not added again, under whatever comment', () => {
  const known = `${options} ${next.replace(/ next .*/, ' renamed')}\n`;
  expect(withAuthorizedKey(known, { oldKeys: [old], newKey: next, line })).toBe(known);
});

test('the last line without a line end is not joined with the new one', () => {
  expect(withAuthorizedKey(`${options} ${old}`, { oldKeys: [old], newKey: next, line })).toBe(
    `${options} ${old}\n${options} ${next}\n`,
  );
});

test('keys are taken out, and all else stays to the byte', () => {
  const both = withAuthorizedKey(file, { oldKeys: [old], newKey: next, line });
  expect(withoutAuthorizedKeys(both, [old])).toBe(`# people\n${other}\n\n${options} ${next}\n# end\n`);
  expect(withoutAuthorizedKeys(file, [next])).toBe(file);
  expect(withoutAuthorizedKeys('', [next])).toBe('');
});

test('a key that is commented out lets nobody in', () => {
  expect(hasAuthorizedKey(`# ${old}\n`, old)).toBe(false);
  expect(withoutAuthorizedKeys(`# ${old}\n`, [old])).toBe(`# ${old}\n`);
});
