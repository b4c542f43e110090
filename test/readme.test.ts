import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from '../lib/paths.ts';
import { withTables } from '../scripts/github-settings.ts';
import { withOptions } from '../scripts/readme-options.ts';

const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8');
const { scripts } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));

test('the README lists the options that there are', () => {
  expect(withOptions(readme), 'run: npm run update:readme').toBe(readme);
});

test('the page about GitHub lists the secrets and variables that there are', () => {
  const page = readFileSync(join(packageRoot, 'docs', 'github.md'), 'utf8');
  expect(withTables(page), 'run: npm run update:docs').toBe(page);
});

test('the README names every sub-generator, of which each is a folder', () => {
  const others = readdirSync(join(packageRoot, 'generators')).filter((name) => name !== 'app');
  expect(others.length).toBeGreaterThan(1);
  expect(others.filter((name) => !readme.includes(`| \`yo goboot:${name}`))).toEqual([]);
});

test('the scripts that the documents name exist', () => {
  const documents = readme + readFileSync(join(packageRoot, 'CONTRIBUTING.md'), 'utf8');
  const named = [...documents.matchAll(/npm run ([\w:-]+)/g)].map(([, name]) => name as string);
  expect(named.length).toBeGreaterThan(3);
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
});
