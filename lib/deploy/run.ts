import {
  deployStep,
  isProvisioned,
  type OutsideStep,
  type Proof,
  proofLines,
  proveSite,
  provisionStep,
  type SiteContext,
} from './site.ts';

/** What makes a site live, in order. Provisioning is left out when the host is known to be up to date. */
export async function stepsToLive(context: SiteContext, alwaysProvision = false): Promise<OutsideStep[]> {
  const upToDate = !alwaysProvision && (await isProvisioned(context));
  return upToDate ? [deployStep] : [provisionStep, deployStep];
}

/** Runs steps one after the other, then proves that the site is live. */
export async function runSteps(
  context: SiteContext,
  steps: readonly OutsideStep[],
  where: Parameters<typeof proveSite>[1] = {},
): Promise<Proof> {
  for (const step of steps) await step.run(context);
  return proveSite(context, where);
}

/** The end of a command that made a site live: for people as lines, for programs as data. */
export function liveResult(proof: Proof, domain: string): { data: Record<string, unknown>; lines: string[] } {
  return {
    data: {
      status: 'live',
      url: `https://${domain}/`,
      release: proof.release,
      certificate: proof.page.certificate,
      services: proof.services,
    },
    lines: [`https://${domain}/ is live.`, '', ...proofLines(proof, domain).map((line) => `  ${line}`), ''],
  };
}
