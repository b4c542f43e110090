import { GobootError } from '../errors.ts';
import { type Creation, describeCreation, type Journal, type JournalEntry } from '../journal.ts';
import { type Reporter, runStep } from '../terminal/reporter.ts';
import type { GitHub } from './client.ts';
import { deleteEnvironment } from './environments.ts';
import { GitHubError } from './errors.ts';
import { deleteRuleset } from './protection.ts';
import { removeOrigin } from './push.ts';
import { deleteRepository, findRepository, type RepositoryName } from './repository.ts';
import { deleteSecret } from './secrets.ts';
import { deleteVariable } from './variables.ts';

export interface UndoContext {
  projectRoot: string;
  github: GitHub;
  journal: Journal;
  reporter: Reporter;
}

export interface Undone {
  removed: Creation[];
  /** What stays, and why. */
  left: { creation: Creation; reason: string }[];
}

/** What an undo would try to remove, newest first. */
export function undoPlan(journal: Journal): JournalEntry[] {
  return journal.ours().reverse();
}

/**
 * Removes what earlier runs of this project created on GitHub, newest first, and nothing else: a repository goes only
 * if it still holds nothing but commits of this project. What is gone already counts as removed.
 *
 * Throws a GobootError when GitHub refuses; what was removed until then is noted, and the rest can be undone later.
 */
export async function undo(context: UndoContext): Promise<Undone> {
  const { journal, reporter } = context;
  const result: Undone = { removed: [], left: [] };
  for (const entry of undoPlan(journal).filter(({ kind }) => kind === 'repository')) {
    await runStep(
      reporter,
      `Remove ${describeCreation(entry)}`,
      () => removeRepository(context, entry, result),
      (reason) => reason,
    );
  }
  for (const entry of undoPlan(journal)) {
    if (entry.kind === 'repository') continue;
    const remove = removers[entry.kind];
    if (!remove) {
      result.left.push({ creation: entry, reason: staying[entry.kind as keyof typeof staying] });
      continue;
    }
    await runStep(reporter, `Remove ${describeCreation(entry)}`, () => remove(context.github, entry));
    await journal.remove(entry);
    result.removed.push(entry);
  }
  return result;
}

const staying = {
  push: 'the repository was there before, and what was pushed stays in it',
  site: 'goboot does not remove sites from servers yet',
} as const;

type Remover = (github: GitHub, entry: JournalEntry) => Promise<unknown>;

/** How each kind of thing in a repository is removed; the others stay. */
const removers: Partial<Record<Creation['kind'], Remover>> = {
  environment: (github, entry) => deleteEnvironment(github, repositoryOf(entry), entry.name),
  secret: (github, entry) => deleteSecret(github, storeOf(entry), entry.name),
  variable: (github, entry) => deleteVariable(github, storeOf(entry), entry.name),
  ruleset: async (github, entry) => {
    const repository = repositoryOf(entry);
    const id = entry.id ?? (await findRuleset(github, repository, entry.name));
    if (id !== undefined) await deleteRuleset(github, repository, id);
  },
};

async function findRuleset(
  github: GitHub,
  { owner, name: repo }: RepositoryName,
  name: string,
): Promise<number | undefined> {
  const rulesets = await github.find(`read the rules of ${owner}/${repo}`, (api) =>
    api.repos.getRepoRulesets({ owner, repo, includes_parents: false }),
  );
  return rulesets?.find((ruleset) => ruleset.name === name)?.id;
}

/** `octocat/shop` of the journal. */
function parseName(text: string): RepositoryName {
  const [owner = '', name = ''] = text.split('/');
  return { owner, name };
}

function repositoryOf({ place = '' }: JournalEntry): RepositoryName {
  return parseName(place);
}

function storeOf(entry: JournalEntry) {
  return { ...repositoryOf(entry), ...(entry.environment && { environment: entry.environment }) };
}

/** Removes a repository with all that is in it, or returns why it stays. */
async function removeRepository(
  { projectRoot, github, journal }: UndoContext,
  entry: JournalEntry,
  result: Undone,
): Promise<string | undefined> {
  const name = parseName(entry.name);
  const found = await findRepository(github, name);
  try {
    if (found) await deleteRepository(github, { ...name, id: entry.id ?? found.id }, projectRoot);
  } catch (error) {
    // GitHub's refusal ends the undo; that it holds more than ours does not.
    if (error instanceof GitHubError || !(error instanceof GobootError)) throw error;
    const reason = [error.message, error.remedy].filter(Boolean).join('. ');
    result.left.push({ creation: entry, reason });
    return reason;
  }
  if (found) await removeOrigin(projectRoot, found.cloneUrl);
  for (const inside of journal.ours().filter(({ place }) => place === entry.name)) {
    await journal.remove(inside);
    result.removed.push(inside);
  }
  await journal.remove(entry);
  result.removed.push(entry);
  return undefined;
}
