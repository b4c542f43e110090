import { readFile } from 'node:fs/promises';
import { GobootError, toGobootError, usageError } from './errors.ts';
import type { AnswerName, Answers, Defaults, Question } from './questions.ts';
import type { ConfiguredHost } from './ssh/user-configuration.ts';
import { expandPath, quoted } from './validate.ts';

/** Asks the user one question and returns what was typed. */
export type Prompt = (question: {
  name: string;
  message: string;
  default: string | undefined;
  validate: (value: string) => true | string;
  /** Answers to choose from; any other one can be given, too. */
  choices?: readonly string[];
}) => Promise<string>;

export interface AnswerSources {
  /** As typed on the command line; these win. */
  flags: Partial<Record<AnswerName, string>>;
  /** From `--answers`. */
  file: Partial<Record<AnswerName, string>>;
  /** From an earlier run. */
  stored: Partial<Record<AnswerName, string>>;
  defaults: Defaults;
  /** What the user's ssh configuration says of the host that was answered. */
  lookUpHost?: (name: string) => Promise<ConfiguredHost | undefined>;
  /** Absent where nothing may be asked. */
  prompt?: Prompt;
}

function givenAnswer(
  { name }: Question,
  { flags, file }: Pick<AnswerSources, 'flags' | 'file'>,
): string | undefined {
  return flags[name] ?? file[name];
}

/** Throws a usage error for the first flag or answer of the file that is not valid. */
export function checkGiven(
  questions: readonly Question[],
  sources: Pick<AnswerSources, 'flags' | 'file'>,
): void {
  for (const question of questions) {
    const given = givenAnswer(question, sources);
    if (given !== undefined) question.validate(given);
  }
}

/**
 * Collects an answer to every question: from flags, an answers file, an earlier run, the user, or its default.
 *
 * Throws a usage error for the first value that is not valid, or one that names every missing answer when
 * nothing may be asked.
 */
export async function collectAnswers(
  questions: readonly Question[],
  sources: AnswerSources,
): Promise<Answers> {
  const answers: Partial<Answers> = {};
  const defaults = { ...sources.defaults };
  const answer = async (question: Question, value: string) => {
    assign(answers, question, value);
    if (question.name !== 'host') return;
    const configured = await sources.lookUpHost?.(value);
    if (!configured) return;
    // Only this computer knows the name.
    assign(answers, question, configured.address);
    defaults.configuredHost = configured;
  };
  // Flags are judged before anything is asked: nobody wants to answer ten questions and then learn of a typing error.
  for (const question of questions) {
    const given = givenAnswer(question, sources);
    if (given !== undefined) await answer(question, given);
  }

  const missing: Question[] = [];
  for (const question of questions) {
    if (answers[question.name] !== undefined) continue;
    if (question.when && !question.when(answers)) continue;
    const stored = sources.stored[question.name];
    if (stored !== undefined) {
      assign(answers, question, stored, question.validateStored);
      continue;
    }
    const fallback = question.default?.(answers, defaults);
    if (question.flagOnly) continue;
    if (sources.prompt) {
      await answer(question, await ask(sources.prompt, question, fallback, defaults));
    } else if (fallback === undefined && question.default) {
      // It follows from another answer, which is missing itself.
    } else if (fallback === undefined || (fallback === '' && !acceptsNothing(question))) {
      missing.push(question);
    } else {
      await answer(question, fallback);
    }
  }
  if (missing.length > 0) {
    throw usageError(
      `Missing: ${missing.map(nameForPeople).join(', ')}`,
      'Give each one on the command line or with --answers FILE, or start yo in a terminal to be asked.',
    );
  }
  return answers as Answers;
}

function nameForPeople(question: Question): string {
  return question.flag ? `--${question.flag}` : 'the project name';
}

function acceptsNothing(question: Question): boolean {
  try {
    question.validate('');
    return true;
  } catch {
    return false;
  }
}

function assign(
  answers: Partial<Answers>,
  question: Question,
  value: string,
  validate: Question['validate'] = question.validate,
): void {
  Object.assign(answers, { [question.name]: validate(value) });
}

function ask(
  prompt: Prompt,
  question: Question,
  fallback: string | undefined,
  defaults: Defaults,
): Promise<string> {
  const choices = question.choices?.(defaults) ?? [];
  return prompt({
    ...(choices.length > 0 && { choices: [...new Set([...(fallback ? [fallback] : []), ...choices])] }),
    name: question.name,
    message: question.prompt,
    default: fallback || undefined,
    validate: (value) => {
      try {
        question.validate(value);
        return true;
      } catch (error) {
        const { message, remedy } = toGobootError(error);
        return remedy ? `${message}. ${remedy}` : message;
      }
    },
  });
}

/**
 * Reads a YAML file of answers, whose keys are the flags' names (and `project-name`).
 *
 * Throws a usage error for a file that cannot be read, is not a mapping, or has an unknown key or a value that is
 * not a text or number.
 */
export async function readAnswersFile(
  path: string,
  questions: readonly Question[],
): Promise<Partial<Record<AnswerName, string>>> {
  let document: unknown;
  try {
    const { parse } = await import('yaml');
    // The failsafe schema reads every scalar as the text that it was written as: 007 stays 007 and no stays no.
    document = parse(await readFile(expandPath(path), 'utf8'), { schema: 'failsafe' });
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw usageError(
      `The answers file ${quoted(path)} cannot be read: ${reason}`,
      'Give a YAML file with one "flag: value" per line.',
    );
  }
  if (document === null || typeof document !== 'object' || Array.isArray(document)) {
    throw usageError(
      `The answers file ${quoted(path)} is not a mapping`,
      'Write one "flag: value" per line.',
    );
  }
  const byKey = new Map(questions.map((question) => [question.flag ?? 'project-name', question]));
  const answers: Partial<Record<AnswerName, string>> = {};
  for (const [key, value] of Object.entries(document)) {
    const question = byKey.get(key);
    if (!question) {
      throw usageError(
        `The answers file ${quoted(path)} has an unknown key ${quoted(key)}`,
        `Known: ${[...byKey.keys()].join(', ')}.`,
      );
    }
    if (typeof value !== 'string') {
      throw usageError(
        `The answer ${quoted(key)} in ${quoted(path)} is not a text or number`,
        `Write it as "${key}: value".`,
      );
    }
    answers[question.name] = value;
  }
  return answers;
}

/** The error of a user who closes a question instead of answering it. */
export function cancelled(cause: unknown): GobootError {
  return new GobootError('Cancelled; nothing was created', { cause });
}
