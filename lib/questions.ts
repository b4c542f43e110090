import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { usageError } from './errors.ts';
import type { Flow, Linter } from './github/flow.ts';
import { asAnswer, asList, each } from './jump-hosts.ts';
import type { RepositoryVisibility, SshTarget, WwwChoice } from './project.ts';
import type { ConfiguredHost } from './ssh/user-configuration.ts';
import {
  expandPath,
  quoted,
  validateAuthor,
  validateBasicAuthUser,
  validateDomain,
  validateEmail,
  validateFlow,
  validateGitHubOwner,
  validateGitHubUrl,
  validateHost,
  validateKeyFile,
  validateKnownHostsFile,
  validateLinter,
  validatePort,
  validateProjectName,
  validateStoredKeyFile,
  validateUser,
  validateVisibility,
  validateWww,
} from './validate.ts';

/** Everything that `yo goboot` may ask, with its type after validation. */
export interface Answers {
  projectName: string;
  author: string;
  email: string;
  domain: string;
  host: string;
  user: string;
  port: number;
  keyFile: string;
  knownHostsFile: string;
  jumpHost: string;
  jumpUser: string;
  jumpPort: number | string;
  jumpKeyFile: string;
  owner: string;
  visibility: RepositoryVisibility;
  githubUrl: string;
  flow: Flow;
  linter: Linter;
  /** Asked by `yo goboot:host` alone. */
  environment: string;
  www: WwwChoice;
  /** The name that visitors have to give before they see the site; empty: nobody has to. */
  basicAuthUser: string;
}

export type AnswerName = keyof Answers;

/** What git, ssh and the system know, as a source of defaults. */
export interface Defaults {
  gitName: string;
  gitEmail: string;
  /** The names of machines in the user's ssh configuration. */
  hostNames?: readonly string[];
  /** What that says of the host, once there is an answer. */
  configuredHost?: ConfiguredHost;
}

export interface Question<Name extends AnswerName = AnswerName> {
  name: Name;
  /** The long flag without dashes; the project's name is an argument instead. */
  flag?: string;
  /** One letter. */
  short?: string;
  prompt: string;
  /** For `--help`. */
  description: string;
  /** Turns what was typed into an answer or throws a usage error. */
  validate: (value: string) => Answers[Name];
  /**
   * Reads an answer of an earlier run; `validate` unless given. What depends on this computer, and not on the text, is
   * left to the checks: another computer may have no such file.
   */
  validateStored?: (value: string) => Answers[Name];
  /**
   * Taken when nothing is typed; without one the question must be answered. Undefined where it follows from an
   * answer that is missing.
   */
  default?: (answers: Partial<Answers>, defaults: Defaults) => string | undefined;
  /** Answers to choose from, besides the default and any other one. */
  choices?: (defaults: Defaults) => readonly string[];
  /** Whether the question makes sense, given the answers so far; an answer given by flag is kept regardless. */
  when?: (answers: Partial<Answers>) => boolean;
  /** Never asked, only taken from a flag or an answers file. */
  flagOnly?: boolean;
  /** Where the answer is kept for later commands. */
  keep: 'project' | 'environment' | 'never';
  /** Not asked where GitHub plays no part; an answer given by flag is kept regardless. */
  aboutGitHub?: true;
}

const usualKeyFiles = ['~/.ssh/id_ed25519', '~/.ssh/id_ecdsa', '~/.ssh/id_rsa'];

function usualKeyFile(): string {
  return usualKeyFiles.find((path) => existsSync(expandPath(path))) ?? '';
}

function hasJumpHost(answers: Partial<Answers>): boolean {
  return Boolean(answers.jumpHost);
}

/**
 * The jump hosts of the user's ssh configuration. Throws a usage error for a way that only this computer can go.
 */
function configuredJumps(configured: ConfiguredHost | undefined): readonly SshTarget[] {
  if (!configured?.proxyCommand) return configured?.jumps ?? [];
  throw usageError(
    `Your ssh configuration reaches ${quoted(configured.address)} by a ProxyCommand, which only this computer has`,
    'Name the host to go through with --jump-host, or none with --jump-host=.',
  );
}

function addressesOf(jumps: readonly SshTarget[]): string {
  return asList(jumps.map(({ address }) => address));
}

/** What the ssh configuration says of each jump host, if they are those that were answered. */
function valueOfJumps(
  addresses: string | undefined,
  configured: ConfiguredHost | undefined,
  value: (jump: SshTarget) => string | undefined,
): string | undefined {
  const jumps = configured?.jumps ?? [];
  if (jumps.length === 0 || addressesOf(jumps) !== addresses) return undefined;
  return asAnswer(jumps.map(value));
}

function define<Name extends AnswerName>(question: Question<Name>): Question {
  return question as unknown as Question;
}

/** Every question, in the order in which it is asked. */
export const questions: readonly Question[] = [
  define({
    name: 'projectName',
    prompt: 'Project name',
    description: 'Python identifier; the name of the directory and of the package',
    validate: validateProjectName,
    keep: 'project',
  }),
  define({
    name: 'domain',
    flag: 'domain',
    short: 'D',
    prompt: 'Domain of the site',
    description: 'Domain of the site, for example shop.example.com',
    validate: validateDomain,
    keep: 'environment',
  }),
  define({
    name: 'author',
    flag: 'author',
    short: 'A',
    prompt: 'Author',
    description: 'Name of the author; git’s user.name unless given',
    validate: validateAuthor,
    default: (_, { gitName }) => gitName,
    keep: 'project',
  }),
  define({
    name: 'email',
    flag: 'email',
    short: 'E',
    prompt: 'E-mail address for error reports and certificate notices',
    description: 'E-mail address for error reports and certificate notices; git’s user.email unless given',
    validate: validateEmail,
    default: (_, { gitEmail }) => gitEmail,
    keep: 'project',
  }),
  define({
    name: 'host',
    flag: 'host',
    short: 'H',
    prompt: 'SSH host (name or address)',
    description: 'Name or address of the server, or its name in your ~/.ssh/config; the domain unless given',
    validate: validateHost,
    default: ({ domain }) => domain,
    choices: ({ hostNames = [] }) => hostNames,
    keep: 'environment',
  }),
  define({
    name: 'user',
    flag: 'user',
    short: 'U',
    prompt: 'SSH user (with sudo, without a password)',
    description:
      'Account on the server that may use sudo without a password; that of your ~/.ssh/config or your own name unless given',
    validate: validateUser,
    default: (_, { configuredHost }) => configuredHost?.user ?? userInfo().username,
    keep: 'environment',
  }),
  define({
    name: 'port',
    flag: 'port',
    short: 'P',
    prompt: 'SSH port',
    description: 'SSH port of the server; that of your ~/.ssh/config or 22 unless given',
    validate: validatePort,
    default: (_, { configuredHost }) => String(configuredHost?.port ?? 22),
    keep: 'environment',
  }),
  define({
    name: 'keyFile',
    flag: 'key-file',
    short: 'K',
    prompt: 'Private SSH key (empty: the keys of your agent)',
    description:
      'Private SSH key; that of your ~/.ssh/config, else the usual one in ~/.ssh, else those of the agent, unless given',
    validate: validateKeyFile,
    validateStored: validateStoredKeyFile,
    default: (_, { configuredHost }) => configuredHost?.keyFile ?? usualKeyFile(),
    keep: 'environment',
  }),
  define({
    name: 'jumpHost',
    flag: 'jump-host',
    short: 'J',
    prompt: 'SSH jump host (empty: none)',
    description:
      'Host to connect through, or several in a row with commas, the first one first; that of your ~/.ssh/config or none unless given',
    validate: (value) => (value.trim() === '' ? '' : each(validateHost)(value)),
    default: (_, { configuredHost }) => addressesOf(configuredJumps(configuredHost)),
    keep: 'environment',
  }),
  define({
    name: 'jumpUser',
    flag: 'jump-user',
    prompt: 'User on the jump host',
    description:
      'User on the jump host, or one for each with commas; that of your ~/.ssh/config or --user unless given',
    validate: each(validateUser),
    default: ({ user, jumpHost }, { configuredHost }) =>
      valueOfJumps(jumpHost, configuredHost, (jump) => jump.user) ?? user,
    when: hasJumpHost,
    keep: 'environment',
  }),
  define({
    name: 'jumpPort',
    flag: 'jump-port',
    prompt: 'SSH port of the jump host',
    description:
      'SSH port of the jump host, or one for each with commas; that of your ~/.ssh/config or 22 unless given',
    validate: each(validatePort),
    default: ({ jumpHost }, { configuredHost }) =>
      valueOfJumps(jumpHost, configuredHost, (jump) => String(jump.port)) ?? '22',
    when: hasJumpHost,
    keep: 'environment',
  }),
  define({
    name: 'jumpKeyFile',
    flag: 'jump-key-file',
    prompt: 'Private SSH key for the jump host',
    description:
      'Private SSH key for the jump host, or one for each with commas; that of your ~/.ssh/config or --key-file unless given',
    validate: each(validateKeyFile),
    validateStored: validateStoredKeyFile,
    default: ({ keyFile, jumpHost }, { configuredHost }) =>
      valueOfJumps(jumpHost, configuredHost, (jump) => jump.keyFile ?? keyFile) ?? keyFile,
    when: hasJumpHost,
    keep: 'environment',
  }),
  define({
    name: 'www',
    flag: 'www',
    prompt: 'What www. before the domain does (redirect or none)',
    description:
      'Whether www. before the domain leads to it: redirect or none; redirect unless given, none outside of production',
    validate: validateWww,
    flagOnly: true,
    keep: 'environment',
  }),
  define({
    name: 'basicAuthUser',
    flag: 'basic-auth',
    prompt: 'Name that visitors have to give, together with a password (empty: everybody may look)',
    description:
      'Name that visitors have to give, together with a password from the vault; none unless given',
    validate: validateBasicAuthUser,
    flagOnly: true,
    keep: 'environment',
  }),
  define({
    name: 'knownHostsFile',
    flag: 'known-hosts-file',
    short: 'N',
    prompt: 'known_hosts file',
    description:
      'known_hosts file that holds the keys of the hosts; otherwise yours, otherwise the key is shown when first seen',
    validate: validateKnownHostsFile,
    default: () => '',
    flagOnly: true,
    keep: 'never',
  }),
  define({
    name: 'owner',
    flag: 'owner',
    prompt: 'GitHub user or organisation that gets the repository (empty: the account of your token)',
    description:
      'GitHub user or organisation that owns the repository; the account of your token unless given',
    validate: validateGitHubOwner,
    default: () => '',
    keep: 'project',
    aboutGitHub: true,
  }),
  define({
    name: 'visibility',
    flag: 'visibility',
    prompt: 'Visibility of the repository (private or public)',
    description: 'Who sees the repository: private or public; private unless given',
    validate: validateVisibility,
    default: () => 'private',
    keep: 'project',
    aboutGitHub: true,
  }),
  define({
    name: 'githubUrl',
    flag: 'github-url',
    prompt: 'URL of GitHub’s API',
    description: 'URL of the API of a GitHub Enterprise Server; https://api.github.com unless given',
    validate: validateGitHubUrl,
    flagOnly: true,
    keep: 'project',
    aboutGitHub: true,
  }),
  define({
    name: 'flow',
    flag: 'flow',
    prompt: 'How changes reach the environments (trunk or gitops)',
    description:
      'How changes reach the environments: trunk (releases of main go to production) or gitops (each environment has a branch); trunk unless given',
    validate: validateFlow,
    default: () => 'trunk',
    flagOnly: true,
    keep: 'project',
  }),
  define({
    name: 'linter',
    flag: 'linter',
    prompt: 'What lints the project on GitHub (pre-commit or super-linter)',
    description:
      'What lints the project on GitHub: pre-commit (the same hooks as before a commit) or super-linter; pre-commit unless given',
    validate: validateLinter,
    default: () => 'pre-commit',
    flagOnly: true,
    keep: 'project',
  }),
];

/** A flag without a prompt: it chooses how a command behaves. */
export interface Switch {
  flag: string;
  short?: string;
  description: string;
  /** The placeholder of its value; a switch without one is on or off. */
  value?: string;
  /** Whether it may be given several times; its values are then joined by commas. */
  repeatable?: true;
}

/** Flags that every command takes. */
export const commonSwitches = {
  json: { flag: 'json', description: 'Print one JSON object per line, for programs' },
  quiet: { flag: 'quiet', short: 'q', description: 'Print only problems' },
  debug: { flag: 'debug', description: 'Show stack traces' },
} as const satisfies Record<string, Switch>;

/**
 * How the user of this computer reaches the hosts, where that differs from what the project says: for one run, and never
 * stored. By the answer that each stands in for.
 */
export const connectionSwitches = {
  user: { flag: 'user', short: 'U', value: 'USER', description: 'Your account on the server, for this run' },
  keyFile: { flag: 'key-file', short: 'K', value: 'FILE', description: 'Your private SSH key, for this run' },
  jumpUser: { flag: 'jump-user', value: 'USER', description: 'Your account on the jump host, for this run' },
  jumpKeyFile: {
    flag: 'jump-key-file',
    value: 'FILE',
    description: 'Your private SSH key for the jump host, for this run',
  },
} as const satisfies Partial<Record<AnswerName, Switch>>;

/** Further flags, each taken by the commands that name it. */
export const switches = {
  answers: { flag: 'answers', value: 'FILE', description: 'YAML file with answers, named as the flags are' },
  yes: { flag: 'yes', short: 'y', description: 'Take every default and ask nothing' },
  check: { flag: 'check', description: 'Run the checks and change nothing' },
  ignoreCheck: {
    flag: 'ignore-check',
    value: 'NAME',
    description:
      'Go on although that check has failed, for example domain; several with commas or given again',
    repeatable: true,
  },
  dryRun: { flag: 'dry-run', description: 'Show what would happen and change nothing' },
  force: { flag: 'force', description: 'Overwrite changed files without asking' },
  deployKeyFile: {
    flag: 'deploy-key-file',
    value: 'FILE',
    description: 'Private key for deploys by GitHub; a new one is made unless given',
  },
  skipGitHub: { flag: 'skip-github', description: 'Leave GitHub alone' },
  resume: { flag: 'resume', description: 'Go on where an earlier run stopped; changed files are left alone' },
  undo: { flag: 'undo', description: 'Remove what earlier runs created on GitHub, and nothing else' },
  skipDeploy: { flag: 'skip-deploy', description: 'Leave the server alone' },
  sshConfig: {
    flag: 'ssh-config',
    description: 'Write the host into your ~/.ssh/config, so that "ssh <project>-<environment>" works',
  },
  list: { flag: 'list', description: 'Show every environment and how it is; change nothing' },
  provisionAll: {
    flag: 'provision',
    description: 'Provision the hosts of all environments that need it, side by side',
  },
  replace: {
    flag: 'replace',
    description: 'Move an environment that there is, with its data, to the host that is given',
  },
  leaveTasks: {
    flag: 'leave-tasks',
    description: 'With --replace: lose the background tasks that are not done within a minute',
  },
  removeSite: {
    flag: 'remove',
    description: 'Remove a site from an old host, by its address, or an environment, by its name',
  },
  confirm: {
    flag: 'confirm',
    value: 'SITE',
    description: 'With --remove: the name of the site that is served, to say that its data is to be lost',
  },
  undoHost: {
    flag: 'undo',
    description: 'Take back what a run that has failed has made: of a replacement, or of a new environment',
  },
  acceptHostKey: {
    flag: 'accept-host-key',
    value: 'SHA256:…',
    description: 'Take over the changed key of a server, or jump host, that has this fingerprint',
  },
  rollback: { flag: 'rollback', description: 'Go back to the previous release' },
  withDatabase: {
    flag: 'with-db',
    description: 'With --rollback: restore the data from before the migrations since then',
  },
  acceptLoss: {
    flag: 'accept-loss',
    description: 'With --with-db, or to restore a backup: lose what was written since',
  },
  place: {
    flag: 'place',
    value: 'PLACE',
    description: 'Where backups are kept: first, on the server, or second; both unless given',
  },
  discardHotFix: {
    flag: 'discard-hot-fix',
    description: 'Deploy although the live release was changed on the server',
  },
  allowIncompatibleMigrations: {
    flag: 'allow-incompatible-migrations',
    description: 'Migrate although the live release cannot live with the new schema',
  },
  wait: { flag: 'wait', value: 'SECONDS', description: 'Wait so long for another run on the server to end' },
  provision: { flag: 'provision', description: 'Provision even when nothing has changed' },
  environment: { flag: 'environment', value: 'NAME', description: 'Environment; production unless given' },
  allow: {
    flag: 'allow',
    value: 'ADDRESS',
    description:
      'Who sees the site all the same: an address, a network, or “me” for where this login comes from; several with commas or given again',
    repeatable: true,
  },
  retryAfter: {
    flag: 'retry-after',
    value: 'SECONDS',
    description: 'When browsers and search engines may ask again; 600 unless given',
  },
  message: { flag: 'message', value: 'TEXT', description: 'What the page tells visitors, in one line' },
  set: {
    flag: 'set',
    value: 'NAME',
    description:
      'Give the application a secret of yours; its value is asked for, or read from standard input',
  },
  unset: { flag: 'unset', value: 'NAME', description: 'Remove a secret of yours' },
  rotate: {
    flag: 'rotate',
    value: 'NAME',
    description: 'Give a secret another value; several with commas or given again, or all',
    repeatable: true,
  },
  leaked: {
    flag: 'leaked',
    value: 'NAME',
    description: 'The same for a secret that others know: the old value is refused at once',
    repeatable: true,
  },
  olderThan: {
    flag: 'older-than',
    value: 'DAYS',
    description:
      'With --rotate all: only secrets that are so old; else: what counts as old; 365d unless given',
  },
  keepOld: {
    flag: 'keep-old',
    value: 'DAYS',
    description: 'How long an old secret key of Django stays valid; 30d unless given',
  },
  finish: { flag: 'finish', description: 'Remove old secret keys whose time has passed' },
  os: {
    flag: 'os',
    value: 'OS',
    description: 'Operating system of the throwaway host: debian13 (default) or debian12',
  },
  keep: { flag: 'keep', description: 'Keep the throwaway host until it is removed with --remove' },
  remove: { flag: 'remove', description: 'Remove throwaway hosts that were kept' },
} as const satisfies Record<string, Switch>;

/** Those of `yo goboot`, in the order of its help. */
export const projectSwitches: readonly Switch[] = [
  switches.yes,
  switches.answers,
  switches.check,
  switches.ignoreCheck,
  switches.dryRun,
  switches.deployKeyFile,
  switches.skipGitHub,
  switches.skipDeploy,
  switches.resume,
  switches.undo,
  switches.force,
];
