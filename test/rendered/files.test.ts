import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readDeployPublicKeys } from '../../lib/ansible/deploy-public-keys.ts';
import { deploymentSettingList, jumpHostAuthorizedKeys } from '../../lib/github/deployment-settings.ts';
import { packageRoot } from '../../lib/paths.ts';
import { siteName } from '../../lib/project.ts';
import { projectFiles, writeNewFiles } from '../../lib/scaffold.ts';
import { makeDeployKeyPair } from '../../lib/ssh/key-pair.ts';
import { expectSuccess } from '../support/project-program.ts';
import { sampleNames } from '../support/rendered-project.ts';
import { sampleEnvironment, sampleProject } from '../support/sample.ts';
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

describe('A project with deploy keys and a jump host', () => {
  const project = sampleNames[1];
  const environment = sampleEnvironment(
    {
      name: 'staging-eu',
      site: siteName(project, 'staging-eu'),
      jump: { address: '2001:db8::5', user: 'hop', port: 2200 },
    },
    project,
  );
  const keys = [makeDeployKeyPair(environment.site).publicKey, `ssh-rsa AAAA${'x'.repeat(700)} ada at work`];

  test('has nothing that its linters would report, however long the keys are', async () => {
    const cwd = temporaryDirectory();
    const files = await projectFiles(sampleProject(project), [environment], '', {
      deployPublicKeys: { [environment.name]: keys },
    });
    await writeNewFiles(files, cwd);
    await expectSuccess('yamllint', ['--strict', '.'], { cwd });
    const findings = await expectSuccess('zizmor', ['--offline', '--quiet', '--format=json', '.github'], {
      cwd,
    });
    expect(JSON.parse(findings.stdout)).toEqual([]);
    expect(await readDeployPublicKeys(cwd, environment.name)).toEqual(keys);
  });

  test('tells its owner what lets GitHub through the jump host', async () => {
    const files = await projectFiles(sampleProject(project), [environment], '');
    const readme = String(files.find(({ path }) => path === 'README.md')?.contents);
    expect(readme).toContain(
      'GitHub goes through `2001:db8::5` with the same key. Put this line into `~/.ssh/authorized_keys` of `hop` there',
    );
    expect(readme).toContain(String(jumpHostAuthorizedKeys(environment, 'ssh-ed25519 …')[0]?.line));
    expect(readme).toContain('begin with `STAGING_EU_`, for example `STAGING_EU_DEPLOY_HOST`');
    for (const { name, purpose } of deploymentSettingList) {
      expect(readme).toContain(`| \`${name}\` |`);
      expect(readme).toContain(purpose);
    }
  });
});
