import { existsSync, readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { homedir, userInfo } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { domainToASCII } from 'node:url';
// One by one: the whole of validator takes as long to load as all of ours.
import isEmail from 'validator/lib/isEmail.js';
import isFQDN from 'validator/lib/isFQDN.js';
import { usageError } from './errors.ts';
import type { Flow, Linter } from './github/flow.ts';
import type { RepositoryVisibility, WwwChoice } from './project.ts';
import { reservedModuleNames } from './reserved-names.ts';
import { keyKind, puttyRemedy, wrongKnownHostsLine } from './ssh/file-formats.ts';

// useradd(8). A site's user is called <project>-<environment>.
const longestUserName = 32;
const longestProjectName = 20;

// RFC 1035, section 2.3.4, without the final dot.
const longestName = 253;

// domainToASCII reads a name as a URL's host and stops at these, so a rest behind them would vanish.
const urlSyntax = /[/\\?#@\s]/;

const controlCharacters = /\p{Cc}/u;

/** Makes a value visible in a message, whatever characters it holds. */
export function quoted(value: string): string {
  return JSON.stringify(value);
}

/** Checks the name of a project. Throws a usage error that says what is wrong with it. */
export function validateProjectName(value: string): string {
  if (!/^[a-z][a-z0-9_]*$/.test(value)) {
    throw usageError(
      `The project name ${quoted(value)} is not usable: it becomes a Python package`,
      'Use lower-case letters, digits and underscores, and begin with a letter, for example my_shop.',
    );
  }
  if (value.length > longestProjectName) {
    throw usageError(
      `The project name ${quoted(value)} has ${value.length} characters`,
      `Use at most ${longestProjectName}: user names on the server derive from it.`,
    );
  }
  if (value.endsWith('_') || value.includes('__')) {
    throw usageError(
      `The project name ${quoted(value)} has underscores in unusual places`,
      'Put single underscores between words, for example my_shop.',
    );
  }
  const owner = reservedModuleNames.get(value);
  if (owner) {
    throw usageError(
      `The project name ${quoted(value)} is taken by ${owner}`,
      `Choose another one, for example my_${value}: Python could not import both.`,
    );
  }
  return value;
}

// Groups of the playbooks' inventory, and what Ansible itself calls hosts by.
const reservedEnvironmentNames = [
  'all',
  'ungrouped',
  'localhost',
  'web',
  'worker',
  'beat',
  'database',
  'broker',
  'cache',
];

/**
 * Checks the name of an environment of a project. It becomes a part of the name of the site's user on its host, a group
 * of the inventory, an alias of ssh and the beginning of names on GitHub. Throws a usage error.
 */
export function validateEnvironmentName(value: string, projectName: string): string {
  const refuse = (reason: string, remedy: string) =>
    usageError(`The environment name ${quoted(value)} ${reason}`, remedy);
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(value)) {
    throw refuse(
      'is not usable: it becomes a part of user names and units on the server',
      'Use lower-case letters, digits and single hyphens, and begin with a letter, for example staging.',
    );
  }
  const longest = longestUserName - projectName.length - 1;
  if (value.length > longest) {
    throw refuse(
      `has ${value.length} characters`,
      `Use at most ${longest}: the site’s user on the server is called ${projectName}-<environment>.`,
    );
  }
  if (reservedEnvironmentNames.includes(value)) {
    throw refuse(
      'is taken by a group of the playbooks’ inventory',
      'Choose another one, for example staging.',
    );
  }
  if (/^github(-|$)/.test(value)) {
    throw refuse('is kept by GitHub for itself', 'Choose another one, for example staging.');
  }
  // The alias of the jump host of the environment without that ending.
  if (/-jump(-\d+)?$/.test(value)) {
    throw refuse('ends like the name of a jump host', 'Leave out “-jump”.');
  }
  return value;
}

/** Checks what is to become of www. before the domain. Throws a usage error. */
export function validateWww(value: string): WwwChoice {
  if (value === 'redirect' || value === 'none') return value;
  throw usageError(`--www ${quoted(value)} is neither "redirect" nor "none"`, 'Give one of them.');
}

/** Checks the name that visitors have to give; empty means that nobody has to. Throws a usage error. */
export function validateBasicAuthUser(value: string): string {
  if (/^[A-Za-z0-9._-]{0,64}$/.test(value)) return value;
  throw usageError(
    `The name ${quoted(value)} cannot be asked of visitors`,
    'Use at most 64 letters, digits, dots, hyphens and underscores.',
  );
}

/** Checks an author's name. Throws a usage error. */
export function validateAuthor(value: string): string {
  const name = value.trim();
  if (!name) throw usageError('The author is empty', 'Give the name that commits should carry.');
  if (name.length > 100 || controlCharacters.test(name) || /[<>]/.test(name)) {
    throw usageError(
      `The author ${quoted(value)} is not usable`,
      'Use at most 100 characters, without line breaks, < and >.',
    );
  }
  return name;
}

/** Checks an e-mail address. Throws a usage error. */
export function validateEmail(value: string): string {
  const email = value.trim();
  if (!isEmail.default(email, { allow_utf8_local_part: false })) {
    throw usageError(`${quoted(value)} is not an e-mail address`, 'Give one such as ada@example.com.');
  }
  return email;
}

/**
 * Checks a domain and returns its ASCII form in lower case (punycode for an internationalised name).
 * Throws a usage error.
 */
export function validateDomain(value: string): string {
  const trimmed = value.trim().replace(/\.$/, '');
  const refuse = (reason: string) =>
    usageError(`The domain ${quoted(value)} ${reason}`, 'Give a bare name such as shop.example.com.');
  if (!trimmed) throw refuse('is empty');
  if (/^[a-z]+:\/\//i.test(trimmed)) throw refuse('is a URL');
  if (urlSyntax.test(trimmed)) throw refuse('holds characters that are not part of a name');
  if (isIP(trimmed.replace(/^\[|\]$/g, '')))
    throw refuse('is an address, and certificates are made out to names');
  if (trimmed.includes(':')) throw refuse('holds a port');
  if (trimmed.includes('*')) throw refuse('is a wildcard');
  const ascii = domainToASCII(trimmed);
  if (!ascii || ascii.length > longestName || !isFQDN.default(ascii)) throw refuse('is not a domain name');
  return ascii.toLowerCase();
}

/** Checks a host name or an IPv4 or IPv6 address; brackets around the latter are removed. Throws a usage error. */
export function validateHost(value: string): string {
  const trimmed = value.trim();
  const bare = /^\[.*\]$/.test(trimmed) ? trimmed.slice(1, -1) : trimmed;
  if (isIP(bare)) return bare.toLowerCase();
  const refuse = (
    reason: string,
    remedy = 'Give a name such as server.example.com, an IPv4 or an IPv6 address.',
  ) => usageError(`The host ${quoted(value)} ${reason}`, remedy);
  if (!bare) throw refuse('is empty');
  if (bare.includes('@')) throw refuse('holds a user name', 'Give the user with --user.');
  if (/^[^:]+:\d+$/.test(bare)) throw refuse('holds a port', 'Give the port with --port.');
  if (/^[\d.]+$/.test(bare)) throw refuse('looks like an IPv4 address but is none');
  if (bare.includes(':')) throw refuse('looks like an IPv6 address but is none');
  if (urlSyntax.test(bare)) throw refuse('holds characters that are not part of a name');
  const ascii = domainToASCII(bare);
  if (!ascii || ascii.length > longestName || !isFQDN.default(ascii, { require_tld: false }))
    throw refuse('is not a host name');
  return ascii.toLowerCase();
}

/** Checks the name of a Linux account. Throws a usage error. */
export function validateUser(value: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/.test(value)) {
    throw usageError(
      `${quoted(value)} is not a user name`,
      'Give the account on the server, for example debian.',
    );
  }
  return value;
}

/** Checks a TCP port. Throws a usage error. */
export function validatePort(value: string): number {
  const port = /^[0-9]{1,5}$/.test(value.trim()) ? Number(value) : 0;
  if (port < 1 || port > 65535) {
    throw usageError(
      `The port ${quoted(value)} is not a number from 1 to 65535`,
      'SSH usually listens on 22.',
    );
  }
  return port;
}

const secondsOfADay = 24 * 60 * 60;

/** Checks a number of seconds, at most a day. Throws a usage error that names the flag. */
export function validateSeconds(value: string, flag: string): number {
  const seconds = /^[0-9]{1,5}$/.test(value.trim()) ? Number(value) : Number.NaN;
  if (!(seconds <= secondsOfADay)) {
    throw usageError(
      `--${flag} ${quoted(value)} is not a number of seconds from 0 to ${secondsOfADay}`,
      `For ten minutes: --${flag} 600.`,
    );
  }
  return seconds;
}

/** Whether a URL's host is this computer itself: the only one that may be talked to without TLS. */
export function isLoopback(hostname: string): boolean {
  const bare = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return (
    bare === 'localhost' || bare.endsWith('.localhost') || bare === '::1' || /^127(\.\d+){3}$/.test(bare)
  );
}

/**
 * Checks the base URL of GitHub's API and returns it without a final slash. Throws a usage error.
 *
 * The token is sent there, so it must be https, except for this computer itself.
 */
export function validateGitHubUrl(value: string): string {
  const trimmed = value.trim();
  const refuse = (
    reason: string,
    remedy = 'For GitHub Enterprise Server give https://HOST/api/v3; leave it out for github.com.',
  ) => usageError(`The GitHub URL ${quoted(value)} ${reason}`, remedy);
  if (!trimmed) throw refuse('is empty');
  if (!URL.canParse(trimmed) || !/^[a-z]+:\/\//i.test(trimmed)) throw refuse('is not a URL');
  const url = new URL(trimmed);
  if (url.username || url.password) {
    // Not quoted: what stands before the @ may be a token.
    throw usageError(
      `The GitHub URL for ${url.host} holds a user name or a password`,
      'Leave it out: the token comes from GH_TOKEN.',
    );
  }
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname))) {
    throw refuse('is not https, and the token would be readable on its way', 'Begin it with https://.');
  }
  if (url.search || url.hash) throw refuse('has a query or a fragment');
  const path = url.pathname.replace(/\/+$/, '');
  if (/^(www\.)?github\.com$/i.test(url.hostname)) {
    throw refuse('is that of the web pages', 'Leave it out: https://api.github.com is the default.');
  }
  return `${url.origin}${path}`;
}

/**
 * Checks the name of a GitHub user or organisation; empty means the account of the token. Throws a usage error.
 *
 * An account that an enterprise manages has an underscore in its name.
 */
export function validateGitHubOwner(value: string): string {
  const name = value.trim();
  if (name === '' || /^[a-z\d](?:[a-z\d]|[-_](?=[a-z\d])){0,38}$/i.test(name)) return name;
  throw usageError(
    `The GitHub owner ${quoted(value)} is not a name that GitHub gives out`,
    'Give the name of a user or organisation as it stands in the address of its page, without the address.',
  );
}

/** Checks who is to see a repository. Throws a usage error. */
export function validateVisibility(value: string): RepositoryVisibility {
  const visibility = value.trim().toLowerCase();
  if (visibility === 'private' || visibility === 'public') return visibility;
  throw usageError(`The visibility ${quoted(value)} is not known`, 'Use private or public.');
}

/** Checks how changes reach the environments. Throws a usage error. */
export function validateFlow(value: string): Flow {
  if (value === 'trunk' || value === 'gitops') return value;
  throw usageError(`--flow ${quoted(value)} is neither "trunk" nor "gitops"`, 'Give one of them.');
}

/** Checks what lints the project on GitHub. Throws a usage error. */
export function validateLinter(value: string): Linter {
  if (value === 'pre-commit' || value === 'super-linter') return value;
  throw usageError(
    `--linter ${quoted(value)} is neither "pre-commit" nor "super-linter"`,
    'Give one of them.',
  );
}

/** Replaces a leading `~/` by the home directory and makes the path absolute. */
export function expandPath(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : resolve(path);
}

/**
 * A path as a colleague's computer can understand it, too: absolute, and with `~/` where it is below the home directory.
 * ssh takes that from the user database, so `~/` is only written where the environment agrees with it.
 */
function portablePath(path: string): string {
  const absolute = expandPath(path);
  const home = homedir();
  const below = relative(home, absolute);
  const isBelow = below !== '' && !below.startsWith('..') && resolve(home, below) === absolute;
  return isBelow && userInfo().homedir === home ? `~/${below}` : absolute;
}

function validateReadableFile(value: string, what: string): string {
  const path = expandPath(value);
  const remedy = 'Give the path of an existing file.';
  if (controlCharacters.test(value)) throw usageError(`The ${what} ${quoted(value)} is not a path`, remedy);
  if (!existsSync(path)) throw usageError(`The ${what} ${quoted(value)} does not exist`, remedy);
  if (!statSync(path).isFile()) throw usageError(`The ${what} ${quoted(value)} is not a file`, remedy);
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw usageError(`The ${what} ${quoted(value)} cannot be read: ${(error as Error).message}`, remedy);
  }
}

/**
 * Checks that a path names a private key, by its first line, and returns the path as other computers understand it.
 * The empty string stands for "the keys of the SSH agent". Throws a usage error.
 */
export function validateKeyFile(value: string): string {
  if (value.trim() === '') return '';
  const contents = validateReadableFile(value, 'key file');
  const kind = keyKind(contents);
  if (kind === 'public' || kind === 'rfc4716') {
    throw usageError(
      `The key file ${quoted(value)} is a public key`,
      `Give the private one, usually ${value.replace(/\.pub$/, '') || 'the same name without .pub'}.`,
    );
  }
  if (kind === 'putty') {
    throw usageError(
      `The key file ${quoted(value)} is a key of PuTTY’s, which ssh cannot read`,
      puttyRemedy(value),
    );
  }
  if (kind === 'unknown') {
    throw usageError(
      `The key file ${quoted(value)} is not a private SSH key`,
      'Make one with: ssh-keygen -t ed25519',
    );
  }
  return portablePath(value);
}

/**
 * Checks the path of a key file from an earlier run, which may have been on another computer: the file need not exist
 * here. Throws a usage error.
 */
export function validateStoredKeyFile(value: string): string {
  if (controlCharacters.test(value)) {
    throw usageError(`The key file ${quoted(value)} is not a path`, 'Give another one with --key-file.');
  }
  return value;
}

/** Checks that a path names a known_hosts file. Throws a usage error. */
export function validateKnownHostsFile(value: string): string {
  const contents = validateReadableFile(value, 'known_hosts file');
  const wrong = wrongKnownHostsLine(contents);
  if (wrong !== undefined) {
    throw usageError(
      `The known_hosts file ${quoted(value)} has a line that is none: ${quoted(wrong.slice(0, 60))}`,
      'Each line is: host key-type key.',
    );
  }
  if (!/^[^#\s]/m.test(contents)) throw usageError(`The known_hosts file ${quoted(value)} holds no key`);
  return value;
}
