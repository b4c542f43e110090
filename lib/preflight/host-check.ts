import { GobootError } from '../errors.ts';
import type { Check, CheckContext, CheckResult } from './check.ts';
import type { HostFacts, HostSurvey } from './host-facts.ts';

export function requiredFacts({ hostFacts }: CheckContext): Promise<HostFacts> {
  if (!hostFacts) throw new GobootError('The host plays no part in this command');
  return hostFacts;
}

/** What a check says that could not run because the login failed: the check of the login tells why, once. */
export const notReached: CheckResult = {
  status: 'warning',
  detail: 'the host cannot be reached',
  skipped: true,
};

/** A check of what the host says of itself. */
export function hostCheck(
  name: string,
  judge: (facts: HostFacts, context: CheckContext) => CheckResult | Promise<CheckResult>,
): Check {
  return {
    name,
    async run(context) {
      let facts: HostFacts;
      try {
        facts = await requiredFacts(context);
      } catch {
        return notReached;
      }
      return judge(facts, context);
    },
  };
}

/** A check of what the host says when it is looked at thoroughly. The user may know better than it. */
export function surveyCheck(
  name: string,
  judge: (survey: HostSurvey, context: CheckContext, facts: HostFacts) => CheckResult | Promise<CheckResult>,
): Check {
  return {
    ...hostCheck(name, (facts, context) => {
      if (facts.survey) return judge(facts.survey, context, facts);
      return { status: 'warning', detail: 'not checked: the host did not answer the question' };
    }),
    ignorable: true,
  };
}
