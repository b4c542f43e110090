import { describe, expect, test } from 'vitest';
import { parseCommandLine, wordsAfterNamespace } from '../lib/command-line.ts';
import { commonSwitches, questions, switches } from '../lib/questions.ts';

const definition = {
  questions,
  switches: [switches.yes, switches.check, switches.answers, ...Object.values(commonSwitches)],
  positionals: ['project_name'],
};
const parse = (...words: string[]) => parseCommandLine(words, definition);

test('a name keeps the text that was typed', () => {
  for (const name of ['007', '1e3', '0x10', 'shop']) expect(parse(name).positionals).toEqual([name]);
});

test('a switch does not swallow the name behind it', () => {
  expect(parse('--yes', 'shop')).toEqual({ positionals: ['shop'], values: { yes: true } });
});

test('a switch can be turned off', () => {
  expect(parse('--check=false').values.check).toBe(false);
  expect(parse('--check=true').values.check).toBe(true);
});

test('the short forms of the seed tool work', () => {
  const { values } = parse(
    '-A',
    'Ada',
    '-E',
    'a@b.c',
    '-D',
    'x.y',
    '-H',
    'h',
    '-U',
    'u',
    '-P',
    '22',
    '-K',
    'k',
    '-N',
    'n',
    '-J',
    'j',
    '-q',
  );
  expect(values).toEqual({
    author: 'Ada',
    email: 'a@b.c',
    domain: 'x.y',
    host: 'h',
    user: 'u',
    port: '22',
    'key-file': 'k',
    'known-hosts-file': 'n',
    'jump-host': 'j',
    quiet: true,
  });
});

test('a value may be empty, hold an equals sign, or begin with a dash when joined to its flag', () => {
  expect(parse('--domain=').values.domain).toBe('');
  expect(parse('--author=a=b').values.author).toBe('a=b');
  expect(parse('--author=-x').values.author).toBe('-x');
});

test.each([
  [['--unknown'], 'Unknown option --unknown'],
  [['--domian', 'x.y'], 'Unknown option --domian'],
  [['-X'], 'Unknown option -X'],
  [['--domain'], '--domain needs a value'],
  [['--domain', '--yes'], '--domain needs a value'],
  [['--domain', 'a.b', '--domain', 'c.d'], '--domain was given more than once'],
  [['--check=maybe'], '--check takes no value, but was given "maybe"'],
  [['shop', 'other'], 'Unexpected argument "other"'],
])('%j is refused', (words, message) => {
  expect(() => parse(...words)).toThrowError(expect.objectContaining({ code: 2, message }));
});

test('an unknown option that resembles a known one comes with a hint', () => {
  expect(() => parse('--key')).toThrowError(expect.objectContaining({ remedy: 'Did you mean --key-file?' }));
});

test('the words of a generator are found behind its name, with or without :app', () => {
  const argv = (...words: string[]) => ['node', 'yo', ...words];
  expect(wordsAfterNamespace(argv('goboot', 'shop'), 'goboot:app')).toEqual(['shop']);
  expect(wordsAfterNamespace(argv('goboot:deploy', '--yes'), 'goboot:deploy')).toEqual(['--yes']);
  expect(wordsAfterNamespace(argv('--no-insight', 'goboot', 'shop'), 'goboot:app')).toEqual([
    '--no-insight',
    'shop',
  ]);
});

test('a process that yo did not start for this generator alone has no such words', () => {
  expect(wordsAfterNamespace(['node', 'vitest', 'run'], 'goboot:app')).toBeUndefined();
  expect(wordsAfterNamespace(['node', 'yo', 'goboot', 'a,', 'other', 'b'], 'goboot:app')).toBeUndefined();
});

test('a flag that may be repeated collects its values; another may not', () => {
  const repeated = { questions: [], switches: [switches.allow, switches.message], positionals: [] };
  const words = ['--allow', '203.0.113.7', '--allow=::1,me'];
  expect(parseCommandLine(words, repeated).values.allow).toBe('203.0.113.7,::1,me');
  expect(() => parseCommandLine(['--message=a', '--message=b'], repeated)).toThrow(/more than once/);
});

describe('a command that passes words on', () => {
  const manage = { questions: [], switches: [switches.environment], positionals: [], passesOn: true };

  test('takes everything behind two dashes as it is', () => {
    const words = ['--environment', 'staging', '--', 'loaddata', '--format=json', '-', '--', 'a,'];
    expect(parseCommandLine(words, manage)).toEqual({
      values: { environment: 'staging' },
      positionals: ['loaddata', '--format=json', '-', '--', 'a,'],
    });
    expect(wordsAfterNamespace(['node', 'yo', 'goboot:manage', ...words], 'goboot:manage')).toEqual(words);
  });

  test('tells where a flag that is not its own has to stand', () => {
    expect(parseCommandLine(['check'], manage).positionals).toEqual(['check']);
    expect(() => parseCommandLine(['check', '--deploy'], manage)).toThrowError(
      expect.objectContaining({
        code: 2,
        message: expect.stringContaining('--deploy'),
        remedy: expect.stringContaining('-- check --deploy'),
      }),
    );
  });
});
