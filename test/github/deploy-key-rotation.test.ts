import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { readDeployPublicKeys } from '../../lib/ansible/deploy-public-keys.ts';
import { GobootError } from '../../lib/errors.ts';
import { readDeployKey, useDeployKey } from '../../lib/github/deploy-key.ts';
import { putSecrets } from '../../lib/github/secrets.ts';
import { projectPaths } from '../../lib/paths.ts';
import type { DeployKeyDoors } from '../../lib/secrets/deploy-key-doors.ts';
import { deployKey, deployKeyRotation } from '../../lib/secrets/deploy-key-rotation.ts';
import type { RotationContext } from '../../lib/secrets/rotation.ts';
import { hasAuthorizedKey, withAuthorizedKey, withoutAuthorizedKeys } from '../../lib/ssh/authorized-keys.ts';
import { publicKeyOf } from '../../lib/ssh/key-pair.ts';
import { sampleCommandLines } from '../support/command-lines.ts';
import { useGitHub } from '../support/github/clients.ts';
import { git } from '../support/local-project.ts';
import { dieBefore, killBefore, makeRequestsMortal, momentsOf, mortal } from '../support/mortality.ts';
import { runPublication } from '../support/publication.ts';
import { PublishedProject } from '../support/published-project.ts';
import { endedSteps, errorOf, look, resume, rotate } from '../support/rotations.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

vi.mock('node:fs/promises', async (original) =>
  (await import('../support/mortality.ts')).mortalFiles(await original()),
);
vi.mock('../../lib/process.ts', async (original) =>
  (await import('../support/mortality.ts')).mortalPrograms(await original()),
);

const server = useGitHub();
let project: PublishedProject;
let stopCounting: () => void;

/** What lets keys in: real files, in the place of the host's and the jump host's. The tests in test/host have real doors. */
let doors: { host: string; jumpHost: string; failing?: keyof DeployKeyDoors };

beforeAll(async () => {
  project = await PublishedProject.publish(server());
  stopCounting = makeRequestsMortal();
}, 60_000);
afterAll(async () => {
  stopCounting();
  await project.remove();
});
beforeEach(async () => {
  const keys = await inventory();
  doors = { host: `${keys.join('\n')}\n`, jumpHost: keys.map((key) => `restrict ${key}\n`).join('') };
});

const environment = 'production';
const file = projectPaths.environmentVariables(environment);
const inventory = () => readDeployPublicKeys(project.root, environment);
const onGitHub = () => project.secrets(environment).DEPLOY_SSH_KEY as string;

function modelDoors(): DeployKeyDoors {
  const may = (name: keyof DeployKeyDoors) => {
    if (doors.failing === name) throw new GobootError(`admin@192.0.2.10 does not answer (${name})`);
  };
  const accepts = (key: string) => [doors.host, doors.jumpHost].every((text) => hasAuthorizedKey(text, key));
  return {
    check: mortal(async () => may('check')),
    bringInventory: mortal(async () => {
      may('bringInventory');
      doors.host = `${(await inventory()).join('\n')}\n`;
    }),
    letThrough: mortal(async (newKey, oldKeys) => {
      may('letThrough');
      doors.jumpHost = withAuthorizedKey(doors.jumpHost, { oldKeys, newKey, line: `usual ${newKey}` });
    }),
    takeAway: mortal(async (keys) => {
      may('takeAway');
      doors.jumpHost = withoutAuthorizedKeys(doors.jumpHost, keys);
    }),
    logIn: mortal(async ({ privateKey }) => {
      may('logIn');
      if (!accepts(publicKeyOf(privateKey))) throw new GobootError('the key is refused');
    }),
    accepted: mortal(async (keys) => {
      may('accepted');
      return [
        ['deploy@host', keys.filter((key) => hasAuthorizedKey(doors.host, key))],
        ['admin@jump', keys.filter((key) => hasAuthorizedKey(doors.jumpHost, key))],
      ];
    }),
  };
}

const make = (context: RotationContext) => deployKeyRotation(context, modelDoors());

/** Whether what GitHub holds opens every door: whether it could deploy now. */
function gitHubCanDeploy(): boolean {
  const key = publicKeyOf(onGitHub());
  return [doors.host, doors.jumpHost].every((text) => hasAuthorizedKey(text, key));
}

/** All that has to hold when a rotation has come to its end. */
async function expectRotated(old: string): Promise<void> {
  const [key, ...others] = await inventory();
  expect(others).toEqual([]);
  expect(publicKeyOf(onGitHub())).toBe(key);
  expect(key).not.toBe(old);
  expect(gitHubCanDeploy()).toBe(true);
  expect(doors.host).toBe(`${key}\n`);
  expect(doors.jumpHost).toBe(`restrict ${key}\n`);
  expect(git(project.root, 'status', '--porcelain')).toBe('');
  expect(git(project.root, 'show', `HEAD:${file}`)).toContain(key);
}

const currentKey = async () => (await inventory())[0] as string;

test('a new key takes the place of the old one in the project, on GitHub and at every door', async () => {
  const old = await currentKey();
  const others = project.secrets('staging').DEPLOY_SSH_KEY;
  const { environment: name, secret } = await rotate(project, make);
  expect([secret, name]).toEqual(['deploy-key', 'production']);
  await expectRotated(old);
  expect(project.secrets('staging').DEPLOY_SSH_KEY).toBe(others);
  expect(git(project.root, 'log', '-1', '--format=%s')).toBe('Rotate the deploy key of production');
});

test('the list knows that GitHub has it, and when somebody overwrites it there', async () => {
  expect(await look(project, deployKey)).toMatchObject({ differences: [], unknown: [] });
  expect((await look(project, deployKey)).changedAt).toMatch(/^\d{4}-\d\d-\d\dT/);
  const github = await project.openGitHub();
  const right = onGitHub();
  // GitHub's times have whole seconds.
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const store = { owner: 'pro-user', name: 'shop', environment };
  await putSecrets(github, store, { DEPLOY_SSH_KEY: 'overwritten by hand' });
  expect(await look(project, deployKey)).toMatchObject({
    differences: ['GitHub (written from elsewhere since)'],
  });
  await putSecrets(github, store, { DEPLOY_SSH_KEY: right });
});

test('of secrets that were written from another computer the list knows nothing', async () => {
  const known = join(project.root, projectPaths.gitHubSecrets);
  const text = readFileSync(known, 'utf8');
  expect(await look(project, deployKey, project.environments[1])).toMatchObject({
    differences: [],
    unknown: [],
  });
  rmSync(known);
  expect(await look(project, deployKey, project.environments[1])).toMatchObject({
    differences: [],
    unknown: ['GitHub'],
  });
  writeFileSync(known, text);
});

test('the private half is in no command line, no commit and no file', async () => {
  const old = await currentKey();
  const stopSampling = sampleCommandLines();
  await rotate(project, make);
  const seen = [...(await stopSampling())].join('\n');
  await expectRotated(old);
  const secret = onGitHub().split('\n')[1] as string;
  expect(secret.length).toBeGreaterThan(60);
  const files = git(project.root, 'ls-files', '-co').split('\n');
  const texts = files.map((path) => readFileSync(join(project.root, path), 'utf8'));
  for (const text of [seen, git(project.root, 'log', '--all', '--patch'), ...texts]) {
    expect(text.includes(secret)).toBe(false);
  }
});

test('a key that the user made is rotated like one of ours; keys of others stay, and are told', async () => {
  const path = join(temporaryDirectory(), 'key');
  execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-C', 'mine', '-f', path]);
  const [production] = project.environments;
  const mine = await readDeployKey(path, production, project.root);
  await useDeployKey(project.root, production, mine);
  const other =
    'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKbLYjIm9G5PHQY8rkYc3M8H1yTyn0hPXFjE1xOJ0FhA another service';
  writeFileSync(
    join(project.root, file),
    readFileSync(join(project.root, file), 'utf8').replace('deploy_public_keys:\n', `$&  - "${other}"\n`),
  );
  await project.commit('Use my key');
  doors.jumpHost = `restrict ${mine.publicKey}\n`;
  const { afterwards } = await rotate(project, make);
  const keys = await inventory();
  expect(keys).toHaveLength(2);
  expect(keys).toContain(other);
  expect(keys.join()).not.toContain('ssh-rsa');
  expect(doors.jumpHost).not.toContain('ssh-rsa');
  expect(afterwards?.join('\n')).toContain(other);
  writeFileSync(
    join(project.root, file),
    readFileSync(join(project.root, file), 'utf8').replace(`  - "${other}"\n`, ''),
  );
  await project.commit('Remove the other key');
});

describe('a run that is killed at any moment', () => {
  test('leaves GitHub able to deploy, and the next one ends it', async () => {
    dieBefore();
    await rotate(project, make);
    const acts = dieBefore();
    expect(acts).toBeGreaterThan(50);
    for (const nth of momentsOf(acts)) {
      const old = await currentKey();
      await killBefore(nth, () => rotate(project, make));
      expect(gitHubCanDeploy(), `act ${nth}`).toBe(true);
      if ((await resume(project, make)) === 0) await rotate(project, make);
      await expectRotated(old);
    }
  }, 900_000);

  test('lets a leaked key in no more once that was refused', async () => {
    dieBefore();
    const { steps } = await rotate(project, make, { leaked: true });
    const acts = dieBefore();
    const order = steps.map(({ name }) => name);
    expect(order.indexOf('refuse')).toBeLessThan(order.indexOf('install'));
    for (const nth of momentsOf(acts)) {
      const old = await currentKey();
      const isLetIn = () => [doors.host, doors.jumpHost].some((text) => hasAuthorizedKey(text, old));
      await killBefore(nth, () => rotate(project, make, { leaked: true }));
      if (endedSteps(project).includes('refuse')) expect(isLetIn(), `act ${nth}`).toBe(false);
      if ((await resume(project, make)) === 0) await rotate(project, make, { leaked: true });
      expect(isLetIn()).toBe(false);
      doors.jumpHost = doors.jumpHost.replace(/^usual/, 'restrict');
      await expectRotated(old);
    }
  }, 900_000);
});

test('a leaked key is refused without GitHub, too, which gets a new one when the project is published again', async () => {
  const old = await currentKey();
  const without = { ...project, root: project.root, openGitHub: async () => undefined };
  const { afterwards } = await rotate(without, make, { leaked: true });
  expect([doors.host, doors.jumpHost].some((text) => hasAuthorizedKey(text, old))).toBe(false);
  expect(await inventory()).toEqual([]);
  expect(afterwards?.[0]).toContain('yo goboot:github');
  const [production] = project.environments;
  const token = server().token('classic', 'pro-user');
  await runPublication({ server: server(), root: project.root, token, environment: production });
  expect(publicKeyOf(onGitHub())).toBe(await currentKey());

  server().fail({
    method: 'GET',
    path: /^\/repos\/pro-user\/shop$/,
    with: 500,
    times: Number.POSITIVE_INFINITY,
  });
  expect(await errorOf(rotate(project, make, { leaked: true }))).toContain('--skip-github');
});

describe('what fails', () => {
  test.each(['check', 'bringInventory', 'letThrough', 'logIn'] as const)(
    'before GitHub gets the key is taken back: %s',
    async (failing) => {
      const [old, key] = [await currentKey(), onGitHub()];
      const before = { ...doors };
      // It answers again when the step is taken back.
      const once = modelDoors();
      const failsOnce = { ...once };
      let hasFailed = false;
      failsOnce[failing] = (async (...args: never[]) => {
        if (hasFailed) return (once[failing] as (...all: never[]) => Promise<unknown>)(...args);
        hasFailed = true;
        throw new GobootError('admin@192.0.2.10 does not answer');
      }) as never;
      const message = await errorOf(rotate(project, (context) => deployKeyRotation(context, failsOnce)));
      expect(message).toMatch(/admin@192.0.2.10 does not answer[\s\S]*Everything is as it was before/);
      expect(doors).toEqual(before);
      expect(await inventory()).toEqual([old]);
      expect(onGitHub()).toBe(key);
      expect(git(project.root, 'status', '--porcelain')).toBe('');
    },
  );

  test('where GitHub refuses it the old key stays alone', async () => {
    const [old, key] = [await currentKey(), onGitHub()];
    server().fail({ method: 'PUT', path: /DEPLOY_SSH_KEY/, with: 403, times: 1 });
    expect(await errorOf(rotate(project, make))).toMatch(/Everything is as it was before/);
    expect(await inventory()).toEqual([old]);
    expect(onGitHub()).toBe(key);
    expect(gitHubCanDeploy()).toBe(true);
  });

  test('with an answer that is lost lets both keys stay, until the rotation is ended', async () => {
    const old = await currentKey();
    server().fail({
      method: 'PUT',
      path: /DEPLOY_SSH_KEY/,
      with: 'reset',
      afterEffect: true,
      times: Number.POSITIVE_INFINITY,
    });
    expect(await errorOf(rotate(project, make))).toMatch(/both|stay valid[\s\S]*--resume/);
    expect(gitHubCanDeploy()).toBe(true);
    expect(hasAuthorizedKey(doors.host, old)).toBe(true);
    server().heal();
    expect(await resume(project, make)).toBe(1);
    await expectRotated(old);
  });

  test('at a door that still accepts the old key is told by its name', async () => {
    const old = await currentKey();
    const real = modelDoors();
    const leaky = { ...real, takeAway: async () => {} };
    const message = await errorOf(rotate(project, (context) => deployKeyRotation(context, leaky)));
    expect(message).toContain(`admin@jump still accepts an old deploy key: ${old}`);
    doors.jumpHost = withoutAuthorizedKeys(doors.jumpHost, [old]);
    expect(await resume(project, make)).toBe(1);
    await expectRotated(old);
  });

  test('before anything, changes that are not committed or a secret that GitHub lacks', async () => {
    const before = readFileSync(join(project.root, file), 'utf8');
    writeFileSync(join(project.root, file), `${before}# mine\n`);
    expect(await errorOf(rotate(project, make))).toMatch(/has changes that are not committed/);
    writeFileSync(join(project.root, file), before);
    const elsewhere = {
      ...project,
      environments: project.environments,
      project: { ...project.project, name: 'nowhere' },
    };
    expect(
      await errorOf(rotate({ ...elsewhere, root: project.root, openGitHub: project.openGitHub }, make)),
    ).toMatch(/cannot be rotated without GitHub[\s\S]*yo goboot:github/);
    expect(
      await errorOf(rotate({ ...project, root: project.root, openGitHub: async () => undefined }, make)),
    ).toMatch(/cannot be rotated without GitHub/);
  });
});
