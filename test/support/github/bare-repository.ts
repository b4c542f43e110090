import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  type Dirent,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What no git of the server's may take from whoever started it. */
export const gitEnvironment = {
  PATH: process.env.PATH ?? '',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'GitHub',
  GIT_AUTHOR_EMAIL: 'noreply@github.com',
  GIT_COMMITTER_NAME: 'GitHub',
  GIT_COMMITTER_EMAIL: 'noreply@github.com',
};

const hook = fileURLToPath(new URL('proc-receive.mjs', import.meta.url));

export interface Commit {
  sha: string;
  tree: string;
  parents: string[];
  author: { name: string; email: string; date: string };
  committer: { name: string; email: string; date: string };
  message: string;
}

export interface TreeEntry {
  type: 'file' | 'dir';
  path: string;
  sha: string;
  size: number;
}

/** The git repository behind a repository of the API. */
export class BareRepository {
  readonly path: string;

  constructor(path: string, defaultBranch: string) {
    this.path = path;
    mkdirSync(join(path, 'hooks'), { recursive: true });
    this.git('init', '--quiet', '--bare', '--template=', `--initial-branch=${defaultBranch}`);
    // Written by hand, because each `git config` would be one more process. Refusals of the hook proc-receive reach
    // the client word for word, as GitHub's do.
    appendFileSync(
      join(path, 'config'),
      '[http]\n\treceivepack = true\n[receive]\n\tprocReceiveRefs = refs\n',
    );
    writeFileSync(join(path, 'hooks', 'proc-receive'), `#!/bin/sh\nexec '${process.execPath}' '${hook}'\n`, {
      mode: 0o755,
    });
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  git(...args: string[]): string {
    return this.#run(args);
  }

  #run(args: string[], options: { env?: Record<string, string>; input?: string } = {}): string {
    return execFileSync('git', args, {
      cwd: this.path,
      env: { ...gitEnvironment, GIT_DIR: this.path, ...options.env },
      encoding: 'utf8',
      input: options.input ?? '',
      stdio: ['pipe', 'pipe', 'pipe'],
      maxBuffer: 64 * 1024 * 1024,
    });
  }

  /** The newest commit that two commits have in common, or undefined. */
  mergeBase(one: string, other: string): string | undefined {
    try {
      return this.git('merge-base', one, other).trim();
    } catch {
      return undefined;
    }
  }

  /** How many commits only the first of two commits has, and how many only the second. */
  leftAndRight(one: string, other: string): number[] {
    return this.git('rev-list', '--left-right', '--count', `${one}...${other}`)
      .trim()
      .split(/\s+/)
      .map(Number);
  }

  /** The object that a name of a revision stands for, or undefined. */
  resolve(revision: string): string | undefined {
    try {
      return this.git('rev-parse', '--quiet', '--verify', '--end-of-options', revision).trim();
    } catch {
      return undefined;
    }
  }

  /** Branches or tags with what they point to. */
  refs(prefix: 'refs/heads' | 'refs/tags' | 'refs'): { ref: string; sha: string; type: string }[] {
    const lines = this.git('for-each-ref', '--format=%(refname) %(objectname) %(objecttype)', prefix);
    return lines
      .split('\n')
      .filter(Boolean)
      .map((line) => {
        const [ref = '', sha = '', type = ''] = line.split(' ');
        return { ref, sha, type };
      });
  }

  get isEmpty(): boolean {
    // Looked up without git: it is asked for with every request.
    const isFile = (entry: Dirent) => entry.isFile();
    const loose = readdirSync(join(this.path, 'refs'), { recursive: true, withFileTypes: true });
    return !loose.some(isFile) && !existsSync(join(this.path, 'packed-refs'));
  }

  /** The commits of a revision, newest first. */
  commits(revision: string, limit = 100): Commit[] {
    const fields = ['%H', '%T', '%P', '%an', '%ae', '%aI', '%cn', '%ce', '%cI', '%B'].join('%x00');
    return this.git('log', '-z', `--max-count=${limit}`, `--format=${fields}%x01`, revision, '--')
      .split('\x01')
      .map((entry) => entry.replace(/^\0/, ''))
      .filter(Boolean)
      .map((entry) => {
        const [sha, tree, parents, an, ae, ad, cn, ce, cd, message] = entry.split('\0').map(String);
        return {
          sha: String(sha),
          tree: String(tree),
          parents: String(parents).split(' ').filter(Boolean),
          author: { name: String(an), email: String(ae), date: utc(ad) },
          committer: { name: String(cn), email: String(ce), date: utc(cd) },
          message: String(message).trimEnd(),
        };
      });
  }

  /** A file's content, or a directory's entries, or undefined. */
  contents(revision: string, path: string): Buffer | TreeEntry[] | undefined {
    const object = this.resolve(`${revision}:${path}`);
    if (object === undefined) return undefined;
    if (this.git('cat-file', '-t', object).trim() === 'blob') {
      return execFileSync('git', ['cat-file', 'blob', object], {
        cwd: this.path,
        env: { ...gitEnvironment, GIT_DIR: this.path },
        maxBuffer: 64 * 1024 * 1024,
      });
    }
    return this.git('ls-tree', '-l', '-z', object)
      .split('\0')
      .filter(Boolean)
      .map((line) => {
        const [, type, sha = '', size, name] = /^\d+ (\w+) (\w+) +(\S+)\t(.*)$/s.exec(line) ?? [];
        return {
          type: type === 'tree' ? 'dir' : 'file',
          path: path ? `${path}/${name}` : String(name),
          sha,
          size: Number(size) || 0,
        };
      });
  }

  /** Makes a commit on top of the branch, without a working tree. */
  commit(branch: string, files: Readonly<Record<string, string>>, message: string): string {
    const parent = this.resolve(`refs/heads/${branch}`);
    const env = { GIT_INDEX_FILE: join(this.path, 'goboot-index') };
    if (parent) this.#run(['read-tree', parent], { env });
    for (const [path, content] of Object.entries(files)) {
      const blob = this.#run(['hash-object', '-w', '--stdin'], { input: content }).trim();
      this.#run(['update-index', '--add', '--cacheinfo', `100644,${blob},${path}`], { env });
    }
    const tree = this.#run(['write-tree'], { env }).trim();
    rmSync(env.GIT_INDEX_FILE, { force: true });
    const sha = this.git('commit-tree', tree, '-m', message, ...(parent ? ['-p', parent] : [])).trim();
    this.git('update-ref', `refs/heads/${branch}`, sha);
    return sha;
  }
}

function utc(date: string | undefined): string {
  return new Date(String(date)).toISOString().replace(/\.\d+Z$/, 'Z');
}
