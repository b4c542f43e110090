import { readFile } from 'node:fs/promises';
import { exitCodes, GobootError, usageError } from '../errors.ts';
import type { Environment } from '../project.ts';
import {
  type RehearsalSystem,
  rehearsalSystemNames,
  rehearsalSystems,
} from '../rehearsal/operating-systems.ts';
import { packageIndexSettings } from '../rehearsal/package-index.ts';
import type { Rehearsal, RehearsalHost } from '../rehearsal/rehearsal.ts';
import { checkRehearsal } from '../rehearsal/requirements.ts';
import { openConnection } from '../ssh/connection.ts';
import { type Reporter, runStep } from '../terminal/reporter.ts';
import { quoted } from '../validate.ts';
import { runSteps } from './run.ts';
import { deployStep, type Proof, provisionStep, type SiteContext } from './site.ts';

const adminUser = 'admin';

/** Reads the value of `--os`. Throws a usage error for a system that cannot be rehearsed. */
export function validateRehearsalSystem(value: string): RehearsalSystem {
  const found = rehearsalSystemNames.find((name) => name === value);
  if (found) return found;
  throw usageError(
    `The operating system ${quoted(value)} cannot be rehearsed`,
    `Use one of: ${rehearsalSystemNames.join(', ')}.`,
  );
}

/** Throws one error (exit status 3) that names everything this computer lacks for a rehearsal. */
export async function requireRehearsal(): Promise<void> {
  const problems = await checkRehearsal();
  if (problems.length === 0) return;
  throw new GobootError(
    [
      'A rehearsal cannot work on this computer yet',
      ...problems.map(({ message, remedy }) => `  ${message}\n    ${remedy}`),
    ].join('\n'),
    { exitCode: exitCodes.preflight },
  );
}

/** The name of the throwaway host of a project; a host's name may hold no underscore. */
export function rehearsalHostName(projectName: string, system: RehearsalSystem): string {
  return `${projectName.replaceAll('_', '-')}-${system}`;
}

function acmeName(hostName: string): string {
  return `${hostName}-acme`;
}

export interface RehearseOptions {
  projectRoot: string;
  projectName: string;
  environment: Environment;
  system: RehearsalSystem;
  keep: boolean;
  reporter: Reporter;
  cancelSignal: AbortSignal;
}

export interface RehearsalResult {
  host: RehearsalHost;
  context: SiteContext;
  proof: Proof;
}

/**
 * Boots a throwaway host, provisions it and deploys the current commit to it for real, with a certificate from an
 * ACME test server, and proves that the site is live. Whoever opened the session closes it.
 */
export async function rehearse(session: Rehearsal, options: RehearseOptions): Promise<RehearsalResult> {
  const { reporter, system, environment, keep } = options;
  const title = rehearsalSystems[system].title;
  const name = rehearsalHostName(options.projectName, system);
  const host = await runStep(
    reporter,
    `Boot a throwaway ${title} host`,
    () =>
      session.startHost({
        os: system,
        name: rehearsalHostName(options.projectName, system),
        adminUser,
        keep,
      }),
    ({ address }) => address,
  );
  const acme = await runStep(reporter, 'Start an ACME test server', () =>
    session.startAcme({
      os: system,
      name: acmeName(name),
      domains: { [environment.domain]: host.address },
      keep,
    }),
  );
  const { jump: _, ...direct } = environment;
  const rehearsed: Environment = {
    ...direct,
    host: {
      address: host.address,
      port: host.port,
      user: host.user,
      ...(host.keyFile && { keyFile: host.keyFile }),
    },
  };
  const connection = await openConnection(rehearsed, `${host.knownHostsLine}\n`);
  try {
    const context: SiteContext = {
      projectRoot: options.projectRoot,
      environment: rehearsed,
      connection,
      reporter,
      sshArguments: connection.sshArguments,
      variables: {
        acme_directory_url: acme.directoryUrl,
        acme_certificate_authority_file: acme.tlsAuthorityPath,
        // What a rehearsal backs up must not get among the backups of the real site.
        backups_second_place: '',
        ...(await packageIndexSettings()),
      },
      cancelSignal: options.cancelSignal,
      times: [],
    };
    const authorities = await readFile(acme.rootCertificatePath, 'utf8');
    const proof = await runSteps(context, [provisionStep, deployStep()], {
      address: host.address,
      authorities,
    });
    return { host, context, proof };
  } catch (error) {
    if (keep) reporter.warn(`The host stays for you to look at: ${loginCommand(host)}`);
    throw error;
  } finally {
    await connection.close();
  }
}

/** The command that opens a shell on a throwaway host. */
export function loginCommand({ keyFile, user, address }: RehearsalHost): string {
  return `ssh -i ${keyFile} ${user}@${address}`;
}

/** Removes the throwaway hosts of a project, or all of this computer's; returns the names of those that existed. */
export async function removeHosts(session: Rehearsal, projectName: string | undefined): Promise<string[]> {
  if (projectName === undefined) return session.removeAll();
  const removed: string[] = [];
  for (const host of rehearsalSystemNames.map((system) => rehearsalHostName(projectName, system))) {
    for (const name of [acmeName(host), host]) if (await session.remove(name)) removed.push(name);
  }
  return removed;
}
