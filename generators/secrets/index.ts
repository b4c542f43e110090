import type { BaseOptions } from 'yeoman-generator';
import { GobootError, toGobootError, usageError } from '../../lib/errors.ts';
import type { GitHub } from '../../lib/github/client.ts';
import { originUrl } from '../../lib/github/push.ts';
import { tokenFromEnvironment } from '../../lib/github/token.ts';
import { connectToSite } from '../../lib/preflight/run.ts';
import type { Environment, Environments } from '../../lib/project.ts';
import { PublishingGenerator } from '../../lib/publishing.ts';
import { connectionSwitches, switches } from '../../lib/questions.ts';
import { secretsTable, usualDays } from '../../lib/secrets/overview.ts';
import { ownSecret } from '../../lib/secrets/own-secret.ts';
import { trimmedInput, validateOwnValue } from '../../lib/secrets/own-secrets.ts';
import { daysOf, type SecretsRequest, secretsRequest } from '../../lib/secrets/request.ts';
import { generatedSecrets, secretNamed } from '../../lib/secrets/rotatable.ts';
import type { RotationSettings } from '../../lib/secrets/rotation.ts';
import { oldSecretKeys } from '../../lib/secrets/secret-key.ts';
import { type PreparedRotation, SecretsWork } from '../../lib/secrets/work.ts';
import { type OpenedProject, openProject, storedEnvironments } from '../../lib/settings-file.ts';
import { colored } from '../../lib/terminal/color.ts';
import { readStandardInput } from '../../lib/terminal/standard-input.ts';

const definition = {
  questions: [],
  switches: [
    switches.environment,
    ...Object.values(connectionSwitches),
    switches.set,
    switches.unset,
    switches.rotate,
    switches.leaked,
    switches.olderThan,
    switches.keepOld,
    switches.finish,
    switches.resume,
    switches.skipGitHub,
    switches.yes,
    switches.check,
    switches.dryRun,
  ],
  positionals: [],
};

/** `yo goboot:secrets`: look at every secret → choose → plan → rotate, step by step. */
export default class SecretsGenerator extends PublishingGenerator {
  #request!: SecretsRequest;
  #settings!: RotationSettings;
  #opened!: OpenedProject;
  #environments!: Environments;
  #work!: SecretsWork;
  #prepared: PreparedRotation[] = [];

  constructor(args: string[], options: BaseOptions) {
    super(args, options, definition);
    this.registerPriorities([{ priorityName: 'rotate', before: 'end' }]);
  }

  async initializing(): Promise<void> {
    await this.phase(() => {
      this.#request = secretsRequest({
        set: this.textOf(switches.set),
        unset: this.textOf(switches.unset),
        rotate: this.textOf(switches.rotate),
        leaked: this.textOf(switches.leaked),
        finish: this.isOn(switches.finish),
        resume: this.isOn(switches.resume),
      });
      this.#settings = {
        begun: new Date().toISOString(),
        leaked: this.#request.action === 'rotate' && this.#request.leaked,
        keepOldDays: this.#days(switches.keepOld) ?? 30,
        ...(this.#request.action === 'unset' && { removes: true }),
      };
      this.#opened = openProject(this.env.cwd, this.textOf(switches.environment), this.connectionFlags());
      const { root, project, environment } = this.#opened;
      const [first, ...further] = storedEnvironments(root).map((stored) =>
        stored.name === environment.name ? environment : stored,
      );
      this.#environments = [first ?? environment, ...further];
      this.#work = new SecretsWork({
        projectRoot: root,
        project,
        environments: this.#environments,
        reporter: this.reporter,
        logIn: async (target) => {
          const host = await connectToSite(this.reporter, { root, project, environment: target });
          this.giveBackAtTheEnd(() => host.connection.close());
          return host;
        },
        openGitHub: async () => ((await this.#usesGitHub()) ? this.openGitHub(project) : undefined),
        glanceAtGitHub: () => this.#glanceAtGitHub(),
      });
    });
  }

  async configuring(): Promise<void> {
    await this.phase(async () => {
      if (this.#request.action === 'resume') return this.#planToResume();
      if (this.#request.action === 'look') {
        await this.#look();
      } else {
        await this.#work.requireCleanStart();
        await this.#prepare(this.#request);
      }
      if (this.#prepared.length > 0) await this.#showPlan();
    });
  }

  async rotate(): Promise<void> {
    await this.phase(async () => {
      const resumes = this.#request.action === 'resume';
      const rotated = resumes ? await this.#work.resume() : await this.#work.rotate(this.#prepared);
      await this.cleanUp();
      const afterwards = this.#prepared.flatMap(({ rotation, rotatable, settings }) => [
        ...(rotation.afterwards ?? []),
        ...(settings.leaked ? rotatable.afterLeak : []),
      ]);
      this.reporter.result({ status: 'rotated', rotated, afterwards }, [
        ...rotated.map((name) => `Done: ${name}.`),
        ...afterwards,
        ...(rotated.length > 0 ? ['The vault was committed. Push it, so that others have it: git push'] : []),
      ]);
    });
  }

  async #usesGitHub(): Promise<boolean> {
    return !this.isOn(switches.skipGitHub) && (await originUrl(this.#opened.root)) !== undefined;
  }

  async #glanceAtGitHub(): Promise<GitHub | undefined> {
    if (tokenFromEnvironment() === undefined || !(await this.#usesGitHub())) return undefined;
    try {
      return await this.openGitHub(this.#opened.project);
    } catch (error) {
      this.reporter.warn(`GitHub was not looked at: ${toGobootError(error).message}`);
      return undefined;
    }
  }

  #days({ flag }: { flag: string }): number | undefined {
    const text = this.textOf({ flag });
    return text === undefined ? undefined : daysOf(text, `--${flag}`);
  }

  /** The environment that was named; production, or all of them, without one. */
  get #named(): readonly Environment[] {
    return this.textOf(switches.environment) === undefined ? this.#environments : [this.#opened.environment];
  }

  /** Shows all secrets, and lets the user choose which to rotate. */
  async #look(): Promise<void> {
    const secrets = await this.#work.look(this.#named, this.#days(switches.olderThan) ?? usualDays);
    const unfinished = this.#work.unfinished();
    for (const { secret } of unfinished) {
      this.reporter.warn(`The rotation of ${secret} was interrupted: yo goboot:secrets --resume`);
    }
    const table = secretsTable(secrets, (row) => colored('yellow', row));
    const offered = secrets.filter(({ name }) => generatedSecrets.some((secret) => secret.name === name));
    if (!this.mayAsk || unfinished.length > 0 || this.isOn(switches.dryRun) || this.isOn(switches.check)) {
      await this.cleanUp();
      this.reporter.result(
        { status: 'listed', secrets, unfinished: unfinished.map(({ secret }) => secret) },
        table,
      );
      return this.finish();
    }
    for (const line of table) console.log(line);
    const { chosen } = await this.prompt<{ chosen: string[] }>([
      {
        type: 'checkbox',
        name: 'chosen',
        message: 'Which of them are to get another value?',
        choices: offered.map(({ environment, name, recommendation }, index) => ({
          name: `${name} of ${environment}${recommendation ? ` (${recommendation})` : ''}`,
          value: String(index),
        })),
      },
    ]);
    if (chosen.length === 0) {
      await this.cleanUp();
      this.reporter.result({ status: 'listed' }, ['Nothing was changed.']);
      return this.finish();
    }
    await this.#work.requireCleanStart();
    for (const index of chosen) {
      const { name, environment, shared } = offered[Number(index)] as (typeof offered)[number];
      const target = this.#environments.find((each) => each.name === environment) as Environment;
      this.#prepared.push(
        await this.#work.prepare(secretNamed(name), target, this.#settings, { needsSite: !shared }),
      );
    }
  }

  async #prepare(request: Exclude<SecretsRequest, { action: 'look' | 'resume' }>): Promise<void> {
    const { environment } = this.#opened;
    switch (request.action) {
      case 'set': {
        const change = { value: validateOwnValue(request.name, await this.#readValue(request.name)) };
        return this.#add(ownSecret(request.name, change), environment, false);
      }
      case 'unset': {
        if (!(await this.#work.ownNames(environment)).includes(request.name)) {
          throw usageError(
            `${environment.name} has no secret ${request.name}`,
            'To see what there is: yo goboot:secrets',
          );
        }
        return this.#add(ownSecret(request.name, 'unset'), environment, false);
      }
      case 'finish': {
        for (const due of await this.#work.withDueKeys(this.#named)) await this.#add(oldSecretKeys, due);
        if (this.#prepared.length === 0) this.#end('Nothing is due: no old secret key has had its time.');
        return;
      }
      case 'rotate': {
        const olderThan = this.#days(switches.olderThan) ?? 0;
        const secrets = await this.#work.look([environment], olderThan);
        const wanted = request.names === 'all' ? generatedSecrets.map(({ name }) => name) : request.names;
        for (const name of wanted) {
          const secret = secrets.find((each) => each.name === name);
          if (!secret && request.names !== 'all') {
            throw usageError(`${environment.name} has no ${name}`, 'To see what there is: yo goboot:secrets');
          }
          if (!secret || (secret.days ?? Number.POSITIVE_INFINITY) < olderThan) continue;
          try {
            await this.#add(secretNamed(name), environment, !secret.shared);
          } catch (error) {
            if (request.names !== 'all') throw error;
            this.reporter.warn(`${name} is left out: ${toGobootError(error).message}`);
          }
        }
        if (this.#prepared.length === 0) this.#end('Nothing is that old.');
      }
    }
  }

  async #add(
    ...[rotatable, environment, needsSite = true]: [PreparedRotation['rotatable'], Environment, boolean?]
  ): Promise<void> {
    this.#prepared.push(await this.#work.prepare(rotatable, environment, this.#settings, { needsSite }));
  }

  #end(message: string): void {
    this.reporter.result({ status: 'unchanged', message }, [message]);
    this.finish();
  }

  async #readValue(name: string): Promise<string> {
    if (!process.stdin.isTTY) return trimmedInput(await readStandardInput());
    if (!this.mayAsk) {
      throw usageError(
        `There is no value for ${name}: nobody may be asked, and nothing comes on standard input`,
        `For example: yo goboot:secrets --set ${name} < FILE`,
      );
    }
    return this.askSecret({
      name: 'value',
      message: `Value of ${name} (one of several lines: yo goboot:secrets --set ${name} < FILE)`,
      default: undefined,
      validate(value) {
        try {
          validateOwnValue(name, value);
          return true;
        } catch (error) {
          return toGobootError(error).message;
        }
      },
    });
  }

  async #showPlan(): Promise<void> {
    const plan = this.#prepared.flatMap(({ rotation: { secret, environment, steps } }) => [
      environment === undefined ? `${secret}:` : `${secret} of ${environment}:`,
      ...steps.map(({ title }) => `  ${title}`),
    ]);
    this.reporter.plan('Secrets, while the site goes on:', plan);
    if (await this.stopAfterPlan({ steps: plan })) return;
    if (this.mayAsk && !(await this.confirm('Go ahead?'))) {
      throw new GobootError('Cancelled; nothing was changed');
    }
  }

  async #planToResume(): Promise<void> {
    const unfinished = this.#work.unfinished();
    if (unfinished.length === 0) {
      throw usageError('There is nothing to go on with: no rotation was interrupted');
    }
    this.reporter.plan(
      'Go on with:',
      unfinished.map(({ secret, environment, begun }) =>
        [secret, ...(environment ? [`of ${environment}`] : []), `begun ${begun}`].join(' '),
      ),
    );
    await this.stopAfterPlan();
  }
}
