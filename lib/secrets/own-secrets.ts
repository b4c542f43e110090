import { usageError } from '../errors.ts';
import { validateValueName } from '../github/stored-values.ts';
import { quoted } from '../validate.ts';
import type { VaultContents } from '../vault.ts';

/** The variable of the vault that holds the secrets of the project's owner; the role `application` delivers it. */
export const ownSecretsVariable = 'vault_application_secrets';

/** What the environment of a site holds by itself: roles/application/templates/environment.j2, the units, and systemd. */
const takenNames = [
  ...['DJANGO_SETTINGS_MODULE', 'SECRET_KEY', 'SECRET_KEY_FALLBACKS', 'ALLOWED_HOSTS', 'DATABASE_URL'],
  ...['MEMCACHED_LOCATION', 'CELERY_BROKER_URL', 'EMAIL_URL', 'DEFAULT_FROM_EMAIL', 'ADMIN_EMAIL'],
  ...['STATIC_ROOT', 'MEDIA_ROOT', 'WEB_WORKERS', 'WEB_THREADS', 'WORKER_PROCESSES'],
  ...['RELEASE_ID', 'HOLD_FILE'],
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'TMPDIR', 'PWD', 'IFS', 'ENV', 'BASH_ENV'],
  ...[
    'NOTIFY_SOCKET',
    'LISTEN_FDS',
    'LISTEN_PID',
    'MAINPID',
    'INVOCATION_ID',
    'JOURNAL_STREAM',
    'SYSTEMD_EXEC_PID',
  ],
];

/** Names that begin like this mean something to the loader of programs, to Python, Gunicorn, Celery or GitHub. */
const takenPrefixes = ['LD_', 'LC_', 'PYTHON', 'GUNICORN_', 'DJANGO_', 'GITHUB_', 'WATCHDOG_'];

/** What the project says of mail by itself, and its owner may say otherwise: a password may be in there. */
const replaceableNames = ['EMAIL_URL'];

/**
 * Checks the name of a secret of the project's owner, which is the name of a variable in the site's environment. Throws a
 * usage error. GitHub's rules are kept, too, so that it can be put there under the same name.
 */
export function validateOwnName(name: string): string {
  if (!/^[A-Z][A-Z0-9_]*$/.test(name)) {
    throw usageError(
      `${quoted(name)} is not a name for a secret`,
      'Use capital letters, digits and underscores, and begin with a letter, for example STRIPE_KEY.',
    );
  }
  const isTaken = takenNames.includes(name) && !replaceableNames.includes(name);
  if (isTaken || takenPrefixes.some((prefix) => name.startsWith(prefix))) {
    throw usageError(
      `${quoted(name)} means something in the environment of a site already`,
      'Give the secret another name, for example with the name of the service in front.',
    );
  }
  if (name.length > longestName) {
    throw usageError(`The name has ${name.length} characters`, `Use at most ${longestName}.`);
  }
  validateValueName(name, 'secret');
  return name;
}

const longestName = 100;
/** GitHub's limits, https://docs.github.com/actions/reference/security/secrets, which no program needs to pass. */
const [largestValue, mostSecrets] = [48 * 1024, 100];
/** All together, in bytes: Linux starts no program with an environment of much more. */
const largestSum = 512 * 1024;

/**
 * Checks the value of such a secret. It may have several lines. Throws a usage error, which does not hold the value.
 *
 * Refused is what systemd would leave out of an environment with a warning in its journal: control characters, but for
 * the tab and the end of a line.
 */
export function validateOwnValue(name: string, value: string): string {
  if (value.trim() === '') {
    throw usageError(
      `The value of ${name} is empty`,
      `To remove the secret: yo goboot:secrets --unset ${name}`,
    );
  }
  if (value.includes('\r')) {
    throw usageError(
      `The value of ${name} has Windows line ends, which the environment of a service cannot hold`,
      'Convert it first, for example with dos2unix.',
    );
  }
  if (!/^[\t\n\u0020-\u007e\u00a0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u.test(value)) {
    throw usageError(
      `The value of ${name} has control characters, which the environment of a service cannot hold`,
      'Encode it, for example with base64, and decode it in the settings.',
    );
  }
  const size = Buffer.byteLength(value);
  if (size > largestValue) {
    throw usageError(
      `The value of ${name} has ${size} bytes`,
      `Use at most ${largestValue}: the environment of a process is no place for files.`,
    );
  }
  return value;
}

/** What was typed or piped, without the line ends behind it, which belong to the terminal or to echo. */
export function trimmedInput(text: string): string {
  return text.replace(/[\r\n]+$/, '');
}

/** Puts a secret of the owner's into the vault. Throws a usage error when there would be too many. */
export function setOwnSecret(vault: VaultContents, name: string, value: string): void {
  const others = Object.entries(vault.texts(ownSecretsVariable)).filter(([other]) => other !== name);
  if (others.length >= mostSecrets) {
    throw usageError(
      `There are ${others.length} secrets already`,
      'Remove one that is not used: yo goboot:secrets --unset NAME',
    );
  }
  const sum = others.reduce((bytes, [, text]) => bytes + Buffer.byteLength(text), Buffer.byteLength(value));
  if (sum > largestSum) {
    throw usageError(
      `All secrets together would have ${sum} bytes`,
      `Use at most ${largestSum}: the environment of a process has a limit.`,
    );
  }
  vault.set(value, ownSecretsVariable, name);
}
