// Git's hook proc-receive: decides which branches and tags a push may change, as GitHub does, and changes them.
// The policy comes from the server, in the environment. See "proc-receive" in githooks(5) for the protocol.
import { execFileSync } from 'node:child_process';
import { readSync, writeSync } from 'node:fs';

const policy = JSON.parse(process.env.GITHUB_PUSH_POLICY ?? '{}');
const none = /^0+$/;
const git = (...args) => execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

function read(length) {
  const buffer = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const count = readSync(0, buffer, at, length - at);
    if (count === 0) process.exit(1);
    at += count;
  }
  return buffer.toString();
}

function readPackets() {
  const packets = [];
  for (;;) {
    const length = Number.parseInt(read(4), 16);
    if (length === 0) return packets;
    packets.push(read(length - 4).replace(/\n$/, ''));
  }
}

function writePackets(packets) {
  const lines = packets.map((text) => {
    const length = Buffer.byteLength(text) + 5;
    return `${length.toString(16).padStart(4, '0')}${text}\n`;
  });
  writeSync(1, `${lines.join('')}0000`);
}

/** Tells the user something; git puts "remote: " before each line. */
const say = (...lines) => writeSync(2, `${lines.join('\n')}\n`);

/** The first workflow file that the new commits change to what no branch has yet. */
function changedWorkflow(to) {
  const changes = git(
    ...['log', '--format=', '--raw', '--no-abbrev', '--no-renames', '-m', '--root', '-z'],
    ...[to, '--not', '--all', '--', '.github/workflows'],
  )
    .split('\0')
    .filter(Boolean);
  const branches = git('for-each-ref', '--format=%(objectname)', 'refs/heads').split('\n').filter(Boolean);
  for (let at = 0; at + 1 < changes.length; at += 2) {
    const blob = changes[at].split(' ')[3];
    const path = changes[at + 1];
    const isKnown = branches.some((branch) => {
      try {
        return git('rev-parse', '--verify', '--quiet', `${branch}:${path}`).trim() === blob;
      } catch {
        return false;
      }
    });
    if (!isKnown) return path;
  }
  return undefined;
}

function isFastForward(from, to) {
  try {
    git('merge-base', '--is-ancestor', from, to);
    return true;
  } catch {
    return false;
  }
}

/** Why the change of a branch is against one of its rules. */
function brokenRules(rule, from, to) {
  if (none.test(to)) return rule.allowDeletion ? [] : ['Cannot delete this branch'];
  const isNew = none.test(from);
  const reasons = [];
  if (!isNew && !rule.allowForce && !isFastForward(from, to))
    reasons.push('Cannot force-push to this branch');
  if (rule.bypass || (isNew && !rule.onCreation)) return reasons;
  if (rule.pullRequest) reasons.push('Changes must be made through a pull request.');
  for (const check of rule.checks) reasons.push(`Required status check "${check}" is expected.`);
  return reasons;
}

/** Why a reference cannot be changed so, or undefined. */
function refuse(from, to, ref) {
  if (policy.reject) return policy.reject;
  if (!none.test(to) && policy.workflowRefusal) {
    const path = changedWorkflow(to);
    if (path !== undefined) return policy.workflowRefusal.replace('PATH', path);
  }
  for (const rule of policy.rules) {
    if (!new RegExp(rule.ref).test(ref)) continue;
    const reasons = brokenRules(rule, from, to);
    if (reasons.length === 0) continue;
    if (rule.source === 'protection') {
      say(
        `error: GH006: Protected branch update failed for ${ref}.`,
        ...reasons.map((text) => `error: ${text}`),
      );
      return 'protected branch hook declined';
    }
    say(
      `error: GH013: Repository rule violations found for ${ref}.`,
      '',
      ...reasons.map((text) => `- ${text}`),
      '',
    );
    return 'push declined due to repository rule violations';
  }
  return undefined;
}

readPackets();
writePackets(['version=1\0']);
const results = readPackets().map((command) => {
  const [from, to, ref] = command.split(' ');
  const reason = refuse(from, to, ref);
  if (reason) return `ng ${ref} ${reason}`;
  if (none.test(to)) git('update-ref', '-d', ref, from);
  else git('update-ref', ref, to, from);
  return `ok ${ref}`;
});
writePackets(results);
