import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packageRoot } from '../../lib/paths.ts';
import { expectSuccess } from '../support/project-program.ts';
import { sampleNames } from '../support/rendered-project.ts';
import { sampleFiles, writeSampleProject } from '../support/sample-project.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

describe.each(sampleNames)('The files of a project called %s', async (name) => {
  const files = (await sampleFiles(name)).map(({ path, contents, mode }) => ({
    path,
    mode,
    // Images are not looked into.
    text: contents.includes(0) ? '' : contents.toString('utf8'),
  }));

  test('are rendered once each', () => {
    expect(new Set(files.map(({ path }) => path)).size).toBe(files.length);
  });

  test('come from templates, not from what tools left beside them', () => {
    for (const { path } of files)
      expect(path).not.toMatch(/(^|\/)(__pycache__|\.\w+_cache|\.venv)\/|\.sqlite3$/);
  });

  test('hold no template delimiter and no value that does not exist', () => {
    for (const { path, text } of files) {
      expect(text, path).not.toMatch(/<%|%>/);
      expect(text, path).not.toMatch(/\bundefined\b|\[object Object\]/);
      expect(path).not.toMatch(/\.ejs$|project_name|environment_name|_gitignore/);
    }
  });

  test("hold no path of goboot's developers", () => {
    const paths = [packageRoot, homedir()].filter((path) => path.length > 1);
    for (const { path, text } of files) {
      for (const own of paths) expect(text, path).not.toContain(own);
    }
  });

  test('end with exactly one line break and have no trailing spaces', () => {
    for (const { path, text } of files.filter(({ text }) => text)) {
      expect(text, path).toMatch(/[^\n]\n$/);
      expect(text, path).not.toMatch(/[ \t]\n/);
    }
  });

  test('are writable by their owner, and executable where they begin with #!', () => {
    for (const { path, text, mode } of files) {
      expect(mode & 0o600, path).toBe(0o600);
      if (path === 'manage.py') expect(mode & 0o111, path).not.toBe(0);
      if (mode & 0o100) expect(text, path).toMatch(/^#!/);
    }
  });
});

describe('A project whose author has a name full of quotes', () => {
  const authorName = `Zoë "Z" O'Neil \\ {{ x }} {% y %} \${z} #1`;

  test('has only files that Python, TOML and YAML can read', async () => {
    const directory = join(temporaryDirectory(), 'shop');
    await writeSampleProject(directory, 'shop', { authorName });
    await expectSuccess('python', ['-m', 'compileall', '-q', '.'], { cwd: directory });
    const author =
      'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["authors"][0]["name"])';
    expect((await expectSuccess('python', ['-c', author], { cwd: directory })).stdout.trim()).toBe(
      authorName,
    );
    await expectSuccess('yamllint', ['--strict', '.'], { cwd: directory });
  });
});
