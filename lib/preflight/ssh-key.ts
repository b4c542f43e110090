import { existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { jumpHosts, type SshTarget } from '../project.ts';
import { type KeyKind, keyKind, puttyRemedy } from '../ssh/file-formats.ts';
import {
  agentKeys,
  describePublicKey,
  isOpenToOthers,
  publicHalfBeside,
  readPrivateKey,
} from '../ssh/private-key.ts';
import { expandPath, quoted } from '../validate.ts';
import type { Check, CheckResult } from './check.ts';

/** Below this NIST and OpenSSH's own ssh-keygen (3072 by default) see no future for RSA. */
const enoughRsaBits = 3072;

const newKey = 'Make a new one: ssh-keygen -t ed25519, and add its public half to the server.';

const refusals: Partial<Record<KeyKind, (path: string) => CheckResult>> = {
  public: (path) => ({
    status: 'failed',
    detail: `${quoted(path)} is a public key`,
    remedy: `Give the private one, usually ${path.replace(/\.pub$/, '')}.`,
  }),
  rfc4716: (path) => ({
    status: 'failed',
    detail: `${quoted(path)} is a public key`,
    remedy: 'Give the private one.',
  }),
  putty: (path) => ({
    status: 'failed',
    detail: `${quoted(path)} is a key of PuTTY’s, which ssh cannot read`,
    remedy: puttyRemedy(path),
  }),
  unknown: (path) => ({
    status: 'failed',
    detail: `${quoted(path)} is not a private SSH key`,
    remedy: newKey,
  }),
};

/** Judges the key that a host is entered with, as far as this computer can tell. */
export async function judgeKey({ keyFile }: Pick<SshTarget, 'keyFile'>): Promise<CheckResult> {
  if (!keyFile) return judgeAgent();
  const path = expandPath(keyFile);
  if (!existsSync(path) || !statSync(path).isFile()) {
    return {
      status: 'failed',
      detail: `${quoted(keyFile)} ${existsSync(path) ? 'is not a file' : 'does not exist'}`,
      remedy: `Put the key there, or name another one with --key-file. ${newKey}`,
    };
  }
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return {
      status: 'failed',
      detail: `${quoted(keyFile)} cannot be read (${(error as NodeJS.ErrnoException).code})`,
      remedy: `Check who owns it: ls -l ${keyFile}`,
    };
  }
  const refusal = refusals[keyKind(text)];
  if (refusal) return refusal(keyFile);
  if (isOpenToOthers(path)) {
    return {
      status: 'failed',
      detail: `${quoted(keyFile)} can be read by others, and ssh refuses it`,
      remedy: `Run: chmod 600 ${keyFile}`,
    };
  }
  return judgeContents(keyFile, path, text);
}

async function judgeContents(keyFile: string, path: string, text: string): Promise<CheckResult> {
  const key = await readPrivateKey(path, text);
  if (key.publicHalf?.startsWith('ssh-dss') || text.includes('BEGIN DSA PRIVATE KEY')) {
    return {
      status: 'failed',
      detail: `${quoted(keyFile)} is a DSA key, which no server accepts`,
      remedy: newKey,
    };
  }
  if (key.problem) return unreadable(keyFile, text, key.problem);
  const beside = await publicHalfBeside(path);
  if (beside && key.publicHalf && beside !== key.publicHalf) {
    return {
      status: 'failed',
      detail: `${keyFile}.pub is not the public half of ${quoted(keyFile)}, and ssh would offer it`,
      remedy: `Make it anew: ssh-keygen -y -f ${keyFile} > ${keyFile}.pub`,
    };
  }
  const publicHalf = key.publicHalf ?? beside;
  if (!publicHalf) {
    return {
      status: 'failed',
      detail: `${quoted(keyFile)} has a passphrase, and no public half that would tell which key it is`,
      remedy: `Make that: ssh-keygen -y -f ${keyFile} > ${keyFile}.pub, then: ssh-add ${keyFile}`,
    };
  }
  const { bits, fingerprint, type } = await describePublicKey(publicHalf);
  const described = `${type === 'RSA' ? `RSA ${bits}` : type} ${fingerprint}`;
  if (key.encrypted) {
    const held = await agentKeys();
    if (!held?.includes(publicHalf)) {
      return {
        status: 'failed',
        detail: `${quoted(keyFile)} has a passphrase, and ${held ? 'is not in your SSH agent' : 'no SSH agent runs'}`,
        remedy: held
          ? `Run: ssh-add ${keyFile}`
          : `Run: eval "$(ssh-agent)" && ssh-add ${keyFile}, and start yo in the same shell.`,
      };
    }
  }
  const detail = `${keyFile}, ${described}${key.encrypted ? ', in the agent' : ''}`;
  if (type === 'RSA' && bits < enoughRsaBits) {
    return { status: 'warning', detail: `${detail}: shorter than ${enoughRsaBits} bits`, remedy: newKey };
  }
  const flaw = flawOf(text);
  return flaw
    ? {
        status: 'warning',
        detail: `${keyFile} has ${flaw}, which not every program reads`,
        remedy: repair(keyFile),
      }
    : { status: 'ok', detail };
}

function flawOf(text: string): string | undefined {
  if (text.includes('\r')) return 'line ends of Windows';
  return text.endsWith('\n') ? undefined : 'no line end at its end';
}

function repair(keyFile: string): string {
  return `Repair it: perl -pi -e 's/\\s*$/\\n/' ${keyFile}`;
}

function unreadable(keyFile: string, text: string, problem: string): CheckResult {
  const flaw = flawOf(text);
  return {
    status: 'failed',
    detail: `ssh cannot read ${quoted(keyFile)}${flaw ? `: it has ${flaw}` : ` (${problem})`}`,
    remedy: flaw ? repair(keyFile) : 'It may be cut short: copy it again from where you have it.',
  };
}

async function judgeAgent(): Promise<CheckResult> {
  const held = await agentKeys();
  const remedy = 'Name a key with --key-file, or add one to the agent: ssh-add FILE';
  if (held === undefined) {
    return { status: 'warning', detail: 'no key file is named, and no SSH agent runs', remedy };
  }
  return held.length > 0
    ? { status: 'ok', detail: `the ${held.length} of the SSH agent` }
    : { status: 'warning', detail: 'no key file is named, and the SSH agent holds no key', remedy };
}

/** The key of the host: there, private, usable without a question. */
export const sshKeyCheck: Check = {
  name: 'ssh key',
  run: ({ environment: { host } }) => judgeKey(host),
};

/** The key of the jump host, likewise. */
export const jumpKeyCheck: Check = {
  name: 'jump host key',
  async run({ environment }) {
    const judged = await Promise.all(jumpHosts(environment).map(judgeKey));
    const [first] = judged;
    if (!first) return { status: 'ok', detail: 'there is no jump host' };
    const worst = ['failed', 'warning'].map((status) => judged.find((result) => result.status === status));
    return worst.find((result) => result !== undefined) ?? first;
  },
};
