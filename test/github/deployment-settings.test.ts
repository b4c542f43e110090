import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import {
  type DeploymentSource,
  deployAccount,
  deploymentSettingList,
  deploymentValues,
  jumpHostAuthorizedKeys,
  prefixedName,
} from '../../lib/github/deployment-settings.ts';
import { layerPath } from '../../lib/paths.ts';
import { siteName } from '../../lib/project.ts';
import { renderProject } from '../../lib/render.ts';
import { makeDeployKeyPair } from '../../lib/ssh/key-pair.ts';
import { sampleEnvironment, sampleProject } from '../support/sample.ts';

const names = deploymentSettingList.map(({ name }) => name);
const usedByDeploys = deploymentSettingList.filter(({ usedBy }) => usedBy === 'deploys');
const jump = { address: 'jump.example.com', user: 'hop', port: 2200 };
const { privateKey, publicKey } = makeDeployKeyPair('shop-production');
const source = (changes = {}): DeploymentSource => ({
  environment: sampleEnvironment(changes),
  deployPrivateKey: privateKey,
  vaultPassword: 'open sesame',
  knownHosts: '192.0.2.10 ssh-ed25519 AAAA\n',
});

/** Every text of a YAML document, with those of its keys that are texts. */
function textsOf(node: unknown): string[] {
  if (typeof node === 'string') return [node];
  if (node === null || typeof node !== 'object') return [];
  return Object.entries(node).flatMap(([key, value]) => [key, ...textsOf(value)]);
}

/** What the workflows of a rendered project read from `secrets` and `vars`, in whichever way it is written. */
async function consumed(environment: string): Promise<string[]> {
  const files = await renderProject(sampleProject(), [
    sampleEnvironment({ name: environment, site: siteName('shop', environment) }),
  ]);
  const workflows = files.filter(({ path }) => path.startsWith('.github/workflows/'));
  expect(workflows.length).toBeGreaterThan(2);
  const expressions = workflows.flatMap(({ contents }) =>
    textsOf(parse(String(contents))).flatMap((text) => text.match(/\$\{\{.*?\}\}/gs) ?? []),
  );
  const reads = expressions.flatMap((expression) => [
    ...expression.matchAll(/\b(secrets|vars)\s*(?:\.\s*|\[\s*['"])?([\w-]+|\S)?/gi),
  ]);
  return [...new Set(reads.map(([, context, name]) => `${context}.${name}`))].sort();
}

const context = { secret: 'secrets', variable: 'vars' };

describe('the workflows of a project', () => {
  test.each(['production', 'staging-eu-2'])(
    'read what the table names, and nothing else: %s',
    async (environment) => {
      const listed = deploymentSettingList.flatMap(({ kind, name }) => [
        `${context[kind]}.${name}`,
        `${context[kind]}.${prefixedName(environment, name)}`,
      ]);
      expect(await consumed(environment)).toEqual(listed.sort());
    },
  );

  test('use each of them in a shell script, under the same name', async () => {
    const files = await renderProject(sampleProject(), [sampleEnvironment()]);
    const script = String(files.find(({ path }) => path === '.github/scripts/connect.sh')?.contents);
    const used = [...script.matchAll(/\$\{?(\w+)/g)].map(([, name]) => name);
    expect(usedByDeploys.filter(({ name }) => !used.includes(name))).toEqual([]);
  });
});

describe('the names', () => {
  test('keep the rules of GitHub, also with the prefix of an environment', () => {
    const environments = [
      'production',
      'staging',
      'staging-eu-2',
      'a',
      'deploy',
      'deploy-jump',
      'env-github',
    ];
    const all = [
      ...names,
      ...environments.flatMap((environment) => names.map((name) => prefixedName(environment, name))),
    ];
    for (const name of all) {
      expect(name).toMatch(/^[A-Z_][A-Z0-9_]*$/);
      expect(name).not.toMatch(/^GITHUB_/);
    }
    expect(new Set(all).size).toBe(all.length);
  });

  test('have the prefix of their environment where the plan has no environments', () => {
    expect(prefixedName('production', 'DEPLOY_HOST')).toBe('PRODUCTION_DEPLOY_HOST');
    expect(prefixedName('staging-eu', 'DEPLOY_HOST')).toBe('STAGING_EU_DEPLOY_HOST');
  });

  test.each(['2024', 'github', 'github-pages', '', 'Production', 'a_b', 'a--b', 'a-', 'prod uction', 'é'])(
    'are refused for an environment called %j',
    (environment) => {
      expect(() => prefixedName(environment, 'DEPLOY_HOST')).toThrowError(
        expect.objectContaining({
          code: 2,
          message: expect.stringContaining(JSON.stringify(environment)),
          remedy: expect.stringContaining('staging'),
        }),
      );
    },
  );
});

describe('the values', () => {
  const valuesOf = (changes = {}, place: 'environment' | 'repository' = 'environment') =>
    Object.fromEntries(deploymentValues(source(changes), place).map(({ name, value }) => [name, value]));

  test('follow from the environment, the key and the host keys', () => {
    expect(valuesOf({ host: { address: '2001:db8::1', user: 'ada', port: 2222 }, jump })).toEqual({
      DEPLOY_SSH_KEY: privateKey,
      ANSIBLE_VAULT_PASSWORD: 'open sesame',
      DEPLOY_HOST: '2001:db8::1',
      DEPLOY_PORT: '2222',
      DEPLOY_USER: 'deploy',
      DEPLOY_KNOWN_HOSTS: '192.0.2.10 ssh-ed25519 AAAA\n',
      DEPLOY_JUMP_HOST: 'jump.example.com',
      DEPLOY_JUMP_PORT: '2200',
      DEPLOY_JUMP_USER: 'hop',
    });
  });

  test('name jump hosts in a row with commas, the first one first', () => {
    const outer = { address: 'outer.example.com', user: 'gate', port: 22 };
    expect(valuesOf({ jump: { ...jump, jump: outer } })).toMatchObject({
      DEPLOY_JUMP_HOST: 'outer.example.com,jump.example.com',
      DEPLOY_JUMP_PORT: '22,2200',
      DEPLOY_JUMP_USER: 'gate,hop',
    });
  });

  test('say of what belongs to a jump host that it must not be there when there is none', () => {
    const absent = deploymentValues(source(), 'environment').filter(
      ({ value, removable }) => value === undefined && removable,
    );
    expect(absent.map(({ name }) => name)).toEqual(
      deploymentSettingList.filter(({ onlyWithJumpHost }) => onlyWithJumpHost).map(({ name }) => name),
    );
  });

  test('get the prefix in a repository without environments', () => {
    expect(valuesOf({}, 'repository')).toMatchObject({
      PRODUCTION_DEPLOY_SSH_KEY: privateKey,
      PRODUCTION_DEPLOY_HOST: '192.0.2.10',
    });
  });

  test('leave out what is not known here, and do not ask for its removal', () => {
    const { environment } = source();
    const unknown = deploymentValues({ environment, knownHosts: ' \n' }, 'environment').filter(
      ({ value, removable }) => value === undefined && !removable,
    );
    expect(unknown.map(({ name }) => name)).toEqual([
      'DEPLOY_SSH_KEY',
      'ANSIBLE_VAULT_PASSWORD',
      'PLAN_SSH_KEY',
      'DEPLOY_KNOWN_HOSTS',
    ]);
  });

  test('name the account that the playbooks make', () => {
    const variables = parse(readFileSync(join(layerPath('ansible'), 'group_vars/all/main.yml'), 'utf8'));
    expect(variables.deploy_account).toBe(deployAccount);
  });

  test('put a key that can deploy nowhere but in the one secret', () => {
    const withKey = deploymentValues(source({ jump }), 'environment').filter(({ value }) =>
      value?.includes('PRIVATE KEY'),
    );
    expect(withKey).toMatchObject([{ kind: 'secret', name: 'DEPLOY_SSH_KEY', value: privateKey }]);
  });
});

test('a jump host lets the deploy key through to one port of one host', () => {
  expect(jumpHostAuthorizedKeys(sampleEnvironment(), publicKey)).toEqual([]);
  expect(jumpHostAuthorizedKeys(sampleEnvironment({ jump }), publicKey)).toEqual([
    {
      jumpHost: jump,
      line: `restrict,port-forwarding,permitopen="192.0.2.10:22",command="false" ${publicKey}`,
    },
  ]);
  const host = { address: '2001:db8::1', user: 'ada', port: 2222 };
  const outer = { address: 'outer.example.com', user: 'gate', port: 22 };
  const inARow = sampleEnvironment({ host, jump: { ...jump, jump: outer } });
  expect(jumpHostAuthorizedKeys(inARow, publicKey)).toEqual([
    { jumpHost: outer, line: expect.stringContaining('permitopen="jump.example.com:2200"') },
    {
      jumpHost: expect.objectContaining(jump),
      line: expect.stringContaining('permitopen="[2001:db8::1]:2222"'),
    },
  ]);
});
