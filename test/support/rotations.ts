import { GobootError } from '../../lib/errors.ts';
import type { GitHub } from '../../lib/github/client.ts';
import type { Environments, Project } from '../../lib/project.ts';
import type {
  RotatableSecret,
  Rotation,
  RotationContext,
  RotationSettings,
} from '../../lib/secrets/rotation.ts';
import { RotationJournal } from '../../lib/secrets/rotation-journal.ts';
import { runRotation } from '../../lib/secrets/run-rotation.ts';
import { createReporter } from '../../lib/terminal/reporter.ts';

const reporter = createReporter({ json: false, quiet: true });

/** A project whose secrets are rotated without `yo`. */
export interface RotationBench {
  root: string;
  project: Project;
  environments: Environments;
  openGitHub: () => Promise<GitHub | undefined>;
  /** Brings the secrets of an environment to its host. Nothing unless given. */
  applySecrets?: RotationContext['applySecrets'];
  connect?: RotationContext['connect'];
  /** Gets the warnings. */
  onWarning?: (message: string) => void;
}

type MakeRotation = (context: RotationContext) => Promise<Rotation>;

function contextOf(
  bench: RotationBench,
  environment: string | undefined,
  settings: RotationSettings,
): RotationContext {
  const { root, project, environments, openGitHub, onWarning } = bench;
  return {
    begun: settings.begun,
    leaked: settings.leaked,
    keepOldDays: settings.keepOldDays,
    projectRoot: root,
    project,
    environments,
    environment: environments.find(({ name }) => name === environment) ?? environments[0],
    reporter: {
      ...reporter,
      step: reporter.step.bind(reporter),
      warn: onWarning ?? (() => {}),
    } as typeof reporter,
    openGitHub,
    connect:
      bench.connect ??
      (async () => {
        throw new GobootError('There is no host in this test');
      }),
    applySecrets: bench.applySecrets ?? (async () => {}),
  };
}

/** Rotates a secret as a run of `yo goboot:secrets` does. */
export async function rotate(
  bench: RotationBench,
  make: MakeRotation,
  { leaked = false, environment }: { leaked?: boolean; environment?: string } = {},
): Promise<Rotation> {
  const settings = { begun: new Date().toISOString(), leaked, keepOldDays: 0 };
  const rotation = await make(contextOf(bench, environment, settings));
  const journal = RotationJournal.open(bench.root);
  const { secret, environment: name } = rotation;
  const record = await journal.begin({ secret, ...(name !== undefined && { environment: name }) }, settings);
  await runRotation(rotation, record, { journal, reporter });
  return rotation;
}

/** Goes on with what was cut off, as `--resume` does. Returns how many rotations there were. */
export async function resume(bench: RotationBench, make: MakeRotation): Promise<number> {
  const journal = RotationJournal.open(bench.root);
  const unfinished = journal.unfinished();
  for (const record of unfinished) {
    const rotation = await make(contextOf(bench, record.environment, record));
    await runRotation(rotation, record, { journal, reporter });
  }
  return unfinished.length;
}

/** Which steps of a rotation that was cut off have ended. */
export function endedSteps({ root }: RotationBench): string[] {
  return RotationJournal.open(root)
    .unfinished()
    .flatMap(({ ended }) => ended);
}

/** How a secret is, as the list of all secrets asks. */
export function look(bench: RotationBench, secret: RotatableSecret, environment = bench.environments[0]) {
  const { root, project, openGitHub } = bench;
  return secret.look({
    projectRoot: root,
    project,
    environment,
    openGitHub,
    vault: undefined as never,
    host: undefined,
  });
}

/** What a user reads of a failure: the message, and below it the remedy. Throws where there is none, or a stack trace. */
export async function errorOf(action: Promise<unknown>): Promise<string> {
  const error = await action.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof GobootError)) throw new Error(`expected a GobootError, got ${error}`);
  return `${error.message}\n${error.remedy}`;
}
