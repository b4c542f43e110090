import { expect, test } from 'vitest';
import { asAnswer, each, jumpHostOf } from '../lib/jump-hosts.ts';
import { type JumpHost, jumpHosts } from '../lib/project.ts';
import { validateHost, validatePort } from '../lib/validate.ts';
import { sampleEnvironment } from './support/sample.ts';

const one = { jumpHost: 'gate.example.com', jumpUser: 'hop', jumpPort: 22, jumpKeyFile: '' };

test('one jump host has its values as they are', () => {
  expect(jumpHostOf({ ...one, jumpHost: '' })).toBeUndefined();
  expect(jumpHostOf(one)).toEqual({ address: 'gate.example.com', user: 'hop', port: 22 });
  expect(each(validatePort)('2200')).toBe(2200);
});

test('jump hosts in a row share a value, or have one each', () => {
  const answers = {
    ...one,
    jumpHost: 'a.example.com,b.example.com',
    jumpPort: '2201,2202',
    jumpKeyFile: ',~/key',
  };
  expect(jumpHosts({ ...sampleEnvironment(), jump: jumpHostOf(answers) as JumpHost })).toMatchObject([
    { address: 'a.example.com', user: 'hop', port: 2201 },
    { address: 'b.example.com', user: 'hop', port: 2202, keyFile: '~/key' },
  ]);
  expect(jumpHostOf(answers)?.jump).not.toHaveProperty('keyFile');
});

test('each of several values is checked', () => {
  expect(each(validateHost)('A.example.com, b.example.com')).toBe('a.example.com,b.example.com');
  expect(() => each(validateHost)('a.example.com,')).toThrow('is empty');
  expect(() => each(validatePort)('22,70000')).toThrow('"70000"');
});

test('another number of values than of jump hosts is refused', () => {
  const answers = { ...one, jumpHost: 'a.example.com,b.example.com', jumpUser: 'x,y,z' };
  expect(() => jumpHostOf(answers)).toThrow('--jump-user "x,y,z" has 3 values, and --jump-host');
});

test('values that agree are one answer', () => {
  expect(asAnswer([22, 22])).toBe('22');
  expect(asAnswer([22, 2200])).toBe('22,2200');
  expect(asAnswer(['key', undefined])).toBe('key,');
});
