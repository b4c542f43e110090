import { StringDecoder } from 'node:string_decoder';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { GobootError } from '../errors.ts';
import { mainBranch } from '../git.ts';
import { type RunResult, run, runOrThrow } from '../process.ts';
import { isLoopback } from '../validate.ts';
import { GitHubError, type GitHubErrorOptions, withoutToken } from './errors.ts';
import { classicTokenPage, tokenKind } from './token.ts';

/** Seconds without any data after which git gives a connection up. */
const silence = 30;
const pushTimeout = 10 * 60_000;
/** Waits for a repository that was created a moment ago, in units of the pace. */
const settlingWaits = [1, 2, 4];

export interface PushOptions {
  /** The address that GitHub's API gave, without credentials. */
  cloneUrl: string;
  token: string;
  /** Whether the repository was created a moment ago, so that it may not be found at once. */
  isNew?: boolean;
  /** Called with git's own words about its progress, such as "Writing objects: 50% (5/10)". */
  onProgress?: (text: string) => void;
  /** Milliseconds for the whole push. */
  timeout?: number;
  /** Seconds without any data after which the connection is given up. */
  silence?: number;
  /** Milliseconds that stand for one second of waiting between attempts. */
  pace?: number;
}

export interface PushResult {
  /** False where GitHub had all commits already. */
  pushed: boolean;
  /** Whether the remote `origin` was added to the local repository. */
  originAdded: boolean;
  /** The commit that main has on GitHub now. */
  commit: string;
}

const remote = 'origin';

/**
 * Pushes main of a local repository over HTTPS and makes the repository its `origin`, without credentials.
 *
 * The token reaches git through the environment only, and git gives it to nobody but the server of `cloneUrl`:
 * stored credentials, other helpers, hooks, redirects, headers and rewritten addresses of the user's configuration
 * play no part. Proxies and certificates of that configuration do. Throws a GitHubError, or a GobootError when
 * `origin` is another repository.
 */
export async function pushMain(directory: string, options: PushOptions): Promise<PushResult> {
  const { cloneUrl, pace = 1000 } = options;
  refuseUnsafe(cloneUrl);
  const origin = await originUrl(directory);
  if (origin !== undefined && !isSameRepository(origin, cloneUrl)) {
    throw new GobootError(
      `The remote ${remote} of ${directory} is another repository: ${withoutPassword(origin)}`,
      {
        remedy: `To replace it: git remote rename ${remote} old-${remote}. Then run the same command again.`,
      },
    );
  }
  const { stdout } = await runOrThrow('git', ['rev-parse', '--verify', `${mainBranch}^{commit}`], {
    cwd: directory,
    failure: `There is no branch ${mainBranch} with a commit in ${directory}`,
  });
  const environment = await gitEnvironment(directory, options);
  const waits = options.isNew ? [...settlingWaits] : [];
  let result = await push(directory, environment, options);
  while (
    result.exitCode !== 0 &&
    /Repository not found|returned error: 404/i.test(result.stderr) &&
    waits.length > 0
  ) {
    await sleep((waits.shift() ?? 0) * pace);
    result = await push(directory, environment, options);
  }
  if (result.exitCode !== 0) throw pushError(result.stderr, options);
  if (origin === undefined) {
    await runOrThrow('git', ['remote', 'add', remote, cloneUrl], {
      cwd: directory,
      failure: `git could not add the remote ${remote}`,
    });
  }
  await trackMain(directory, stdout.trim());
  return {
    pushed: !/^=\t/m.test(result.stdout),
    originAdded: origin === undefined,
    commit: stdout.trim(),
  };
}

/** Removes the remote that a push added, unless it has become another one since. Returns whether it was there. */
export async function removeOrigin(directory: string, cloneUrl: string): Promise<boolean> {
  const origin = await originUrl(directory);
  if (origin === undefined || !isSameRepository(origin, cloneUrl)) return false;
  await runOrThrow('git', ['remote', 'remove', remote], {
    cwd: directory,
    failure: `git could not remove the remote ${remote}`,
  });
  return true;
}

/** The URL of `origin` as it is written in the configuration; undefined when there is none. */
export async function originUrl(directory: string): Promise<string | undefined> {
  const { exitCode, stdout } = await run('git', ['config', '--get', `remote.${remote}.url`], {
    cwd: directory,
  });
  return exitCode === 0 ? stdout.trim() : undefined;
}

/** `git@github.com:ada/shop.git` and `https://github.com/ada/shop` are the same repository. */
function isSameRepository(one: string, other: string): boolean {
  return address(one) === address(other);
}

function address(url: string): string {
  const scp = url.match(/^(?:[^@/]+@)?([^:/]+):(?!\/\/)(.+)$/);
  const plain = scp ? `ssh://${scp[1]}/${scp[2]}` : url;
  if (!URL.canParse(plain)) return url;
  const { protocol, hostname, port, pathname } = new URL(plain);
  // The port of SSH says nothing about the repository.
  const host = protocol === 'ssh:' || !port ? hostname : `${hostname}:${port}`;
  return `${host}${pathname.replace(/\/+$/, '').replace(/\.git$/, '')}`.toLowerCase();
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//');
}

/** The token is sent there, so it must be https, except for this computer itself. */
function refuseUnsafe(cloneUrl: string): void {
  const { protocol, hostname } = URL.canParse(cloneUrl) ? new URL(cloneUrl) : { protocol: '', hostname: '' };
  if (protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))) return;
  throw new GitHubError(`The repository’s address ${JSON.stringify(cloneUrl)} is not https`, {
    failure: 'unexpected answer',
    remedy:
      'goboot does not send the token there. Ask the administrator of the server to enable https for git.',
  });
}

/**
 * After this `git push` and `git pull` need no arguments, and `git status` knows what GitHub has. An origin with
 * settings of the user's own may not allow it, and does without.
 */
async function trackMain(directory: string, commit: string): Promise<void> {
  const cwd = { cwd: directory };
  await run('git', ['update-ref', `refs/remotes/${remote}/${mainBranch}`, commit], cwd);
  await run('git', ['branch', '--quiet', `--set-upstream-to=${remote}/${mainBranch}`, mainBranch], cwd);
}

const tokenVariable = 'GOBOOT_PUSH_TOKEN';

/** What git's helper protocol asks for, from the environment. */
const credentialHelper = `!f() { test "$1" = get || exit 0; echo username=x-access-token; echo "password=$${tokenVariable}"; }; f`;

/** The environment of a push; undefined stands for a variable that git must not see. */
async function gitEnvironment(
  directory: string,
  { cloneUrl, token, silence: seconds = silence }: PushOptions,
): Promise<Record<string, string | undefined>> {
  const { origin } = new URL(cloneUrl);
  const settings: readonly (readonly [string, string])[] = [
    // An empty value removes all helpers before it, so nothing is asked for the token or stores it.
    ['credential.helper', ''],
    [`credential.${origin}.helper`, credentialHelper],
    ['core.askPass', ''],
    // Hooks would see this environment.
    ['core.hooksPath', '/dev/null'],
    [`http.${cloneUrl}.followRedirects`, 'false'],
    [`http.${cloneUrl}.extraHeader`, ''],
    // The longest match wins, so no rewriting of a part of the address does.
    [`url.${cloneUrl}.insteadOf`, cloneUrl],
    [`url.${cloneUrl}.pushInsteadOf`, cloneUrl],
    ['http.lowSpeedLimit', '1'],
    ['http.lowSpeedTime', String(seconds)],
    // A signed push would ask for a passphrase, and submodules are none of goboot's.
    ['push.gpgSign', 'false'],
    ['push.recurseSubmodules', 'no'],
    ['push.followTags', 'false'],
  ];
  await refuseRewriting(directory, cloneUrl);
  const given = Number(process.env.GIT_CONFIG_COUNT) || 0;
  const unwanted = Object.keys(process.env).filter((name) =>
    /^(GIT_TRACE|GIT_CURL_VERBOSE$|GIT_ASKPASS$|SSH_ASKPASS$|GIT_PUSH_OPTION|GIT_CONFIG_PARAMETERS$|GIT_DIR$|GIT_WORK_TREE$|GIT_INDEX_FILE$)/.test(
      name,
    ),
  );
  return {
    ...Object.fromEntries(unwanted.map((name) => [name, undefined])),
    ...Object.fromEntries(
      settings.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${given + index}`, key],
        [`GIT_CONFIG_VALUE_${given + index}`, value],
      ]),
    ),
    GIT_CONFIG_COUNT: String(given + settings.length),
    GIT_TERMINAL_PROMPT: '0',
    // Its words are read here.
    LC_ALL: 'C',
    [tokenVariable]: token,
  };
}

/** A rewriting of the whole address would win over ours, because the first of two equal ones does. */
async function refuseRewriting(directory: string, cloneUrl: string): Promise<void> {
  const { stdout } = await run('git', ['config', '--get-regexp', '--null', '^url\\..*\\.(push)?insteadof$'], {
    cwd: directory,
  });
  const rewriting = stdout
    .split('\0')
    .map((entry) => entry.split('\n', 2) as [string, string])
    .find(([, value]) => value === cloneUrl);
  if (!rewriting) return;
  throw new GobootError(`git’s configuration sends ${cloneUrl} somewhere else, with ${rewriting[0]}`, {
    remedy: `Remove that setting: git config --show-origin --get-all ${rewriting[0]} tells where it is.`,
  });
}

const interruptions = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

async function push(
  directory: string,
  env: Record<string, string | undefined>,
  { cloneUrl, onProgress, timeout = pushTimeout }: PushOptions,
): Promise<RunResult> {
  const subprocess = execa(
    'git',
    ['push', '--porcelain', '--progress', cloneUrl, `refs/heads/${mainBranch}:refs/heads/${mainBranch}`],
    // A group of its own, because it is a program that git starts that hangs.
    { cwd: directory, env, stdin: 'ignore', reject: false, detached: true },
  );
  const endGroup = () => {
    try {
      if (subprocess.pid) process.kill(-subprocess.pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  };
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    endGroup();
  }, timeout);
  // Ctrl+C reaches this process only.
  const interrupted = (signal: NodeJS.Signals) => {
    endGroup();
    process.kill(process.pid, signal);
  };
  for (const signal of interruptions) process.once(signal, interrupted);
  const decoder = new StringDecoder();
  let rest = '';
  subprocess.stderr.on('data', (chunk: Buffer) => {
    const parts = (rest + decoder.write(chunk)).split(/[\r\n]+/);
    rest = parts.pop() ?? '';
    for (const part of parts) {
      const text = part.trim();
      if (/^[A-Z][\w ]+:\s+\d+%/.test(text)) onProgress?.(text);
    }
  });
  const { exitCode, stdout, stderr, code } = await subprocess;
  clearTimeout(timer);
  for (const signal of interruptions) process.off(signal, interrupted);
  if (timedOut) {
    throw new GitHubError(`The push to ${cloneUrl} did not end within ${timeout / 1000} seconds`, {
      failure: 'network',
      lostAnswer: true,
      remedy: 'Check your connection. Run the same command again.',
    });
  }
  if (code === 'ENOENT') throw new GobootError('git is not installed or not on the PATH');
  return { exitCode: exitCode ?? 128, stdout, stderr: `${stderr}\n${stdout}` };
}

interface Symptom extends GitHubErrorOptions {
  pattern: RegExp;
  message: (match: RegExpMatchArray, options: PushOptions) => string;
  remedyFor?: (options: PushOptions) => string;
}

const again = 'Run the same command again.';

const symptoms: readonly Symptom[] = [
  {
    pattern: /without [`'"]?workflows?[`'"]? (scope|permission)/i,
    failure: 'missing permission',
    message: () => 'GitHub refused the push: the token may not push the files in .github/workflows',
    remedyFor: ({ token, cloneUrl }) =>
      tokenKind(token) === 'fine-grained' || tokenKind(token) === 'app user'
        ? 'Give the token the permission Workflows: write, then run the same command again.'
        : `Add the scope workflow to the token${
            new URL(cloneUrl).hostname === 'github.com' ? ` (a new one: ${classicTokenPage()})` : ''
          }, then run the same command again.`,
  },
  {
    pattern: /SAML SSO|organization has enabled or enforced SAML/i,
    failure: 'single sign-on',
    message: () =>
      'GitHub refused the push: the organisation asks for single sign-on, and the token is not authorised for it',
    remedy:
      'Authorise the token with “Configure SSO” on the page of your tokens, then run the same command again.',
  },
  {
    pattern: /GH006|GH013|protected branch|repository rule violations/i,
    failure: 'forbidden',
    message: () => `GitHub refused the push: rules of the repository protect ${mainBranch}`,
    remedy:
      'Push to another branch and open a pull request, or let yourself bypass the rules in the settings.',
  },
  {
    pattern: /GH009|secret[- ]scanning|push protection/i,
    failure: 'forbidden',
    message: () => 'GitHub refused the push: it found something in the commits that looks like a secret',
    remedy:
      'See what it is with: git push. Remove it from the commits, or allow it on the page that GitHub names.',
  },
  {
    pattern: /non-fast-forward|fetch first|\(stale info\)/i,
    failure: 'conflict',
    message: () => `GitHub has commits on ${mainBranch} that are not here`,
    remedy: `Take them over first: git pull --rebase ${remote} ${mainBranch}`,
  },
  {
    pattern:
      /Authentication failed|Invalid username or token|Bad credentials|could not read (Username|Password)|returned error: 401/i,
    failure: 'unauthorized',
    status: 401,
    message: () => 'GitHub does not accept the token for the push',
    remedyFor: ({ token }) =>
      tokenKind(token) === 'fine-grained'
        ? 'Check that it has not expired and has the permission Contents: write for this repository.'
        : 'Check that it has not expired and has the scope repo.',
  },
  {
    pattern: /Write access to repository not granted|Permission to \S+ denied|returned error: 403/i,
    failure: 'missing permission',
    status: 403,
    message: () => 'GitHub refused the push: the token may not write to the repository',
    remedyFor: ({ token }) =>
      tokenKind(token) === 'fine-grained'
        ? 'Give it the permission Contents: write for this repository.'
        : 'Check that it has the scope repo, and that your account may write to the repository.',
  },
  {
    pattern: /Repository not found|returned error: 404/i,
    failure: 'not found',
    status: 404,
    message: (_, { cloneUrl }) => `The repository ${cloneUrl} does not exist, or the token may not see it`,
    remedy: 'Check the names, and that the token is for this repository.',
  },
  {
    pattern: /unable to update url base from redirection|returned error: 30\d/i,
    failure: 'unexpected answer',
    message: (_, { cloneUrl }) => `${cloneUrl} sends git to another address, and the token does not go there`,
    remedy: 'The repository may have been renamed. Run the same command again.',
  },
  {
    pattern: /returned error: (429)/,
    failure: 'rate limit',
    status: 429,
    message: () => 'GitHub refused the push: there were too many requests',
    remedy: 'Run the same command again in some minutes.',
  },
  {
    pattern: /returned error: (5\d\d)|Internal Server Error|remote unpack failed/i,
    failure: 'server',
    lostAnswer: true,
    message: (match) =>
      `GitHub could not take the push: it has trouble of its own${match[1] ? ` (${match[1]})` : ''}`,
    remedy: 'See https://www.githubstatus.com, and run the same command again later.',
  },
  {
    pattern: /Could not resolve (host|proxy)/i,
    failure: 'network',
    message: (_, { cloneUrl }) => `The name ${new URL(cloneUrl).host} could not be looked up`,
    remedy: 'Check that this computer is online, and git’s http.proxy.',
  },
  {
    pattern: /certificate|CAfile|self[- ]signed/i,
    failure: 'network',
    message: (_, { cloneUrl }) => `git does not trust the certificate of ${new URL(cloneUrl).host}`,
    remedy:
      'If your network or GitHub Enterprise Server has an authority of its own, tell git: git config --global http.sslCAInfo /path/to/authority.pem',
  },
  {
    pattern:
      /SSL_|gnutls|Failed to connect|Couldn't connect|Connection refused|timed? ?out|too slow|Operation too slow|Empty reply|Recv failure|Send failure|RPC failed|early EOF|hung up|unexpected disconnect|Connection reset/i,
    failure: 'network',
    lostAnswer: true,
    message: (_, { cloneUrl }) => `The connection to ${new URL(cloneUrl).host} broke during the push`,
    remedy: `Check your connection. ${again}`,
  },
];

/** Turns what git printed into an error for people. */
export function pushError(printed: string, options: PushOptions): GitHubError {
  const text = withoutToken(printed, options.token);
  for (const { pattern, message, remedyFor, ...rest } of symptoms) {
    const match = text.match(pattern);
    if (!match) continue;
    const remedy = remedyFor?.(options) ?? rest.remedy;
    return new GitHubError(message(match, options), { ...rest, ...(remedy && { remedy }) });
  }
  const rejected = text.match(/^!\t.*\((.*)\)$/m)?.[1];
  const lines = text
    .split(/[\r\n]+/)
    .filter((line) => /^(remote|error|fatal|!)/.test(line) && !/%/.test(line));
  return new GitHubError(
    `GitHub refused the push: ${rejected ?? (lines.slice(-2).join(' ') || 'git does not say why')}`,
    {
      failure: 'invalid',
      remedy: again,
    },
  );
}
