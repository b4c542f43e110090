import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type NormalUser, runAs } from './normal-user.ts';

export interface TerminalOptions {
  user: NormalUser;
  /** A directory of the user's for the socket. */
  directory: string;
  cwd: string;
  env: Record<string, string>;
  columns?: number;
  lines?: number;
}

// tmux itself at times never learns the exit status of a program that ends quickly, so a shell around it prints it.
// It outlives the interrupt that the terminal sends to both.
const wrapper = ['sh', '-c', 'trap : INT; "$@"; echo "exit status: $?"', 'sh'];
const exitLine = /^exit status: (\d+)$/m;

/** A real terminal (tmux) with one program in it, typed into and read by a test as by a person. */
export class Terminal {
  readonly #options: TerminalOptions;
  readonly #socket: string;

  private constructor(options: TerminalOptions) {
    this.#options = options;
    this.#socket = join(options.directory, 'tmux');
  }

  /** Opens a terminal and starts a program in it. Whoever opens it closes it. */
  static async open(words: readonly string[], options: TerminalOptions): Promise<Terminal> {
    const terminal = new Terminal(options);
    const { columns = 110, lines = 50 } = options;
    await terminal.#tmux(
      // The window stays when the program ends, so that its last words and exit status can be read.
      ...[
        'new-session',
        '-d',
        '-x',
        String(columns),
        '-y',
        String(lines),
        '-c',
        options.cwd,
        '--',
        ...wrapper,
        ...words,
      ],
      ...[';', 'set-option', '-g', 'remain-on-exit', 'on'],
    );
    return terminal;
  }

  /** Types a text, without Enter. */
  async type(text: string): Promise<void> {
    await this.#tmux('send-keys', '-l', '--', text);
  }

  /** Presses a key by tmux's name for it: Enter, C-c, C-u, Up … */
  async press(key: string): Promise<void> {
    await this.#tmux('send-keys', key);
  }

  /** What a person sees, with what has scrolled away. */
  async screen(): Promise<string> {
    return this.#tmux('capture-pane', '-p', '-J', '-S', '-500');
  }

  /** Waits until the screen shows something. Throws with the screen when it does not within 30 seconds. */
  async waitFor(expected: string | RegExp): Promise<string> {
    const deadline = Date.now() + 30_000;
    for (;;) {
      const screen = await this.screen();
      if (typeof expected === 'string' ? screen.includes(expected) : expected.test(screen)) return screen;
      if (Date.now() > deadline) throw new Error(`Waited in vain for ${expected}:\n${screen}`);
      await sleep(50);
    }
  }

  /** Waits for the end of the program and returns its exit status with the last screen. */
  async waitForExit(): Promise<{ status: number; screen: string }> {
    const screen = await this.waitFor(exitLine);
    return { status: Number(exitLine.exec(screen)?.[1]), screen };
  }

  /** Ends the program and the terminal. */
  async close(): Promise<void> {
    await this.#tmux('kill-server');
  }

  async #tmux(...args: string[]): Promise<string> {
    const { user, env, cwd } = this.#options;
    const result = await runAs(user, ['tmux', '-u', '-f', '/dev/null', '-S', this.#socket, ...args], {
      env,
      cwd,
    });
    if (result.exitCode !== 0) throw new Error(`tmux ${args[0]} failed: ${result.stderr}`);
    return result.stdout;
  }
}
