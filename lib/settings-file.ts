import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { GobootError, usageError } from './errors.ts';
import { jumpHostOf } from './jump-hosts.ts';
import { projectPaths } from './paths.ts';
import {
  defaultEnvironment,
  type Environment,
  type Project,
  projectTitle,
  type SshTarget,
  siteName,
  type WwwChoice,
} from './project.ts';
import { type AnswerName, type Answers, questions } from './questions.ts';
import { quoted } from './validate.ts';

/** The key of `.yo-rc.json` under which Yeoman keeps what belongs to this generator. */
const generatorKey = 'generator-goboot';

type Kept = Partial<Record<AnswerName, string | number>>;

/** What `.yo-rc.json` holds: the answers that later commands need, and nothing secret. */
export interface StoredAnswers {
  project: Kept;
  environments: Record<string, Kept>;
  /** The hosts that environments have moved away from, until they are removed. */
  oldHosts?: OldHostAnswers[];
}

type OldHostAnswers = Kept & { environment: string; since: string };

/** A host that an environment has moved away from: its site is closed there, and its data still on it. */
export interface OldHost {
  /** As it was before the move. */
  environment: Environment;
  /** When it moved, ISO 8601. */
  since: string;
}

/** The directory of the goboot project that holds a directory, or undefined outside of one. */
export function findProjectRoot(start: string): string | undefined {
  for (let directory = start; ; directory = dirname(directory)) {
    const file = join(directory, projectPaths.answers);
    if (existsSync(file) && readKey(file) !== undefined) return directory;
    if (directory === dirname(directory)) return undefined;
  }
}

function readKey(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))[generatorKey];
  } catch (error) {
    throw new GobootError(`${quoted(file)} is not valid JSON: ${(error as Error).message}`, {
      remedy: 'Repair it, or bring it back with: git checkout -- .yo-rc.json',
      cause: error,
    });
  }
}

/**
 * Where the project of that name is or will be: the surrounding project, the current directory when it is empty and
 * has that name, otherwise a directory of that name inside it.
 *
 * Throws a usage error when the current directory belongs to another project.
 */
export function locateProject(
  currentDirectory: string,
  projectName: string,
  surrounding: string | undefined,
): string {
  if (surrounding) {
    const name = readStoredAnswers(surrounding).project.projectName;
    if (name === projectName) return surrounding;
    throw usageError(
      `${quoted(surrounding)} holds the project ${quoted(String(name))}, not ${quoted(projectName)}`,
      'Leave its directory to start a new project, or leave the name out to render this one again.',
    );
  }
  const isEmpty = readdirSync(currentDirectory).every((entry) => entry === '.git');
  return isEmpty && basename(currentDirectory) === projectName
    ? currentDirectory
    : join(currentDirectory, projectName);
}

/** Reads the stored answers of a project. Throws a GobootError when the file is damaged. */
export function readStoredAnswers(projectRoot: string): StoredAnswers {
  const file = join(projectRoot, projectPaths.answers);
  const stored = existsSync(file) ? (readKey(file) as Partial<StoredAnswers> | undefined) : undefined;
  return {
    project: stored?.project ?? {},
    environments: stored?.environments ?? {},
    ...(stored?.oldHosts && { oldHosts: stored.oldHosts }),
  };
}

/** Splits answers by where they are kept; those that are never kept are left out. */
export function answersToStore(answers: Answers): { project: Kept; environment: Kept } {
  const pick = (place: 'project' | 'environment'): Kept =>
    Object.fromEntries(
      questions
        .filter(({ keep, name }) => keep === place && answers[name] !== undefined)
        .map(({ name }) => [name, answers[name]]),
    );
  return { project: pick('project'), environment: pick('environment') };
}

/** Adds answers about the project to those that are stored, and returns whether that changed anything. */
export function storeProjectAnswers(projectRoot: string, answers: Kept): Promise<boolean> {
  return store(projectRoot, (stored) => {
    stored.project = { ...stored.project, ...answers };
  });
}

/** The same for the answers about one environment, which is added where there is none of that name. */
export function storeEnvironmentAnswers(
  projectRoot: string,
  environment: string,
  answers: Kept,
): Promise<boolean> {
  return store(projectRoot, (stored) => {
    stored.environments = {
      ...stored.environments,
      [environment]: { ...stored.environments[environment], ...answers },
    };
  });
}

/** Takes an environment out. */
export function forgetEnvironment(projectRoot: string, environment: string): Promise<boolean> {
  return store(projectRoot, (stored) => {
    delete stored.environments[environment];
  });
}

/** The hosts that environments have moved away from, in the order in which they did. */
export function storedOldHosts(projectRoot: string): OldHost[] {
  const stored = readStoredAnswers(projectRoot);
  return (stored.oldHosts ?? []).map(({ environment: name, since, ...answers }) => {
    const before = { project: stored.project, environments: { [name]: answers } };
    return { environment: projectFromAnswers(readAnswers(before, name), name).environment, since };
  });
}

/**
 * Moves an environment to another host: the answers about that take the place of the ones before, which are kept among
 * the old hosts.
 */
export function storeMove(
  projectRoot: string,
  environment: string,
  answers: Kept,
  since: string,
): Promise<boolean> {
  return store(projectRoot, (stored) => {
    const before = stored.environments[environment] ?? {};
    stored.oldHosts = [
      // A host that a site comes back to is not an old one any more.
      ...(stored.oldHosts ?? []).filter(
        (each) => each.environment !== environment || each.host !== answers.host,
      ),
      { ...before, environment, since },
    ];
    if (stored.oldHosts.length === 0) delete stored.oldHosts;
    stored.environments[environment] = { ...before, ...answers };
  });
}

/** Takes an old host out of the list. */
export function forgetOldHost(projectRoot: string, { environment }: OldHost): Promise<boolean> {
  return store(projectRoot, (stored) => {
    stored.oldHosts = (stored.oldHosts ?? []).filter(
      (each) => each.environment !== environment.name || each.host !== environment.host.address,
    );
    if (stored.oldHosts.length === 0) delete stored.oldHosts;
  });
}

async function store(projectRoot: string, change: (stored: StoredAnswers) => void): Promise<boolean> {
  const file = join(projectRoot, projectPaths.answers);
  const before = await readFile(file, 'utf8');
  const contents = JSON.parse(before);
  change(contents[generatorKey]);
  const after = `${JSON.stringify(contents, null, 2)}\n`;
  if (after === before) return false;
  await writeFile(file, after);
  return true;
}

/** Stored answers of one environment as text, to be validated like everything else. */
export function storedAsText(
  stored: StoredAnswers,
  environment: string,
): Partial<Record<AnswerName, string>> {
  const kept = { ...stored.project, ...stored.environments[environment] };
  return Object.fromEntries(Object.entries(kept).map(([name, value]) => [name, String(value)]));
}

function target(
  answers: Answers,
  names: { host: AnswerName; user: AnswerName; port: AnswerName; keyFile: AnswerName },
): SshTarget {
  const keyFile = answers[names.keyFile] as string;
  return {
    address: answers[names.host] as string,
    user: answers[names.user] as string,
    port: answers[names.port] as number,
    ...(keyFile && { keyFile }),
  };
}

function usualWww(environmentName: string, domain: string): WwwChoice {
  return environmentName === defaultEnvironment && !domain.startsWith('www.') ? 'redirect' : 'none';
}

/** The project and its environment that answers describe. */
export function projectFromAnswers(
  answers: Answers,
  environmentName: string,
): { project: Project; environment: Environment } {
  const jump = jumpHostOf(answers);
  return {
    project: {
      name: answers.projectName,
      title: projectTitle(answers.projectName),
      authorName: answers.author,
      authorEmail: answers.email,
      github: {
        visibility: answers.visibility ?? 'private',
        flow: answers.flow ?? 'trunk',
        linter: answers.linter ?? 'pre-commit',
        ...(answers.owner && { owner: answers.owner }),
        ...(answers.githubUrl && { apiUrl: answers.githubUrl }),
      },
    },
    environment: {
      name: environmentName,
      site: siteName(answers.projectName, environmentName),
      domain: answers.domain,
      www: answers.www ?? usualWww(environmentName, answers.domain),
      ...(answers.basicAuthUser && { basicAuthUser: answers.basicAuthUser }),
      host: target(answers, { host: 'host', user: 'user', port: 'port', keyFile: 'keyFile' }),
      ...(jump && { jump }),
    },
  };
}

export interface OpenedProject {
  root: string;
  project: Project;
  environment: Environment;
}

/** Reads what is stored of an environment, with what is given for this run in its place. Throws a usage error. */
function readAnswers(
  stored: StoredAnswers,
  environmentName: string,
  given: Partial<Record<AnswerName, string>> = {},
): Answers {
  const values = storedAsText(stored, environmentName);
  return Object.fromEntries(
    questions.flatMap(({ name, validate, validateStored = validate }) => {
      const [override, value] = [given[name], values[name]];
      if (override !== undefined) return [[name, validate(override)]];
      return value === undefined ? [] : [[name, validateStored(value)]];
    }),
  ) as unknown as Answers;
}

/**
 * Every environment that a project has, in the order in which they were added; none in a directory without a project.
 * Throws a GobootError when the file is damaged.
 */
export function storedEnvironments(projectRoot: string): Environment[] {
  const stored = readStoredAnswers(projectRoot);
  return Object.keys(stored.environments).map(
    (name) => projectFromAnswers(readAnswers(stored, name), name).environment,
  );
}

/**
 * Finds the project that a directory belongs to and one of its environments, production unless named.
 * What is given for this run stands in for stored answers.
 *
 * Throws a usage error outside of a project, for an environment that it does not have, and for given answers that are not
 * valid.
 */
export function openProject(
  directory: string,
  environmentName: string = defaultEnvironment,
  given: Partial<Record<AnswerName, string>> = {},
): OpenedProject {
  const root = findProjectRoot(directory);
  if (!root) {
    throw usageError(
      `${quoted(directory)} is not in a project of goboot`,
      'Change into the project’s directory, or start a project with: yo goboot',
    );
  }
  const stored = readStoredAnswers(root);
  if (!stored.environments[environmentName]) {
    throw usageError(
      `The project has no environment ${quoted(environmentName)}`,
      `It has: ${Object.keys(stored.environments).join(', ') || 'none'}.`,
    );
  }
  return { root, ...projectFromAnswers(readAnswers(stored, environmentName, given), environmentName) };
}
