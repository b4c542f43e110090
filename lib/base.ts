import type { EventEmitter } from 'node:events';
import { accessSync, constants, existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import Generator, { type BaseOptions } from 'yeoman-generator';
import { cancelled, type Prompt } from './ask.ts';
import {
  type CommandDefinition,
  type CommandLine,
  parseCommandLine,
  wordsAfterNamespace,
} from './command-line.ts';
import { exitCodes, GobootError, toGobootError } from './errors.ts';
import { type AnswerName, commonSwitches, connectionSwitches, switches } from './questions.ts';
import { createReporter, type Reporter } from './terminal/reporter.ts';

/**
 * The one class that knows Yeoman: declares the options of a command, reads the command line, turns every error into
 * a message with an exit status, and lets a command stop early.
 */
export abstract class GobootGenerator extends Generator {
  protected readonly commandLine: CommandLine;
  protected readonly reporter: Reporter;
  readonly #startedByYo: boolean;
  #finished = false;
  readonly #cleanUps: (() => Promise<void>)[] = [];

  constructor(args: string[], options: BaseOptions, definition: CommandDefinition) {
    refuseAbandonedRoot();
    super(args, options, { customInstallTask: true });
    const complete = { ...definition, switches: [...definition.switches, ...Object.values(commonSwitches)] };
    this.#declare(complete);

    const words = wordsAfterNamespace(process.argv, String(options.namespace ?? ''));
    this.#startedByYo = words !== undefined;
    if (options.help) {
      this.commandLine = { positionals: [], values: {} };
      this.reporter = createReporter({ json: false, quiet: false });
      return;
    }
    this.reporter = createReporter({
      json: isGiven(words, options, 'json'),
      quiet: isGiven(words, options, 'quiet', 'q'),
    });
    try {
      this.commandLine = words
        ? parseCommandLine(words, complete)
        : { positionals: [...args], values: pickDeclared(options, complete) };
    } catch (error) {
      throw this.#fail(error);
    }
    // Files are written between the phases, by Yeoman, which would pass on the system's errors as they are.
    if (this.#startedByYo) (this.env as unknown as EventEmitter).on('error', (error) => this.#fail(error));
    // To Yeoman, which looks at these itself, `--force=false` is a text and so true.
    const conflictOptions = { force: this.isOn(switches.force), dryRun: this.isOn(switches.dryRun) };
    Object.assign((this.env as unknown as { options: object }).options, conflictOptions);
    Object.assign(this.options, conflictOptions);
  }

  /** Whether a switch is on. */
  protected isOn({ flag }: { flag: string }): boolean {
    return this.commandLine.values[flag] === true;
  }

  /** The value of a flag that takes one. */
  protected textOf({ flag }: { flag: string }): string | undefined {
    const value = this.commandLine.values[flag];
    return typeof value === 'string' ? value : undefined;
  }

  /** Answers given as flags, by name. */
  protected answerFlags(
    definition: Pick<CommandDefinition, 'questions'>,
  ): Partial<Record<AnswerName, string>> {
    return Object.fromEntries(
      definition.questions.flatMap(({ name, flag }) => {
        const value = flag && this.commandLine.values[flag];
        return value === undefined ? [] : [[name, String(value)]];
      }),
    );
  }

  /** Answers about the connection that hold for this run only, by name. */
  protected connectionFlags(): Partial<Record<AnswerName, string>> {
    return Object.fromEntries(
      Object.entries(connectionSwitches).flatMap(([name, flag]) => {
        const value = this.textOf(flag);
        return value === undefined ? [] : [[name, value]];
      }),
    );
  }

  /** Whether the user sits at a terminal and has not asked to be left alone. */
  protected get mayAsk(): boolean {
    const silent = ['yes', 'json', 'quiet'].some((flag) => this.commandLine.values[flag] === true);
    return Boolean(process.stdin.isTTY) && !silent;
  }

  /** Asks one question through Yeoman's adapter; nothing of the answer is stored by Yeoman. */
  protected readonly ask: Prompt = async (question) => {
    const chosen = question.choices && (await this.#choose(question.message, question.choices));
    return chosen ?? this.#askAs('input', question);
  };

  /** The same without showing what is typed. */
  protected readonly askSecret: Prompt = (question) => this.#askAs('password', question);

  /** Lets the user choose; undefined where none of the answers is right. */
  async #choose(message: string, answers: readonly string[]): Promise<string | undefined> {
    const another = 'another one';
    const { chosen } = await this.prompt<{ chosen: string }>([
      { type: 'select', name: 'chosen', message, choices: [...answers, another], default: answers[0] },
    ]);
    return chosen === another ? undefined : chosen;
  }

  async #askAs(
    type: 'input' | 'password',
    { name, message, default: fallback, validate }: Parameters<Prompt>[0],
  ): Promise<string> {
    const answers = await this.prompt<Record<string, string>>([
      { type, name, message, ...(fallback && { default: fallback }), validate },
    ]);
    return answers[name] ?? '';
  }

  /** Asks for a yes or no; Enter means yes unless something would be lost. */
  protected async confirm(message: string, fallback = true): Promise<boolean> {
    const { confirmed } = await this.prompt<{ confirmed: boolean }>([
      { type: 'confirm', name: 'confirmed', message, default: fallback },
    ]);
    return confirmed;
  }

  /** Keeps Yeoman from listing a hundred files one by one; conflicts and decisions are still shown. */
  protected summarizeFileLog(): void {
    const { log } = this.env.adapter;
    for (const status of ['create', 'identical', 'force'] as const) log[status] = () => log;
  }

  /** With --check or --dry-run: ends the command here, and says so. Returns whether it has ended. */
  protected async stopAfterPlan(found: Record<string, unknown> = {}): Promise<boolean> {
    if (!this.isOn(switches.check) && !this.isOn(switches.dryRun)) return false;
    await this.cleanUp();
    this.reporter.result({ status: 'checked', ...found }, ['Nothing was changed.']);
    this.finish();
    return true;
  }

  /** Makes every phase that is still to come do nothing. */
  protected finish(): void {
    this.#finished = true;
  }

  /** Runs one phase: nothing after `finish`, and one clear message for whatever goes wrong. */
  protected async phase(action: () => Promise<void> | void): Promise<void> {
    if (this.#finished) return;
    try {
      await action();
    } catch (error) {
      this.#finished = true;
      await this.cleanUp();
      throw this.#fail(error);
    }
  }

  /** Remembers what has to be given back at the end, also when a phase fails. */
  protected giveBackAtTheEnd(giveBack: () => Promise<void>): void {
    this.#cleanUps.push(giveBack);
  }

  /** Gives back what is still held. */
  protected async cleanUp(): Promise<void> {
    for (const giveBack of this.#cleanUps.splice(0)) await giveBack();
  }

  #declare(definition: CommandDefinition): void {
    for (const { flag, short, description } of definition.questions) {
      if (flag) this.option(flag, { type: String, description, ...(short && { alias: short }) });
    }
    for (const { flag, short, description, value } of definition.switches) {
      this.option(flag, { type: value ? String : Boolean, description, ...(short && { alias: short }) });
    }
    for (const name of definition.positionals) this.argument(name, { type: String, required: false });
  }

  /** Reports an error; ends the process when `yo` runs it, whose own report would repeat the command line. */
  #fail(error: unknown): GobootError {
    const known = isClosedPrompt(error) ? cancelled(error) : toGobootError(error);
    if (!this.#startedByYo) return known;
    this.reporter.failure(known);
    if (process.argv.includes(`--${commonSwitches.debug.flag}`)) console.error(known.cause ?? known);
    process.exit(known.code);
  }
}

function isClosedPrompt(error: unknown): boolean {
  return error instanceof Error && error.name === 'ExitPromptError';
}

// The reporter is needed to tell what is wrong with the command line, so it cannot wait for it to be read.
function isGiven(
  words: readonly string[] | undefined,
  options: Record<string, unknown>,
  flag: string,
  short?: string,
): boolean {
  if (!words) return options[flag] === true;
  return words.includes(`--${flag}`) || (short !== undefined && words.includes(`-${short}`));
}

function pickDeclared(
  options: Record<string, unknown>,
  definition: CommandDefinition,
): CommandLine['values'] {
  const flags = [...definition.questions, ...definition.switches].flatMap(({ flag }) => flag ?? []);
  return Object.fromEntries(
    flags.flatMap((flag) => {
      const value = options[flag];
      return value === undefined || value === null
        ? []
        : [[flag, typeof value === 'boolean' ? value : String(value)]];
    }),
  );
}

/**
 * Started by root, `yo` continues as user 1000 with root's home directory, and then Yeoman stops at a file in there
 * that it may not read. That deserves a better message than the stack trace that it gets.
 */
function refuseAbandonedRoot(): void {
  const home = homedir();
  try {
    accessSync(home, constants.X_OK);
    const globalSettings = join(home, '.yo-rc-global.json');
    if (existsSync(globalSettings)) accessSync(globalSettings, constants.R_OK);
  } catch {
    const error = new GobootError(
      `yo runs as user ${process.getuid?.()}, who may not use the home directory ${home}`,
      {
        exitCode: exitCodes.usage,
        remedy: 'Do not start yo as root; as a normal user it asks for sudo where it needs it.',
      },
    );
    createReporter({ json: process.argv.includes('--json'), quiet: false }).failure(error);
    process.exit(error.code);
  }
}
