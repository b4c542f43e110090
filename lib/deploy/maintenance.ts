import { isIP } from 'node:net';
import { userInfo } from 'node:os';
import { GobootError, usageError } from '../errors.ts';
import type { RunResult } from '../process.ts';
import type { SshConnection } from '../ssh/connection.ts';
import { quoted } from '../validate.ts';
import type { LivePage } from './live.ts';
import { releaseCommandLine } from './release-command.ts';

/** What the release command says of maintenance. */
export interface MaintenanceState {
  on: boolean;
  since: string;
  by: string;
  /** Addresses and networks that see the site all the same. */
  allow: string[];
  retry_after: number;
  message: string;
}

/** What the release command says of a site. Null: there is none, or nobody knows. */
export interface ReleaseStatus {
  release: string | null;
  /** Of that release, in full. */
  commit?: string;
  healthy: boolean;
  problem?: string;
  maintenance?: MaintenanceState | null;
}

const actions = ['on', 'off', 'status'] as const;

/** What was asked for on the command line. */
export interface MaintenanceRequest {
  action: (typeof actions)[number];
  /** Addresses, networks, and the word `me`. */
  allow: string[];
  retryAfter?: string;
  message?: string;
}

/** Stands for the address that the login to the host comes from. */
const ownAddress = 'me';

const longestRetrySeconds = 7 * 24 * 60 * 60;

const longestMessage = 500;

/** Checks what was typed. Throws a usage error that names the value at fault. */
export function maintenanceRequest(
  word: string | undefined,
  given: { allow?: string; retryAfter?: string; message?: string },
): MaintenanceRequest {
  const action = actions.find((known) => known === word);
  const remedy = 'Say one of: yo goboot:maintenance on, off, or status.';
  if (word === undefined) throw usageError('It is not said whether maintenance is to be on or off', remedy);
  if (!action) throw usageError(`${quoted(word)} is not something to do with maintenance`, remedy);
  const { allow, retryAfter, message } = given;
  const surplus = Object.entries({
    '--allow': allow,
    '--retry-after': retryAfter,
    '--message': message,
  }).find(([, value]) => value !== undefined);
  if (action !== 'on' && surplus) {
    throw usageError(`${surplus[0]} says nothing about ${quoted(action)}`, `Give ${surplus[0]} with "on".`);
  }
  return {
    action,
    allow: allow === undefined ? [] : allow.split(',').map((entry) => validateAllowed(entry.trim())),
    ...(retryAfter !== undefined && { retryAfter: validateRetryAfter(retryAfter) }),
    ...(message !== undefined && { message: validateMessage(message) }),
  };
}

// The release command knows the rest: which bits of a network's address must be zero.
function validateAllowed(entry: string): string {
  const [address = '', prefix, ...rest] = entry.split('/');
  const bits = isIP(address) === 4 ? 32 : 128;
  const isNetwork = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
  if (entry === ownAddress || (isIP(address) && !address.includes('%') && isNetwork && rest.length === 0)) {
    return entry;
  }
  throw usageError(
    `--allow ${quoted(entry)} is neither an address nor a network`,
    'Write it as 203.0.113.7, 2001:db8::7, 10.0.0.0/8, or as the word me.',
  );
}

function validateRetryAfter(value: string): string {
  if (/^\d{1,9}$/.test(value) && Number(value) >= 1 && Number(value) <= longestRetrySeconds) return value;
  throw usageError(
    `--retry-after ${quoted(value)} is not a number of seconds from 1 to ${longestRetrySeconds}`,
    'Ten minutes are 600.',
  );
}

function validateMessage(value: string): string {
  if ([...value].length <= longestMessage && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(value)) return value.trim();
  throw usageError(
    `--message is not a text of at most ${longestMessage} characters in one line`,
    `It has ${[...value].length} characters${/\p{Cc}/u.test(value) ? ', and some that cannot be seen' : ''}.`,
  );
}

/** The address that an SSH connection comes from, as the host sees it. */
export async function addressOfLogin(connection: SshConnection): Promise<string> {
  const { stdout } = await connection.execute('echo "$SSH_CONNECTION"');
  const address = stdout.trim().split(' ')[0] ?? '';
  if (isIP(address)) return address;
  throw new GobootError('The host does not say where this login comes from', {
    remedy: 'Give your address instead of the word me.',
  });
}

/** The same request, with an address where it says `me`. */
export async function withAddresses(
  connection: SshConnection,
  request: MaintenanceRequest,
): Promise<MaintenanceRequest> {
  if (!request.allow.includes(ownAddress)) return request;
  const address = await addressOfLogin(connection);
  return { ...request, allow: request.allow.map((entry) => (entry === ownAddress ? address : entry)) };
}

/** Does what was asked for on the host, and returns how it is there then. Throws a GobootError. */
export async function askForMaintenance(
  connection: SshConnection,
  site: string,
  { action, allow, retryAfter, message }: MaintenanceRequest,
): Promise<{ state: MaintenanceState; message: string }> {
  const by = process.env.GITHUB_ACTOR || userInfo().username;
  const words = [
    ...['maintenance', action, '--json'],
    ...(action === 'status' ? [] : [`--by=${by}`]),
    ...allow.map((entry) => `--allow=${entry}`),
    ...(retryAfter === undefined ? [] : [`--retry-after=${retryAfter}`]),
    ...(message === undefined ? [] : [`--message=${message}`]),
  ];
  const result = await connection.execute(releaseCommandLine(site, words));
  const answer = readAnswer(result);
  if (result.exitCode !== 0) throw failure(site, result, answer);
  if (action === 'status') {
    const { event: _, ...state } = answer as unknown as MaintenanceState & { event: string };
    return { state, message: '' };
  }
  return { state: answer?.maintenance as MaintenanceState, message: String(answer?.message ?? '') };
}

/** What is live on the host, and whether it is well. Throws a GobootError. */
export async function releaseStatus(connection: SshConnection, site: string): Promise<ReleaseStatus> {
  const result = await connection.execute(releaseCommandLine(site, ['status', '--json']));
  const answer = readAnswer(result);
  if (result.exitCode !== 0 || !answer) throw failure(site, result, answer);
  return answer as unknown as ReleaseStatus;
}

function readAnswer({ stdout }: RunResult): Record<string, unknown> | undefined {
  const line = stdout.split('\n').findLast((text) => text.startsWith('{'));
  return line === undefined ? undefined : JSON.parse(line);
}

function failure(
  site: string,
  { exitCode, stderr }: RunResult,
  answer: Record<string, unknown> | undefined,
): GobootError {
  const said = String(answer?.message ?? stderr.trim().split('\n').at(-1) ?? '');
  if (/command not found|invalid choice: 'maintenance'/.test(said)) {
    return new GobootError('The host was provisioned before its sites could be closed for maintenance', {
      remedy: 'Provision it again: yo goboot:deploy --provision',
    });
  }
  if (exitCode === 2) return usageError(said.replace(/ \(see .* --help\)$/, ''));
  return new GobootError(said || `The release command ended with exit status ${exitCode}`, {
    remedy: `On the server: sudo ${site}-release status`,
  });
}

/** What a visitor sees from here, in one line. Throws a GobootError when that is not what was asked for. */
export function describeVisit(domain: string, page: LivePage, state: MaintenanceState): string {
  const url = `https://${domain}/`;
  if (state.on && page.status === 503) {
    return `Visitors get 503 from ${url} and may ask again after ${page.headers['retry-after'] ?? '?'} seconds.`;
  }
  if (state.on && state.allow.length > 0) {
    return `From here ${url} answers ${page.status}: this computer is let in.`;
  }
  if (state.on) {
    throw new GobootError(`Maintenance is on, but ${url} answers ${page.status} from here`, {
      remedy: 'Check that the domain leads to this host, and not to a cache in front of it.',
    });
  }
  if (page.status >= 500) {
    throw new GobootError(`Maintenance is off, but ${url} answers ${page.status}`, {
      remedy: 'Look at the site: yo goboot:deploy puts the current commit live again.',
    });
  }
  return `Visitors get ${page.status} from ${url}.`;
}

/** The state as lines for people. */
export function stateLines({ on, since, by, allow, message }: MaintenanceState): string[] {
  if (!on) return ['Maintenance is off.'];
  return [
    `Maintenance is on since ${since}, by ${by}.`,
    ...(allow.length > 0 ? [`  let in   ${allow.join(', ')}`] : []),
    ...(message ? [`  message  ${message}`] : []),
  ];
}
