import yoctoSpinner from 'yocto-spinner';
import type { GobootError } from '../errors.ts';
import { colored } from './color.ts';
import { formatSeconds } from './format.ts';

/** A running step: its text may change while it runs, and it ends in one of three ways. */
export interface StepHandle {
  /** Shows what is being done at the moment. */
  update(detail: string): void;
  done(detail?: string): void;
  skipped(reason: string): void;
  failed(): void;
}

/** Tells the user what happens. One implementation per kind of reader. */
export interface Reporter {
  /** A title with lines of what is about to happen. */
  plan(title: string, lines: readonly string[]): void;
  step(name: string): StepHandle;
  info(message: string): void;
  warn(message: string): void;
  /** What was found before anything is made, one by one: all of it for programs, and in fewer lines for people. */
  checks(results: readonly ShownCheck[], shown: readonly ShownCheck[]): void;
  /** The end of a command that succeeded: what there is now, and what to do next. */
  result(data: Record<string, unknown>, lines: readonly string[]): void;
  failure(error: GobootError): void;
}

/** A check as it is shown. */
export interface ShownCheck {
  name: string;
  status: 'ok' | 'warning' | 'failed';
  detail: string;
  remedy?: string;
  seconds: number;
}

export type ReporterKind = 'terminal' | 'plain' | 'json' | 'quiet';

/** Chooses the reporter for the flags and for where the output goes. */
export function createReporter(flags: { json: boolean; quiet: boolean }): Reporter {
  if (flags.json) return new JsonReporter();
  if (flags.quiet) return new QuietReporter();
  // The spinner, too, takes the mere presence of CI for "nobody is watching".
  return process.stdout.isTTY && !('CI' in process.env) ? new TerminalReporter() : new PlainReporter();
}

function printFailure(error: GobootError): void {
  process.stderr.write(`\n${colored('red', '✖')} ${error.message}\n`);
  if (error.remedy) process.stderr.write(`  ${error.remedy}\n`);
}

class TerminalReporter implements Reporter {
  plan(title: string, lines: readonly string[]): void {
    console.log(`\n${colored('bold', title)}`);
    for (const line of lines) console.log(`  ${line}`);
    console.log();
  }

  step(name: string): StepHandle {
    const started = performance.now();
    const spinner = yoctoSpinner({ text: name, stream: process.stdout, handleSignals: false }).start();
    const elapsed = () => colored('dim', formatSeconds((performance.now() - started) / 1000));
    const withDetail = (detail?: string) => (detail ? `${name} ${colored('dim', `· ${detail}`)}` : name);
    return {
      update: (detail) => {
        // One line that changes, also where the window is narrow.
        const room = (process.stdout.columns ?? 80) - name.length - ' ⠋ · …'.length;
        spinner.text = withDetail(detail.length > room ? `${detail.slice(0, Math.max(room, 0))}…` : detail);
      },
      done: (detail) => {
        spinner.success(`${withDetail(detail)} ${elapsed()}`);
      },
      skipped: (reason) => {
        spinner.stop(`${colored('dim', '–')} ${withDetail(reason)}`);
      },
      failed: () => {
        spinner.error(`${name} ${elapsed()}`);
      },
    };
  }

  info(message: string): void {
    console.log(`${colored('blue', 'ℹ')} ${message}`);
  }

  warn(message: string): void {
    console.log(`${colored('yellow', '⚠')} ${message}`);
  }

  checks(_results: readonly ShownCheck[], shown: readonly ShownCheck[]): void {
    const signs = { ok: colored('green', '✔'), warning: colored('yellow', '⚠'), failed: colored('red', '✖') };
    const width = Math.max(...shown.map(({ name }) => name.length));
    for (const { name, status, detail, remedy } of shown) {
      console.log(
        `  ${signs[status]} ${name.padEnd(width)}  ${status === 'ok' ? colored('dim', detail) : detail}`,
      );
      if (status !== 'ok' && remedy) console.log(`    ${' '.repeat(width)}  ${remedy}`);
    }
  }

  result(_data: Record<string, unknown>, lines: readonly string[]): void {
    console.log();
    for (const line of lines) console.log(line);
  }

  failure(error: GobootError): void {
    printFailure(error);
  }
}

class PlainReporter implements Reporter {
  plan(title: string, lines: readonly string[]): void {
    console.log(title);
    for (const line of lines) console.log(`  ${line}`);
  }

  step(name: string): StepHandle {
    const started = performance.now();
    const end = (status: string, detail?: string) => {
      const seconds = formatSeconds((performance.now() - started) / 1000);
      console.log(`${name}: ${status}${detail ? `, ${detail}` : ''} (${seconds})`);
    };
    return {
      update: () => {},
      done: (detail) => end('done', detail),
      skipped: (reason) => console.log(`${name}: skipped, ${reason}`),
      failed: () => end('failed'),
    };
  }

  info(message: string): void {
    console.log(message);
  }

  warn(message: string): void {
    console.log(`Warning: ${message}`);
  }

  checks(_results: readonly ShownCheck[], shown: readonly ShownCheck[]): void {
    for (const { name, status, detail, remedy } of shown) {
      console.log(`${status.padEnd('warning'.length)} ${name}: ${detail}`);
      if (status !== 'ok' && remedy) console.log(`${' '.repeat('warning'.length)} ${remedy}`);
    }
  }

  result(_data: Record<string, unknown>, lines: readonly string[]): void {
    for (const line of lines) console.log(line);
  }

  failure(error: GobootError): void {
    printFailure(error);
  }
}

class QuietReporter implements Reporter {
  plan(): void {}

  step(): StepHandle {
    return { update: () => {}, done: () => {}, skipped: () => {}, failed: () => {} };
  }

  info(): void {}

  warn(message: string): void {
    process.stderr.write(`Warning: ${message}\n`);
  }

  checks(_results: readonly ShownCheck[], shown: readonly ShownCheck[]): void {
    for (const { name, status, detail, remedy } of shown) {
      if (status === 'ok') continue;
      const kind = status === 'failed' ? 'Failed' : 'Warning';
      process.stderr.write(`${kind}: ${name}: ${detail}\n${remedy ? `  ${remedy}\n` : ''}`);
    }
  }

  result(): void {}

  failure(error: GobootError): void {
    printFailure(error);
  }
}

class JsonReporter implements Reporter {
  plan(title: string, lines: readonly string[]): void {
    this.#print({ event: 'plan', title, lines });
  }

  step(name: string): StepHandle {
    const started = performance.now();
    const end = (status: string, detail?: string) =>
      this.#print({
        event: 'step',
        name,
        status,
        seconds: Number(((performance.now() - started) / 1000).toFixed(3)),
        ...(detail && { detail }),
      });
    return {
      update: (detail) => this.#print({ event: 'progress', name, detail }),
      done: (detail) => end('done', detail),
      skipped: (reason) => end('skipped', reason),
      failed: () => end('failed'),
    };
  }

  info(message: string): void {
    this.#print({ event: 'info', message });
  }

  warn(message: string): void {
    this.#print({ event: 'warning', message });
  }

  checks(results: readonly ShownCheck[]): void {
    for (const result of results) this.#print({ event: 'check', ...result });
  }

  result(data: Record<string, unknown>): void {
    this.#print({ event: 'result', ...data });
  }

  failure(error: GobootError): void {
    this.#print({
      event: 'error',
      message: error.message,
      exitCode: error.code,
      ...(error.remedy && { remedy: error.remedy }),
    });
  }

  #print(event: Record<string, unknown>): void {
    process.stdout.write(`${JSON.stringify(event)}\n`);
  }
}

/** The same reporter without its steps: for what is itself a part of one. */
export function withoutSteps(reporter: Reporter): Reporter {
  const silent: StepHandle = { update() {}, done() {}, skipped() {}, failed() {} };
  return {
    plan: (...words) => reporter.plan(...words),
    step: () => silent,
    info: (message) => reporter.info(message),
    warn: (message) => reporter.warn(message),
    checks: (...words) => reporter.checks(...words),
    result: (...words) => reporter.result(...words),
    failure: (error) => reporter.failure(error),
  };
}

/**
 * Runs one step: reports its beginning, its end with the time, and its failure, which is thrown on.
 * The function may return a detail for the user.
 */
export async function runStep<T>(
  reporter: Reporter,
  name: string,
  action: (step: StepHandle) => Promise<T>,
  detailOf?: (value: T) => string | undefined,
): Promise<T> {
  const step = reporter.step(name);
  try {
    const value = await action(step);
    step.done(detailOf?.(value));
    return value;
  } catch (error) {
    step.failed();
    throw error;
  }
}
