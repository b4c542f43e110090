import { GobootError } from '../errors.ts';
import type { Account } from '../github/account.ts';
import type { GitHubFacts } from '../github/facts.ts';
import { foreignRepositoryError, fullName } from '../github/repository.ts';
import { describeTokenKind, missingScopes } from '../github/token.ts';
import type { Check, CheckContext, CheckResult } from './check.ts';

/** A token that ends sooner than this, in days, is worth a word. */
const soon = 7;
const day = 24 * 60 * 60 * 1000;

function requiredFacts({ gitHub }: CheckContext): GitHubFacts {
  if (!gitHub) throw new GobootError('GitHub plays no part in this command');
  return gitHub;
}

const notReached: CheckResult = {
  status: 'warning',
  detail: 'not checked: GitHub does not say whose token it is',
};

const tokenCheck: Check = {
  name: 'GitHub token',
  run: async (context) => judgeToken(await requiredFacts(context).account),
};

/** Judges what GitHub says of a token: what it may do, as far as that can be known, and for how long. */
export function judgeToken(
  { login, tokenKind, scopes, tokenExpiresAt }: Account,
  now = new Date(),
): CheckResult {
  const who = `${describeTokenKind(tokenKind)} of ${login}`;
  const missing = scopes ? missingScopes(scopes) : [];
  if (missing.length > 0) {
    return {
      status: 'failed',
      detail: `the ${who} lacks the ${missing.length === 1 ? 'scope' : 'scopes'} ${missing.join(' and ')}`,
      remedy: `Add ${missing.length === 1 ? 'it' : 'them'} on GitHub under Settings, Developer settings, Personal access tokens. With gh: gh auth refresh --scopes ${missing.join(',')}`,
    };
  }
  if (!tokenExpiresAt) return { status: 'ok', detail: who };
  const days = Math.floor((tokenExpiresAt.getTime() - now.getTime()) / day);
  return {
    status: days < soon ? 'warning' : 'ok',
    detail: `${who}, ends ${days < 1 ? 'today' : `in ${days} ${days === 1 ? 'day' : 'days'}`}`,
  };
}

const repositoryCheck: Check = {
  name: 'GitHub repository',
  async run(context) {
    const facts = requiredFacts(context);
    const account = await facts.account.catch(() => undefined);
    if (!account) return notReached;
    const found = await facts.repository;
    if (found.state === 'absent') {
      const owner = await facts.owner;
      return { status: 'ok', detail: `${owner.login}/${context.projectName} will be created` };
    }
    if (found.state === 'foreign') throw foreignRepositoryError(found.repository);
    const name = fullName(found.repository);
    if (!found.repository.mayAdminister) {
      return {
        status: 'failed',
        detail: `${account.login} does not administer ${name}`,
        remedy:
          'Its settings, secrets and rules are for administrators: ask one of them to run this, or to make you one.',
      };
    }
    if (found.state === 'empty') return { status: 'ok', detail: `${name} is there and empty` };
    if (found.main === 'ahead' || found.main === 'diverged') {
      return {
        status: 'failed',
        detail: `main of ${name} has commits that are not here`,
        remedy: 'Get them first: git pull --rebase',
      };
    }
    return { status: 'ok', detail: `${name} is this project’s` };
  },
};

/** What is asked of GitHub before anything is created there. */
export const gitHubChecks: readonly Check[] = [tokenCheck, repositoryCheck];
