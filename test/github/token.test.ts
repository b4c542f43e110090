import { expect, test } from 'vitest';
import {
  classicTokenPage,
  describePermission,
  fineGrainedTokenPage,
  hasScopes,
  missingScopes,
  requiredPermissions,
  requiredScopes,
  tokenKind,
} from '../../lib/github/token.ts';

test.each([
  ['ghp_abc', 'classic'],
  ['github_pat_abc', 'fine-grained'],
  ['gho_abc', 'oauth'],
  ['ghu_abc', 'app user'],
  ['ghs_abc', 'app installation'],
  ['0123456789abcdef0123456789abcdef01234567', 'unknown'],
])('%s is a token of the kind “%s”', (token, kind) => {
  expect(tokenKind(token)).toBe(kind);
});

test('only some kinds have scopes that GitHub tells', () => {
  expect(hasScopes('classic')).toBe(true);
  expect(hasScopes('fine-grained')).toBe(false);
});

test('a classic token needs repo and workflow, and the page for a new one has both chosen', () => {
  expect(requiredScopes).toEqual(['repo', 'workflow']);
  expect(classicTokenPage()).toBe(
    'https://github.com/settings/tokens/new?scopes=repo,workflow&description=goboot',
  );
  expect(fineGrainedTokenPage('https://ghe.example.com')).toBe(
    'https://ghe.example.com/settings/personal-access-tokens/new',
  );
});

test('scopes that are missing are named', () => {
  expect(missingScopes(['repo', 'workflow', 'gist'])).toEqual([]);
  expect(missingScopes(['public_repo'])).toEqual(['repo', 'workflow']);
});

test('permissions are named as on the page for a fine-grained token', () => {
  expect(requiredPermissions()).toEqual([
    'Administration: write',
    'Contents: write',
    'Workflows: write',
    'Secrets: write',
    'Variables: write',
    'Environments: write',
    'Actions: read',
    'Metadata: read',
  ]);
  expect(describePermission('actions_variables', 'write')).toBe('Variables: write');
});
