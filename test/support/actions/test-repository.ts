import { join } from 'node:path';
import { BareRepository } from '../github/bare-repository.ts';
import { type ActionsRepository, gitIn, type HeldByGitHub } from './repository.ts';

/** A repository without GitHub, which holds what a test gives to it. */
export class TestRepository implements ActionsRepository {
  readonly fullName = 'ada/shop';
  readonly private = true;
  readonly defaultBranch = 'main';
  readonly serverUrl = 'https://github.example';
  readonly apiUrl = 'https://api.github.example';
  readonly bare: BareRepository;
  readonly #held: HeldByGitHub;

  private constructor(directory: string, held: Partial<HeldByGitHub>) {
    this.bare = new BareRepository(join(directory, 'shop.git'), this.defaultBranch);
    this.#held = { secrets: {}, variables: {}, environments: {}, ...held };
  }

  /** A new repository with a commit of some files on main. */
  static of(
    directory: string,
    files: Readonly<Record<string, string>>,
    held: Partial<HeldByGitHub> = {},
  ): TestRepository {
    const repository = new TestRepository(directory, held);
    repository.bare.commit('main', files, 'Start');
    return repository;
  }

  /** A copy of a project's main branch. */
  static copyOf(directory: string, project: string, held: Partial<HeldByGitHub> = {}): TestRepository {
    const repository = new TestRepository(directory, held);
    gitIn(repository.path, ['fetch', '--quiet', project, 'main:main']);
    return repository;
  }

  get path(): string {
    return this.bare.path;
  }

  held(): HeldByGitHub {
    return this.#held;
  }

  token(permissions: Readonly<Record<string, string>>): string {
    return `token-${JSON.stringify(permissions)}`;
  }
}
