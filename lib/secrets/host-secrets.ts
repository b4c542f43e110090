import { createHmac, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { shellWord } from '../deploy/release-command.ts';
import { GobootError } from '../errors.ts';
import { packageRoot } from '../paths.ts';
import type { SshConnection } from '../ssh/connection.ts';

/** Reads, on the host, what nobody else may; prints fingerprints only. */
const scriptFile = join(packageRoot, 'lib', 'secrets', 'host-secrets.py');

/** The processes of a site that read its environment when they start. */
export type SiteProcess = 'web' | 'worker' | 'beat';

interface Answer {
  /** Fingerprints of the values in the file with the site's environment, by variable; of an address with a password also those of its `NAME:user` and `NAME:password`. */
  environment: Record<string, string>;
  /** The same of the file that opens the backups. */
  backups: Record<string, string>;
  /** The same of the environments of the live release's processes. */
  running: Partial<Record<SiteProcess, Record<string, string>>>;
  /** Whether nginx lets visitors in with the password; null where none was given, or nobody can tell. */
  visitors: boolean | null;
}

/**
 * Which secrets a site has on its host. The values stay there: both sides make fingerprints under a key that is drawn for
 * each question.
 */
export class HostSecrets {
  readonly #key: Buffer;
  readonly #answer: Answer;

  private constructor(key: Buffer, answer: Answer) {
    this.#key = key;
    this.#answer = answer;
  }

  /** Asks the host of a site. Throws a GobootError when it cannot tell. */
  static async ask(
    connection: SshConnection,
    site: string,
    { visitorsPassword }: { visitorsPassword?: string | undefined } = {},
  ): Promise<HostSecrets> {
    const key = randomBytes(32);
    const question = {
      site,
      key: key.toString('hex'),
      ...(visitorsPassword !== undefined && { visitors_password: visitorsPassword }),
    };
    const command = `sudo -n python3 -I -c ${shellWord(await readFile(scriptFile, 'utf8'))}`;
    const { exitCode, stdout, stderr } = await connection.execute(command, `${JSON.stringify(question)}\n`);
    if (exitCode !== 0) {
      throw new GobootError(
        `The host cannot tell which secrets it has: ${stderr.trim().split('\n').at(-1) ?? ''}`,
      );
    }
    return new HostSecrets(key, JSON.parse(stdout));
  }

  /** Whether nginx lets visitors in with the password that was asked for; undefined where nobody can tell. */
  get letsVisitorsIn(): boolean | undefined {
    return this.#answer.visitors ?? undefined;
  }

  /**
   * Where a variable of the site's environment has another value than this one, in words; undefined is no such variable.
   * `of` is a part of an address: its user or its password.
   */
  differences(name: string, value: string | undefined, of?: 'user' | 'password'): string[] {
    const { environment, running } = this.#answer;
    const key = of ? `${name}:${of}` : name;
    const wanted = this.#fingerprint(value);
    const processes = Object.entries(running)
      .filter(([, variables]) => variables[key] !== wanted)
      .map(([process]) => process);
    return [
      ...(environment[key] === wanted ? [] : ['the environment on the host']),
      ...(processes.length > 0 ? [`what runs (${processes.join(', ')})`] : []),
    ];
  }

  /** Whether the password of the backups is this one. */
  opensBackupsWith(password: string | undefined): boolean {
    return this.#answer.backups.RESTIC_PASSWORD === this.#fingerprint(password);
  }

  #fingerprint(value: string | undefined): string | undefined {
    return value === undefined ? undefined : createHmac('sha256', this.#key).update(value).digest('hex');
  }
}
