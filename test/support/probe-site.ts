import { appendFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { packageRoot } from '../../lib/paths.ts';
import type { RehearsalHost } from '../../lib/rehearsal/rehearsal.ts';
import type { LoadResult } from './load.ts';
import { type NormalUser, type ProgramResult, runAs } from './normal-user.ts';

/** Where a user works with `yo`: a Workplace of the tests, or something like it. */
export interface ProbePlace {
  user: NormalUser;
  cwd: string;
  environment(): Record<string, string>;
}

/** How the user reaches the host. */
export interface ProbeTarget {
  address: string;
  port: number;
  user: string;
  keyFile: string;
  knownHostsFile: string;
}

/** One run of `yo`, told in JSON. */
export interface YoRun {
  exitCode: number;
  events: Record<string, unknown>[];
  /** The last event: the result, or the error. */
  result: Record<string, unknown>;
  output: string;
  /** In milliseconds since 1970. */
  from: number;
  to: number;
}

/** Ways to commit what no visitor should ever see. */
export type Breakage = 'import' | 'migration' | 'page';

const fixture = join(packageRoot, 'test/support/probe');
const project = 'shop';

/** A scaffolded project with the application `probe`, whose commits and deploys are at hand. */
export class ProbeSite {
  readonly name = `${project}-production`;
  readonly domain = 'shop.example.com';
  readonly directory: string;
  /**
   * Whether `yo` leaves the processors to whoever else wants them. A developer's computer is another one than the host;
   * here they are the same, and its work would be what visitors wait for.
   */
  yields = false;
  readonly #place: ProbePlace;
  #revision = 1;

  constructor(place: ProbePlace) {
    this.#place = place;
    this.directory = join(place.cwd, project);
  }

  /** Scaffolds the project, adds the application and commits both. Nothing is deployed. */
  async scaffold(target: ProbeTarget): Promise<void> {
    await this.#succeed('git', ['config', '--global', 'user.name', 'Ada Example'], this.#place.cwd);
    await this.#succeed('git', ['config', '--global', 'user.email', 'ada@example.com'], this.#place.cwd);
    const { exitCode, output } = await this.yo(
      [
        ...['goboot', project, '--yes', '--skip-github', '--skip-deploy', `--domain=${this.domain}`],
        ...['--author=Ada Example', '--email=ada@example.com', `--host=${target.address}`],
        ...[`--port=${target.port}`, `--user=${target.user}`, `--key-file=${target.keyFile}`],
        `--known-hosts-file=${target.knownHostsFile}`,
      ],
      this.#place.cwd,
    );
    if (exitCode !== 0) throw new Error(`The project could not be scaffolded:\n${output}`);
    cpSync(join(fixture, 'application'), join(this.directory, 'probe'), { recursive: true });
    const append = (path: string, from: string) =>
      appendFileSync(join(this.directory, path), readFileSync(join(fixture, from), 'utf8'));
    append(`${project}/settings/base.py`, 'settings.py');
    append(`${project}/urls.py`, 'urls.py');
    await this.#commit('Add the probe');
  }

  /** Commits other values of variables in the environment's inventory. */
  async setVariables(values: Record<string, string>): Promise<void> {
    const path = join(this.directory, '.ansible/inventory/production/group_vars/all/main.yml');
    let text = readFileSync(path, 'utf8');
    for (const [name, value] of Object.entries(values)) {
      text = text.replace(new RegExp(`^${name}:.*$`, 'm'), () => `${name}: ${JSON.stringify(value)}`);
    }
    writeFileSync(path, text);
    await this.#commit('Change variables');
  }

  /** The number of the last commit's code, which the page `who` tells. */
  get revision(): number {
    return this.#revision;
  }

  /** Commits changed code and a changed static file. */
  async changeCode(): Promise<void> {
    this.#revise();
    await this.#commit(`Revision ${this.#revision}`);
  }

  /** Commits the same together with a migration, and a task that the release before does not know. */
  async changeSchema(): Promise<void> {
    cpSync(join(fixture, 'next-release'), join(this.directory, 'probe'), { recursive: true });
    await this.changeCode();
  }

  /** Commits what must not go live. `revert` takes it back. */
  async breakProject(breakage: Breakage): Promise<void> {
    this.#revise();
    const file = (path: string) => join(this.directory, path);
    if (breakage === 'import') appendFileSync(file('probe/urls.py'), 'import no_such_module\n');
    if (breakage === 'page') {
      appendFileSync(file(`${project}/urls.py`), 'urlpatterns = urlpatterns[-1:]\n');
    }
    if (breakage === 'migration') {
      writeFileSync(
        file('probe/migrations/0099_broken.py'),
        `from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("probe", "0001_initial")]
    operations = [migrations.RunSQL("select * from no_such_table")]
`,
      );
    }
    await this.#commit(`Break the ${breakage}`);
  }

  /** Takes the last commit back. */
  async revert(): Promise<void> {
    await this.git('revert', '--no-edit', 'HEAD');
  }

  /** Runs `yo goboot:deploy`. */
  deploy(...args: string[]): Promise<YoRun> {
    return this.yo(['goboot:deploy', '--yes', ...args], this.directory);
  }

  /** Runs `yo` for programs. */
  async yo(args: readonly string[], cwd = this.directory): Promise<YoRun> {
    const from = Date.now();
    const words = [...(this.yields ? ['nice', '--adjustment=5'] : []), 'yo', ...args, '--json'];
    const { exitCode, stdout, stderr } = await this.run(words, cwd);
    const to = Date.now();
    const events = stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
    return { exitCode, events, result: events.at(-1) ?? {}, output: `${stdout}\n${stderr}`, from, to };
  }

  /** Runs git in the project and returns what it prints. */
  async git(...args: string[]): Promise<string> {
    return this.#succeed('git', args, this.directory);
  }

  /** Runs a program as the project's user, in the project unless told otherwise. */
  run(
    words: readonly string[],
    cwd = this.directory,
    env: Record<string, string> = {},
  ): Promise<ProgramResult> {
    return runAs(this.#place.user, words, { cwd, env: { ...this.#place.environment(), ...env } });
  }

  #revise(): void {
    this.#revision += 1;
    const write = (path: string, text: string) => writeFileSync(join(this.directory, 'probe', path), text);
    write(
      'revision.py',
      `"""Changed by each commit, so that releases differ in their code."""\n\nREVISION = ${this.#revision}\n`,
    );
    write('static/probe/release.txt', `Revision ${this.#revision}\n`);
  }

  async #commit(message: string): Promise<void> {
    await this.#giveToUser();
    await this.git('add', '--all');
    await this.git('commit', '--quiet', '--message', message);
  }

  /** What was copied belongs to whoever runs this. */
  async #giveToUser(): Promise<void> {
    const { account } = this.#place.user;
    if (!account) return;
    await execa('chown', ['-R', `${account.uid}:${account.gid}`, this.directory]);
  }

  async #succeed(program: string, args: string[], cwd: string): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run([program, ...args], cwd);
    if (exitCode !== 0) throw new Error(`${program} ${args[0]}: ${stderr}`);
    return stdout;
  }
}

/** What became of the forms and tasks that the site has taken. */
export interface Kept {
  entries: number;
  runs: number;
  /** What is missing or there twice, one line for each. */
  wrong: string[];
}

/** Compares what the site said it has taken with the rows in its database, once all its tasks have ended. */
export async function readKept(
  host: Pick<RehearsalHost, 'rootShell'>,
  site: string,
  { accepted }: Pick<LoadResult, 'accepted'>,
): Promise<Kept> {
  const rows = async (query: string): Promise<string[][]> => {
    const sql = `runuser -u postgres -- psql --dbname '${site}' --no-align --tuples-only --field-separator ' '`;
    const { stdout } = await host.rootShell(`cd / && ${sql}`, query);
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(' '));
  };
  const deadline = Date.now() + 60_000;
  let runs: string[][] = [];
  do {
    runs = await rows('select key, release, ended is not null from probe_run;');
    const ended = new Set(runs.filter(([, , done]) => done === 't').map(([key]) => key));
    if (accepted.runs.every((key) => ended.has(key))) break;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  } while (Date.now() < deadline);
  const entries = await rows('select key, release from probe_entry;');
  const wrong = (what: string, keys: string[], found: string[][]) =>
    keys.flatMap((key) => {
      const those = found.filter(([name]) => name === key);
      const where = those.map(([, release, done]) => `${release}${done === 'f' ? ' (not ended)' : ''}`);
      return those.length === 1 && those[0]?.[2] !== 'f'
        ? []
        : [`${what} ${key} is there ${those.length} times: ${where.join(', ') || 'lost'}`];
    });
  return {
    entries: accepted.entries.length,
    runs: accepted.runs.length,
    wrong: [...wrong('form', accepted.entries, entries), ...wrong('task', accepted.runs, runs)],
  };
}
