import type { BaseOptions } from 'yeoman-generator';
import { GobootGenerator } from '../../lib/base.ts';
import {
  loginCommand,
  rehearse,
  removeHosts,
  requireRehearsal,
  validateRehearsalSystem,
} from '../../lib/deploy/rehearse.ts';
import { liveResult } from '../../lib/deploy/run.ts';
import { runLocalChecks } from '../../lib/preflight/run.ts';
import { switches } from '../../lib/questions.ts';
import { rehearsalSystems } from '../../lib/rehearsal/operating-systems.ts';
import { openRehearsal, type Rehearsal } from '../../lib/rehearsal/rehearsal.ts';
import { findProjectRoot, type OpenedProject, openProject } from '../../lib/settings-file.ts';

const definition = {
  questions: [],
  switches: [
    switches.environment,
    switches.os,
    switches.keep,
    switches.remove,
    switches.dryRun,
    switches.check,
    switches.yes,
  ],
  positionals: [],
};

/** `yo goboot:rehearse`: provision and deploy for real, on a throwaway host on this computer. */
export default class RehearseGenerator extends GobootGenerator {
  constructor(args: string[], options: BaseOptions) {
    super(args, options, definition);
    this.registerPriorities([{ priorityName: 'deploy', before: 'end' }]);
  }

  async deploy(): Promise<void> {
    await this.phase(async () => {
      if (this.isOn(switches.remove)) return this.#remove();
      const system = validateRehearsalSystem(this.textOf(switches.os) ?? 'debian13');
      const opened = openProject(this.env.cwd, this.textOf(switches.environment));
      await requireRehearsal();
      await runLocalChecks(this.reporter, opened);
      this.reporter.plan(
        `Rehearse ${opened.project.title} on a throwaway ${rehearsalSystems[system].title} host`,
        [
          'Boot it (the first time an image is made, about half a minute), with an ACME test server beside it',
          'Provision it, deploy the current commit, prove that it is live',
          this.isOn(switches.keep) ? 'Keep it until: yo goboot:rehearse --remove' : 'Remove it',
        ],
      );
      if (await this.stopAfterPlan()) return;
      const interrupted = new AbortController();
      const interrupt = () => interrupted.abort();
      // Not once: a library that also listens ends the process when it finds itself alone.
      process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
      const session = await openRehearsal();
      try {
        await this.#rehearse(session, opened, system, interrupted.signal);
      } finally {
        await session.close();
        process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
      }
    });
  }

  async #rehearse(
    session: Rehearsal,
    { root, project, environment }: OpenedProject,
    system: ReturnType<typeof validateRehearsalSystem>,
    cancelSignal: AbortSignal,
  ): Promise<void> {
    const keep = this.isOn(switches.keep);
    const { host, context, proof } = await rehearse(session, {
      projectRoot: root,
      projectName: project.name,
      environment,
      system,
      keep,
      reporter: this.reporter,
      cancelSignal,
    });
    const { data, lines } = liveResult(context, proof);
    const kept = [
      `The host stays at ${host.address}:`,
      `  curl --insecure --resolve ${environment.domain}:443:${host.address} https://${environment.domain}/`,
      `  ${loginCommand(host)}`,
      '  yo goboot:rehearse --remove    remove it',
    ];
    this.reporter.result({ ...data, host: host.address, kept: keep }, keep ? [...lines, ...kept] : lines);
  }

  async #remove(): Promise<void> {
    const session = await openRehearsal();
    try {
      const names = await removeHosts(
        session,
        findProjectRoot(this.env.cwd) && openProject(this.env.cwd).project.name,
      );
      this.reporter.result({ status: 'removed', hosts: names }, [
        names.length > 0 ? `Removed: ${names.join(', ')}` : 'There was no throwaway host.',
      ]);
    } finally {
      await session.close();
    }
  }
}
