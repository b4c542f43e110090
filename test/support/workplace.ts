import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { inject, onTestFinished } from 'vitest';
import { listDirectory } from './directory-listing.ts';
import { type InstalledGenerator, userEnvironment } from './installed-generator.ts';
import { giveTo, makeDirectoryFor, type NormalUser, type ProgramResult, runAs } from './normal-user.ts';
import { Terminal } from './terminal.ts';

/** What the set-up of the end-to-end tests hands to them. */
export interface Installation {
  /** Everything of this run is below it. */
  directory: string;
  user: NormalUser;
  installed: InstalledGenerator;
}

declare module 'vitest' {
  interface ProvidedContext {
    installation: Installation;
  }
}

export interface YoOptions {
  /** Relative to the working directory. */
  cwd?: string;
  env?: Record<string, string>;
  /** Directories of system programs, in place of the usual ones. */
  path?: string;
  /** Leaves out a program that is not the system's: uv. */
  without?: string;
  newerNode?: boolean;
  /** Takes the network away. Needs root. */
  isolated?: boolean;
}

/** A fresh home, working directory and directory for temporary files of the normal user. */
export class Workplace {
  readonly user: NormalUser;
  /** The working directory of `yo`, empty at first. */
  readonly cwd: string;
  readonly temporary: string;
  readonly #root: string;
  readonly #installation: Installation;

  constructor() {
    this.#installation = inject('installation');
    this.#root = mkdtempSync(join(this.#installation.directory, 'place-'));
    giveTo(this.#installation.user, this.#root);
    const directory = (name: string) => makeDirectoryFor(this.#installation.user, join(this.#root, name));
    this.user = { ...this.#installation.user, home: directory('home') };
    this.cwd = directory('work');
    this.temporary = directory('tmp');
  }

  /** The environment of this place's user. */
  environment(options: YoOptions = {}): Record<string, string> {
    const { installed, directory } = this.#installation;
    return {
      ...userEnvironment(this.user, installed, options),
      TMPDIR: this.temporary,
      // Shared by all tests, so that each package is downloaded once.
      UV_CACHE_DIR: join(directory, 'uv-cache'),
      ...options.env,
    };
  }

  /** Runs `yo` without a terminal. */
  async yo(args: readonly string[], options: YoOptions = {}): Promise<ProgramResult> {
    return this.run(['yo', ...args], options);
  }

  /** Runs any program as this place's user. */
  async run(words: readonly string[], options: YoOptions = {}): Promise<ProgramResult> {
    return runAs(this.user, words, {
      cwd: join(this.cwd, options.cwd ?? ''),
      env: this.environment(options),
      ...(options.isolated && { wrapper: ['/usr/bin/unshare', '--net'] }),
    });
  }

  /** Starts `yo` in a terminal, which is closed when the test ends. */
  async terminal(args: readonly string[], options: YoOptions = {}): Promise<Terminal> {
    const terminal = await Terminal.open(['yo', ...args], {
      user: this.user,
      // Not for temporary files: the terminal is no trace that yo leaves.
      directory: this.#root,
      cwd: join(this.cwd, options.cwd ?? ''),
      env: this.environment(options),
    });
    onTestFinished(() => terminal.close());
    return terminal;
  }

  /** Everything in this place, but for what `yo` and npm write into every home: a log and the date of an update check. */
  listing(): Record<string, string> {
    const ofYo = /^home\/(\.npm|\.config)(\/|$)/;
    return listDirectory(this.#root, (path) => path === 'tmux' || ofYo.test(path));
  }
}
