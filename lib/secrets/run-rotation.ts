import { GobootError, toGobootError } from '../errors.ts';
import { type Reporter, runStep } from '../terminal/reporter.ts';
import type { Rotation, RotationStep } from './rotation.ts';
import type { RotationJournal, RotationRecord } from './rotation-journal.ts';

/** What goes on with a rotation that was cut off. */
export const resumeCommand = 'yo goboot:secrets --resume';

/**
 * Does the steps of a rotation that have not ended yet, one after the other; the journal knows of each before the next
 * one begins.
 *
 * When a step fails, those that were begun are taken back, the last one first, as far as all of them can be; otherwise the
 * rotation stays begun. Throws a GobootError that says which of both it is.
 */
export async function runRotation(
  { secret, steps }: Rotation,
  record: RotationRecord,
  { journal, reporter }: { journal: RotationJournal; reporter: Reporter },
): Promise<void> {
  const begun: RotationStep[] = steps.filter(({ name }) => record.ended.includes(name));
  for (const step of steps) {
    if (begun.includes(step)) continue;
    await journal.step(record, 'step begun', step.name);
    begun.push(step);
    try {
      await runStep(reporter, step.title, () => step.run());
    } catch (error) {
      throw await takeBack(toGobootError(error), { secret, begun, record, journal, reporter });
    }
    await journal.step(record, 'step ended', step.name);
  }
  await journal.end(record, 'rotated');
}

/** Takes steps back where that is possible, and returns the error that says how it went. */
async function takeBack(
  failure: GobootError,
  {
    secret,
    begun,
    record,
    journal,
    reporter,
  }: {
    secret: string;
    begun: RotationStep[];
    record: RotationRecord;
    journal: RotationJournal;
    reporter: Reporter;
  },
): Promise<GobootError> {
  const withRemedy = (lines: string[]): GobootError =>
    new GobootError(failure.message, {
      exitCode: failure.code,
      remedy: [...(failure.remedy ? [failure.remedy] : []), ...lines].join('\n  '),
      cause: failure,
    });
  const goOn = `The site works with the old value or the new one of ${secret}. To go on: ${resumeCommand}`;
  const permanent = begun.find(({ undo }) => !undo);
  if (permanent) return withRemedy([`"${permanent.title}" is not taken back.`, goOn]);
  for (const step of begun.toReversed()) {
    try {
      await runStep(reporter, `Take back: ${step.title}`, async () => step.undo?.());
    } catch (error) {
      return withRemedy([`It could not be taken back: ${toGobootError(error).message}.`, goOn]);
    }
    await journal.step(record, 'step undone', step.name);
  }
  await journal.end(record, 'undone');
  return withRemedy([`Everything is as it was before: ${secret} was not changed.`]);
}
