import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { usageError } from './errors.ts';
import { projectPaths } from './paths.ts';
import { type Environment, type Environments, type Project, siteNames } from './project.ts';
import {
  type AnswerName,
  type Answers,
  type Defaults,
  type Question,
  questions,
  switches,
} from './questions.ts';
import { quoted, validateDomain, validateEnvironmentName } from './validate.ts';

function environmentQuestion(projectName: string, existing: readonly Environment[]): Question {
  return {
    name: 'environment',
    flag: switches.environment.flag,
    prompt: 'Name of the new environment',
    description: 'Name of the new environment, for example staging',
    validate(value) {
      validateEnvironmentName(value, projectName);
      if (!existing.some(({ name }) => name === value)) return value;
      throw usageError(
        `The project has an environment ${quoted(value)} already`,
        `To work on it: yo goboot:deploy --environment ${value}. To move it to another host: --replace. To go on with an interrupted run: --resume.`,
      );
    },
    ...(!existing.some(({ name }) => name === 'staging') && { default: () => 'staging' }),
    keep: 'never',
  };
}

function table(name: AnswerName): Question {
  return questions.find((question) => question.name === name) as Question;
}

/** The questions about a new environment as far as the command line knows them: names, flags and descriptions. */
export const environmentFlags: readonly Question[] = [
  environmentQuestion('', []),
  ...(
    [
      ...(['domain', 'host', 'user', 'port', 'keyFile'] as const),
      ...(['jumpHost', 'jumpUser', 'jumpPort', 'jumpKeyFile'] as const),
      ...(['www', 'basicAuthUser', 'knownHostsFile'] as const),
    ] satisfies AnswerName[]
  ).map(table),
];

/**
 * The environment that an interrupted run was about: the one that is named, else the one that was added last. Throws a
 * usage error for one that is not there, and for the first one.
 */
export function environmentToResume(
  existing: Environments,
  name = existing.at(-1)?.name,
): { added: Environment; others: Environments } {
  const [first, ...further] = existing;
  const added = further.find((each) => each.name === name);
  if (added) return { added, others: [first, ...further.filter((each) => each !== added)] };
  throw usageError(
    name === first.name
      ? 'The project has no further environment to go on with'
      : `The project has no environment ${quoted(String(name))} to go on with`,
    name === first.name
      ? `To go on with ${first.name}: yo goboot --resume. To add another one, leave --resume out.`
      : 'Leave --resume out to add it.',
  );
}

/**
 * The address of the host: an argument, or the value of --host. Throws a usage error when they differ.
 */
export function givenAddress(argument: string | undefined, flag: string | undefined): string | undefined {
  if (argument === undefined || flag === undefined || argument === flag) return argument ?? flag;
  throw usageError(
    `Two addresses were given: ${quoted(argument)} and --host ${quoted(flag)}`,
    'Give one of them.',
  );
}

/**
 * The questions about a new environment, in order. What is not said of its host is as it is for the environment that the
 * project has already on the same host; without an address, that is the first one's.
 */
export function environmentQuestions(
  { name: projectName }: Project,
  existing: Environments,
): readonly Question[] {
  const [first] = existing;
  const neighbour = ({ host }: Partial<Answers>) => existing.find((each) => each.host.address === host);
  const like = (
    name: AnswerName,
    ofNeighbour: (environment: Environment) => string | undefined,
    otherwise: Question['default'] = table(name).default,
  ): Question => ({
    ...table(name),
    default(answers, defaults) {
      const environment = neighbour(answers);
      return environment ? (ofNeighbour(environment) ?? '') : otherwise?.(answers, defaults);
    },
  });
  const domain: Question = {
    ...table('domain'),
    validate(value) {
      const domain = validateDomain(value);
      const taken = existing.find((each) => siteNames(each).includes(domain));
      if (!taken) return domain;
      throw usageError(
        `The environment ${quoted(taken.name)} of this project has the name ${quoted(domain)}`,
        'Give another one: an environment has a domain of its own.',
      );
    },
  };
  return [
    environmentQuestion(projectName, existing),
    domain,
    { ...table('host'), default: () => first.host.address },
    like(
      'user',
      ({ host }) => host.user,
      (_, { configuredHost }) => configuredHost?.user ?? first.host.user,
    ),
    like('port', ({ host }) => String(host.port)),
    like(
      'keyFile',
      ({ host }) => host.keyFile,
      (_, { configuredHost }) => configuredHost?.keyFile ?? first.host.keyFile ?? '',
    ),
    like('jumpHost', ({ jump }) => jump?.address),
    like('jumpUser', ({ jump }) => jump?.user),
    like('jumpPort', ({ jump }) => jump && String(jump.port)),
    like('jumpKeyFile', ({ jump }) => jump?.keyFile),
    table('www'),
    { ...table('basicAuthUser'), default: () => '', flagOnly: false },
    table('knownHostsFile'),
  ];
}

/** The names of the answers about how a host is reached. */
export const hostAnswers = [
  ...(['host', 'user', 'port', 'keyFile'] as const),
  ...(['jumpHost', 'jumpUser', 'jumpPort', 'jumpKeyFile'] as const),
] satisfies AnswerName[];

/**
 * The questions about the host that is to replace another one, in order. What is not said of it is as it is for the host
 * before, but for the way through jump hosts, which another address need not have.
 */
export function replacementQuestions({ host: before }: Environment): readonly Question[] {
  const like = (name: AnswerName, value: (defaults: Defaults) => string | undefined): Question => ({
    ...table(name),
    default: (_, defaults) => value(defaults) ?? '',
  });
  const { default: _, ...host } = table('host');
  return [
    {
      ...host,
      validate(value) {
        const address = table('host').validate(value);
        if (address !== before.address) return address;
        throw usageError(
          `${quoted(before.address)} is the host that the environment is on`,
          'Give the address of the new one. To provision that one again: yo goboot:deploy --provision',
        );
      },
    },
    like('user', ({ configuredHost }) => configuredHost?.user ?? before.user),
    like('port', ({ configuredHost }) => String(configuredHost?.port ?? 22)),
    like('keyFile', ({ configuredHost }) => configuredHost?.keyFile ?? before.keyFile),
    ...(['jumpHost', 'jumpUser', 'jumpPort', 'jumpKeyFile', 'knownHostsFile'] as const).map(table),
  ];
}

/** What an environment's inventory says of servers of the owner's own, which all environments use. */
const sharedVariables = [
  'acme_directory_url',
  'acme_certificate_authority_file',
  'python_package_index_url',
  'certificate_authority_bundle',
];

/** Gives the text of a new inventory what the owner has set in that of another environment. */
export async function withSharedVariables(
  text: string,
  projectRoot: string,
  { name }: Environment,
): Promise<string> {
  const path = join(projectRoot, projectPaths.environmentVariables(name));
  const written = await readFile(path, 'utf8').catch(() => '');
  return sharedVariables.reduce((result, variable) => {
    const line = new RegExp(`^${variable}:.*$`, 'm');
    const [value] = written.match(line) ?? [];
    return value === undefined ? result : result.replace(line, () => value);
  }, text);
}
