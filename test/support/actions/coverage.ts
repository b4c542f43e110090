import { entries, items, type ParsedFile } from './files.ts';

/** The workflows whose scripts are executed without a server; those of all others are executed against a real one. */
export const withoutServer = ['lint.yml', 'test.yml'].map((name) => `.github/workflows/${name}`);

/** A shell script of a workflow or an action, by the file, the job and its place among the steps. */
interface Script {
  file: string;
  /** Empty in an action. */
  job: string;
  index: number;
}

const keyOf = ({ file, job, index }: Script) => JSON.stringify([file, job, index]);

/** Which shell scripts were really run, over all runs that are told to note it here. */
export class ExecutedScripts {
  readonly #executed = new Set<string>();

  add(script: Script): void {
    this.#executed.add(keyOf(script));
  }

  /** The scripts of workflows that were never run, each as a line that names it. */
  missing(workflows: readonly ParsedFile[]): string[] {
    return workflows.flatMap((file) =>
      [...entries(entries(file.root, file.path).get('jobs'), `the jobs of ${file.path}`)].flatMap(
        ([job, token]) =>
          items(entries(token, job).get('steps'), `the steps of ${job}`).flatMap((step, index) => {
            const found = entries(step, `a step of ${job}`);
            if (!found.has('run') || this.#executed.has(keyOf({ file: file.path, job, index }))) return [];
            return [`${file.path}, ${job}: ${found.get('name') ?? `step ${index + 1}`}`];
          }),
      ),
    );
  }
}
