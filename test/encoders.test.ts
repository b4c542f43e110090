import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { encoders } from '../lib/encoders.ts';

const awkward = [
  "O'Brien & <co>",
  'a "b" \\ c',
  'line\nbreak\ttab',
  '$(id) `id` $HOME',
  '日本 😀',
  '',
  '{{ x }} {% y %}',
  '# no comment',
  'yes',
  '007',
];

test.each(awkward)('%j survives as a Python literal', (value) => {
  const { stdout } = spawnSync(
    'python3',
    ['-c', `import sys, json; print(json.dumps(${encoders.py(value)}))`],
    { encoding: 'utf8' },
  );
  expect(JSON.parse(stdout)).toBe(value);
});

test.each(awkward)('%j survives as a TOML string', (value) => {
  const script = 'import sys, json, tomllib; print(json.dumps(tomllib.loads(sys.stdin.read())["x"]))';
  const { stdout } = spawnSync('python3', ['-c', script], {
    encoding: 'utf8',
    input: `x = ${encoders.toml(value)}`,
  });
  expect(JSON.parse(stdout)).toBe(value);
});

test.each(awkward)('%j survives as a word of a shell', (value) => {
  const { stdout } = spawnSync('sh', ['-c', `printf %s ${encoders.sh(value)}`], { encoding: 'utf8' });
  expect(stdout).toBe(value);
});

test.each(awkward)('%j survives as a YAML scalar', (value) => {
  expect(parse(`x: ${encoders.yaml(value)}`)).toEqual({ x: value });
});

test('HTML cannot be broken out of', () => {
  expect(encoders.html(`<b a="1" c='2'>&`)).toBe('&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;');
});
