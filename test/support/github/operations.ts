/** What a caller needs for an operation. */
export interface Requirement {
  /**
   * Of a fine-grained token, as the header `X-Accepted-GitHub-Permissions` says it. From GitHub's page
   * "Permissions required for fine-grained personal access tokens".
   */
  permission?: string;
  /** Of a classic token, where it is not `repo` (or `public_repo` for what is public). */
  scope?: string;
  /** Of the user in the repository. */
  role?: 'read' | 'write' | 'admin';
}

const metadata: Requirement = { permission: 'metadata=read', role: 'read' };
const readContents: Requirement = { permission: 'contents=read', role: 'read' };
const writeContents: Requirement = { permission: 'contents=write', role: 'write' };
const readActions: Requirement = { permission: 'actions=read', role: 'read' };
const readAdministration: Requirement = { permission: 'administration=read', role: 'admin' };
const administration: Requirement = { permission: 'administration=write', role: 'admin' };
const readSecrets: Requirement = { permission: 'secrets=read', role: 'write' };
const writeSecrets: Requirement = { permission: 'secrets=write', role: 'write' };
const readVariables: Requirement = { permission: 'actions_variables=read', role: 'write' };
const writeVariables: Requirement = { permission: 'actions_variables=write', role: 'write' };
const readEnvironments: Requirement = { permission: 'environments=read', role: 'write' };
const writeEnvironments: Requirement = { permission: 'environments=write', role: 'write' };

/**
 * The operations of GitHub's API that the server knows, by their ids in GitHub's own description. For one more: a line
 * here, `npm run update:github-description`, and a handler.
 */
export const operations: Readonly<Record<string, Requirement>> = {
  'users/get-authenticated': {},
  'users/get-by-username': {},
  'orgs/get': {},
  'orgs/get-membership-for-authenticated-user': { scope: 'read:org' },
  'rate-limit/get': {},
  'meta/get': {},

  'repos/create-for-authenticated-user': { permission: 'administration=write' },
  'repos/create-in-org': { permission: 'administration=write' },
  'repos/list-for-authenticated-user': { permission: 'metadata=read' },
  'repos/get': metadata,
  'repos/update': administration,
  'repos/delete': { ...administration, scope: 'delete_repo' },
  'repos/get-all-topics': metadata,
  'repos/replace-all-topics': administration,

  'repos/list-branches': readContents,
  'repos/get-branch': readContents,
  'git/get-ref': readContents,
  'git/create-ref': writeContents,
  'repos/list-commits': readContents,
  'repos/get-commit': readContents,
  'repos/compare-commits': readContents,
  'repos/get-content': readContents,

  'actions/get-repo-public-key': readSecrets,
  'actions/list-repo-secrets': readSecrets,
  'actions/get-repo-secret': readSecrets,
  'actions/create-or-update-repo-secret': writeSecrets,
  'actions/delete-repo-secret': writeSecrets,
  'actions/list-repo-variables': readVariables,
  'actions/get-repo-variable': readVariables,
  'actions/create-repo-variable': writeVariables,
  'actions/update-repo-variable': writeVariables,
  'actions/delete-repo-variable': writeVariables,

  'repos/get-all-environments': readActions,
  'repos/get-environment': readActions,
  'repos/create-or-update-environment': administration,
  'repos/delete-an-environment': administration,
  'repos/list-deployment-branch-policies': readActions,
  'repos/create-deployment-branch-policy': administration,
  'repos/delete-deployment-branch-policy': administration,
  'actions/get-environment-public-key': readEnvironments,
  'actions/list-environment-secrets': readEnvironments,
  'actions/get-environment-secret': readEnvironments,
  'actions/create-or-update-environment-secret': writeEnvironments,
  'actions/delete-environment-secret': writeEnvironments,
  'actions/list-environment-variables': readEnvironments,
  'actions/get-environment-variable': readEnvironments,
  'actions/create-environment-variable': writeEnvironments,
  'actions/update-environment-variable': writeEnvironments,
  'actions/delete-environment-variable': writeEnvironments,

  'repos/get-repo-rulesets': metadata,
  'repos/get-repo-ruleset': metadata,
  'repos/create-repo-ruleset': administration,
  'repos/update-repo-ruleset': administration,
  'repos/delete-repo-ruleset': administration,
  'repos/get-branch-protection': readAdministration,
  'repos/update-branch-protection': administration,
  'repos/delete-branch-protection': administration,

  'repos/list-deploy-keys': readAdministration,
  'repos/get-deploy-key': readAdministration,
  'repos/create-deploy-key': administration,
  'repos/delete-deploy-key': administration,

  'repos/list-releases': readContents,
  'repos/get-latest-release': readContents,
  'repos/get-release-by-tag': readContents,
  'repos/create-release': writeContents,

  'actions/list-repo-workflows': readActions,
  'actions/list-workflow-runs-for-repo': readActions,
  'actions/list-workflow-runs': readActions,
  'actions/create-workflow-dispatch': { permission: 'actions=write', role: 'write' },
  'actions/get-github-actions-permissions-repository': readAdministration,
  'actions/set-github-actions-permissions-repository': administration,
  'actions/get-github-actions-default-workflow-permissions-repository': readAdministration,
  'actions/set-github-actions-default-workflow-permissions-repository': administration,

  'repos/check-vulnerability-alerts': readAdministration,
  'repos/enable-vulnerability-alerts': administration,
  'repos/disable-vulnerability-alerts': administration,
  'repos/check-automated-security-fixes': readAdministration,
  'repos/enable-automated-security-fixes': administration,
  'repos/disable-automated-security-fixes': administration,
  'repos/check-immutable-releases': readAdministration,
  'repos/enable-immutable-releases': administration,
  'repos/disable-immutable-releases': administration,

  'issues/list-for-repo': { permission: 'issues=read', role: 'read' },
  'issues/create': { permission: 'issues=write', role: 'read' },
  'issues/get': { permission: 'issues=read', role: 'read' },
  'issues/update': { permission: 'issues=write', role: 'write' },
  'issues/list-comments': { permission: 'issues=read; pull_requests=read', role: 'read' },
  'issues/create-comment': { permission: 'issues=write; pull_requests=write', role: 'read' },
  'issues/update-comment': { permission: 'issues=write; pull_requests=write', role: 'write' },
};
