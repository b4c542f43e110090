import { formatSeconds } from '../terminal/format.ts';
import type { BegunDeploy, DeployOptions } from './begun-deploy.ts';
import {
  deployStep,
  type OutsideStep,
  type Proof,
  proofLines,
  proveSite,
  provisionStep,
  type SiteContext,
} from './site.ts';

/**
 * What makes a site live, in order. Provisioning is left out when the host was last provisioned from exactly these
 * playbooks and variables; then the deploy that has begun already is used.
 */
export function stepsToLive(
  fingerprints: { project: string; host: string },
  options: DeployOptions = {},
  begun?: BegunDeploy,
): OutsideStep[] {
  if (fingerprints.project === fingerprints.host) return [deployStep(options, begun)];
  begun?.abandon();
  return [provisionStep, deployStep(options)];
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
export interface LiveResult {
  data: Record<string, unknown>;
  lines: string[];
}

/** Tells how a command has ended that made a site live. */
export function liveResult({ environment, times }: SiteContext, proof: Proof): LiveResult {
  const { domain } = environment;
  const total = times.map(([name, seconds]) => `${name.toLowerCase()} ${formatSeconds(seconds)}`).join(', ');
  return {
    data: {
      status: 'live',
      url: `https://${domain}/`,
      release: proof.release,
      page: { status: proof.page.status, milliseconds: proof.page.milliseconds },
      certificate: proof.page.certificate,
      services: proof.services,
      ...(proof.maintenance && { maintenance: proof.maintenance }),
      seconds: Object.fromEntries(times),
    },
    lines: [
      proof.maintenance
        ? `The release is live, and https://${domain}/ stays closed until: yo goboot:maintenance off`
        : `https://${domain}/ is live.`,
      '',
      ...proofLines(proof, domain).map((line) => `  ${line}`),
      `  ${total}`,
      '',
    ],
  };
}
