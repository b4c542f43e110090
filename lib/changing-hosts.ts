import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { acceptedFingerprints, withAcceptedKeys } from './accept-host-keys.ts';
import { collectAnswers, readAnswersFile } from './ask.ts';
import { takeBack } from './deploy/hand-over.ts';
import { contentsOf, removalPlan, removeSite, type SiteContents } from './deploy/removal.ts';
import {
  describeMoved,
  dnsSteps,
  type Moved,
  type MovingHost,
  movePlan,
  moveSite,
  prepareMove,
} from './deploy/replacement.ts';
import { proofLines } from './deploy/site.ts';
import { GobootError, toGobootError, usageError } from './errors.ts';
import { describeExtension, differenceOf, type Extension, revisionOf } from './extend.ts';
import { commit, trackedPaths } from './git.ts';
import type { PreparedPublication } from './github/publish.ts';
import { fullName } from './github/repository.ts';
import { Journal } from './journal.ts';
import { hostAnswers, replacementQuestions } from './new-environment.ts';
import { projectPaths } from './paths.ts';
import { beginReplacement, endReplacement, pendingReplacement } from './pending-replacement.ts';
import { ignoredChecks } from './preflight/check.ts';
import { examineKnownHost, runPreflight } from './preflight/run.ts';
import {
  defaultEnvironment,
  type Environment,
  type Environments,
  jumpHosts,
  type Project,
  siteNames,
} from './project.ts';
import { PublishingGenerator } from './publishing.ts';
import { type AnswerName, switches } from './questions.ts';
import { extendedKnownHosts, projectFiles } from './scaffold.ts';
import {
  forgetEnvironment,
  forgetOldHost,
  type OldHost,
  openProject,
  storedEnvironments,
  storedOldHosts,
  storeMove,
} from './settings-file.ts';
import {
  changeUserConfiguration,
  hasHostBlock,
  userConfigurationFile,
  withHostBlock,
  withoutHostBlock,
} from './ssh/host-block.ts';
import { reachableFromHere } from './ssh/key-files.ts';
import { knownHostsName, readIfExists } from './ssh/known-hosts.ts';
import { configuredHostNames, lookUpHost } from './ssh/user-configuration.ts';
import { runStep } from './terminal/reporter.ts';
import { quoted } from './validate.ts';

type GivenAnswers = Partial<Record<AnswerName, string>>;

/** A project and one of its environments that is to change, as it is stored. */
interface Opened {
  root: string;
  project: Project;
  environment: Environment;
}

/** What `yo goboot:host` does besides adding environments: it replaces hosts, removes sites, and takes over host keys. */
export abstract class ChangingHostsGenerator extends PublishingGenerator {
  /** `--accept-host-key`: takes the changed keys with these fingerprints over into the project, and to GitHub. */
  protected async acceptHostKeys(text: string, environmentName: string | undefined): Promise<void> {
    const accepted = acceptedFingerprints(text);
    const opened = openProject(this.env.cwd, environmentName);
    const { root, environment } = opened;
    const publication = await this.#prepareGitHub(opened);
    const { environment: reachable } = reachableFromHere(environment);
    const after = await runStep(this.reporter, 'Compare the keys of every machine on the way', () =>
      withAcceptedKeys(root, reachable, accepted),
    );
    const path = projectPaths.knownHosts;
    const before = await readIfExists(join(root, path));
    const plan = [
      `Change ${path}:`,
      ...(await differenceOf({ before, contents: Buffer.from(after) })).map((line) => `  ${line}`),
      'Commit',
      ...publication.plan,
    ];
    this.reporter.plan(`${environment.site}: take over the changed host key`, plan);
    if (await this.stopAfterPlan({ steps: plan })) return this.finish();
    await writeFile(join(root, path), after);
    await this.#commit(opened, `Take over the changed host key of ${environment.name}`, [path]);
    if (publication.prepared) await this.runPublication(publication.prepared, opened);
    for (const other of this.#othersThrough(opened, before, after)) {
      this.reporter.warn(
        `${other} is reached through the same machine. If GitHub deploys it: yo goboot:github --environment ${other}`,
      );
    }
    this.reporter.result({ status: 'accepted', environment: environment.name, accepted }, [
      'The new key is the known one from now on.',
    ]);
    this.finish();
  }

  /** The names of the other environments on whose way a machine is whose line of known_hosts has changed. */
  #othersThrough({ root, environment }: Opened, before: string, after: string): string[] {
    const known = new Set(before.split('\n'));
    const changed = after
      .split('\n')
      .filter((line) => !known.has(line))
      .map((line) => line.split(' ')[0]);
    return storedEnvironments(root)
      .filter((each) => each.name !== environment.name)
      .filter((each) =>
        [...jumpHosts(each), each.host].some((machine) => changed.includes(knownHostsName(machine))),
      )
      .map(({ name }) => name);
  }

  /** Looks at GitHub where it takes part. A project that is not there yet is left alone. */
  async #prepareGitHub(opened: Opened): Promise<{ prepared?: PreparedPublication; plan: string[] }> {
    if (this.isOn(switches.skipGitHub)) return { plan: ['GitHub is left alone (--skip-github)'] };
    const facts = await this.lookAtGitHub(opened.project, opened.root);
    const { prepared, plan } = await this.preparePublication(facts, opened);
    if (prepared.found.state === 'absent') return { plan: ['The project is not on GitHub'] };
    if (prepared.deployKey) {
      return { plan: [`GitHub does not deploy ${opened.environment.name}, and is left alone`] };
    }
    return { prepared, plan: ['On GitHub:', ...plan.map((line) => `  ${line}`)] };
  }

  async #commit({ root, project }: Opened, message: string, paths: readonly string[]): Promise<void> {
    await runStep(
      this.reporter,
      'Commit',
      () =>
        commit(root, {
          message,
          paths,
          identity: { name: project.authorName, email: project.authorEmail },
        }),
      (made) => (made ? undefined : 'nothing to commit'),
    );
  }

  /** Asks, unless that is not possible or not wanted. Throws where the answer is no. */
  async #goAhead(): Promise<void> {
    if (this.mayAsk && !(await this.confirm('Go ahead?'))) {
      throw new GobootError('Cancelled; nothing was changed');
    }
  }

  /** `--replace`: moves an environment with its data to another host. */
  protected async replaceHost(flags: GivenAnswers, host: string | undefined): Promise<void> {
    const root = openProject(this.env.cwd).root;
    const pending = await pendingReplacement(root);
    const resumes = this.isOn(switches.resume);
    if (pending && !resumes) {
      throw usageError(
        `The environment ${quoted(pending.environment)} is on its way to ${pending.answers.host} since an earlier run`,
        'Go on with --resume, or go back with --undo.',
      );
    }
    const name = flags.environment ?? pending?.environment ?? defaultEnvironment;
    const stored = openProject(this.env.cwd, name);
    const answers = pending?.answers ?? (await this.#askForHost(stored, flags, host));
    const after = openProject(this.env.cwd, name, answers);
    const opened: Opened = after;
    // An earlier run has come as far as the files: whatever was written to the new host since then must stay.
    const hasMoved = resumes && stored.environment.host.address === after.environment.host.address;
    const publication = await this.#prepareGitHub(opened);
    if (hasMoved) {
      const old = storedOldHosts(root).findLast(({ environment }) => environment.name === name);
      return this.#conclude(opened, old?.environment ?? stored.environment, publication.prepared);
    }
    const before = stored.environment;
    const { from, to, knownHosts } = await this.#reachBoth(
      { before, after: opened },
      { ...(flags.knownHostsFile && { knownHostsFile: flags.knownHostsFile }), resumes },
    );
    const move = await prepareMove(root, from, to);
    const revision = await this.#revision(opened, before, knownHosts);
    const plan = [
      ...movePlan(move),
      ...(await describeExtension(revision)),
      'Commit',
      ...publication.plan,
      `${before.host.address} is kept, closed, until: yo goboot:host --remove ${before.host.address}`,
    ];
    this.reporter.plan(
      `${before.site}: from ${before.host.address} to ${after.environment.host.address}`,
      plan,
    );
    if (await this.stopAfterPlan({ steps: plan })) return this.finish();
    await this.#goAhead();
    await beginReplacement(root, { environment: name, answers });
    // Provisioning looks at the keys that are known of the host.
    await writeFile(join(root, projectPaths.knownHosts), await extendedKnownHosts(root, knownHosts));
    const journal = Journal.open(root);
    const moved = await this.creating(journal, () =>
      journal.create(
        { kind: 'site', name: before.site, place: after.environment.host.address },
        'absent',
        () =>
          moveSite(move, {
            projectRoot: root,
            reporter: this.reporter,
            leaveTasks: this.isOn(switches.leaveTasks),
          }),
      ),
    );
    await this.#writeRevision(opened, before, revision, answers);
    await this.#conclude(opened, before, publication.prepared, moved);
  }

  async #askForHost(
    { environment }: Opened,
    flags: GivenAnswers,
    host: string | undefined,
  ): Promise<GivenAnswers> {
    const questions = replacementQuestions(environment);
    const surplus = (['domain', 'www', 'basicAuthUser'] as const).find((name) => flags[name] !== undefined);
    if (surplus) {
      throw usageError(
        'A replacement changes the host of an environment, and nothing else of it',
        'Leave all other answers out; they can be changed before or afterwards.',
      );
    }
    const answersFile = this.textOf(switches.answers);
    const answers = await collectAnswers(questions, {
      flags: { ...flags, ...(host !== undefined && { host }) },
      file: answersFile === undefined ? {} : await readAnswersFile(answersFile, questions),
      stored: {},
      defaults: {
        gitName: '',
        gitEmail: '',
        hostNames: this.mayAsk ? await configuredHostNames() : [],
      },
      lookUpHost,
      ...(this.mayAsk && { prompt: this.ask }),
    });
    // Where there is no jump host any more, nothing is left of the one before.
    return Object.fromEntries(
      hostAnswers.flatMap((name) => {
        const value = answers[name];
        if (value !== undefined) return [[name, String(value)]];
        return name === 'jumpHost' ? [[name, '']] : [];
      }),
    );
  }

  /** Opens the connections to both hosts, with all checks for the new one. */
  async #reachBoth(
    { before, after }: { before: Environment; after: Opened },
    { knownHostsFile, resumes }: { knownHostsFile?: string; resumes: boolean },
  ) {
    const { root, project, environment } = after;
    const { host: fresh } = await runPreflight(this.reporter, {
      projectRoot: root,
      project,
      environment,
      movesFrom: before.host,
      resumesMove: resumes,
      scaffolds: false,
      host: 'examined',
      ignored: await ignoredChecks(this.textOf(switches.ignoreCheck)),
      list: this.isOn(switches.check),
      ...(knownHostsFile && { knownHostsFile }),
    });
    if (!fresh) throw new GobootError('There is no connection to the new host');
    this.giveBackAtTheEnd(() => fresh.connection.close());
    const old = await this.#reach(after, before).catch((error) => {
      const { message } = toGobootError(error);
      throw new GobootError(`The old host cannot be reached, so nothing can be taken from it: ${message}`, {
        remedy: `If it is lost: yo goboot --host ${environment.host.address}, then yo goboot:backups restore --place second --accept-loss, as docs/backups.md of goboot says. Nothing was changed.`,
        cause: error,
      });
    });
    const to = { environment, connection: fresh.connection, facts: await fresh.facts };
    return { from: old, to, knownHosts: fresh.knownHosts };
  }

  /** Opens the connection to a host whose keys the project knows. Throws with the reason. */
  async #reach(
    { root, project }: Pick<Opened, 'root' | 'project'>,
    environment: Environment,
  ): Promise<MovingHost> {
    const { results, host } = await runStep(
      this.reporter,
      `Look at ${environment.host.address}`,
      async () => {
        const found = await examineKnownHost(root, project, environment);
        const { failure } = found;
        if (!failure) return found;
        await found.host?.connection.close();
        throw new GobootError(failure.detail, { ...(failure.remedy && { remedy: failure.remedy }) });
      },
    );
    if (!host) throw new GobootError(results.at(-1)?.detail ?? 'There is no connection');
    this.giveBackAtTheEnd(() => host.connection.close());
    return { environment, connection: host.connection };
  }

  async #revision(
    { root, project, environment }: Opened,
    before: Environment,
    knownHosts: string,
  ): Promise<Extension> {
    const all = storedEnvironments(root);
    const revision = await revisionOf({
      projectRoot: root,
      project,
      before: all.map((each) => (each.name === before.name ? before : each)) as unknown as Environments,
      after: all.map((each) => (each.name === before.name ? environment : each)) as unknown as Environments,
      knownHosts,
    });
    if (!revision.leftAlone.includes(projectPaths.sshConfiguration)) return revision;
    throw new GobootError(
      `${projectPaths.sshConfiguration} was changed by hand where it says how to reach ${before.site}`,
      {
        remedy: `Bring "Host ${before.site}" there back to what goboot writes (HostName ${before.host.address}), and keep your settings in blocks of their own.`,
      },
    );
  }

  async #writeRevision(
    opened: Opened,
    before: Environment,
    { created, changed, leftAlone }: Extension,
    answers: GivenAnswers,
  ): Promise<void> {
    const { root, environment } = opened;
    for (const { path, contents } of [...created, ...changed]) await writeFile(join(root, path), contents);
    for (const path of leftAlone) {
      this.reporter.warn(`${path} was changed by hand where it would tell of the new host: it stays`);
    }
    const port = answers.port === undefined ? {} : { port: Number(answers.port) };
    await storeMove(root, environment.name, { ...answers, ...port }, new Date().toISOString());
    await this.#commit(
      opened,
      `Move ${environment.name} from ${before.host.address} to ${environment.host.address}`,
      [
        ...[...created, ...changed].map(({ path }) => path),
        projectPaths.answers,
        // It was extended before.
        projectPaths.knownHosts,
      ],
    );
    await this.#changeHostBlock(environment.site, (configuration) =>
      withHostBlock(configuration, environment, join(root, projectPaths.knownHosts)),
    );
  }

  /** Changes the block of a site in the user's ssh configuration, if goboot wrote one. That it fails stops nothing. */
  async #changeHostBlock(site: string, change: (configuration: string) => string): Promise<void> {
    try {
      await changeUserConfiguration(userConfigurationFile(), (configuration) =>
        hasHostBlock(configuration, site) ? change(configuration) : configuration,
      );
    } catch (error) {
      const { message, remedy } = toGobootError(error);
      this.reporter.warn(`${message}. ${remedy ?? ''}`.trim());
    }
  }

  /** What follows when the data has moved: GitHub, and what the user has to do. */
  async #conclude(
    opened: Opened,
    before: Environment,
    prepared: PreparedPublication | undefined,
    moved?: Moved,
  ): Promise<void> {
    const { root, environment } = opened;
    if (prepared) await this.runPublication(prepared, opened);
    await endReplacement(root);
    await this.cleanUp();
    const hosts = { from: { environment: before }, to: { environment } } as Parameters<typeof dnsSteps>[0];
    this.reporter.result(
      {
        status: 'replaced',
        environment: environment.name,
        from: before.host.address,
        to: environment.host.address,
        ...(moved && {
          closedSeconds: Math.round(moved.closedSeconds * 10) / 10,
          sentBytes: moved.sent,
          release: moved.proof.release,
          page: { status: moved.proof.page.status, milliseconds: moved.proof.page.milliseconds },
          certificate: moved.proof.page.certificate,
        }),
      },
      [
        `${environment.site} is on ${environment.host.address}${moved ? `: ${describeMoved(moved)}` : ''}.`,
        '',
        ...(moved ? proofLines(moved.proof, environment.domain).map((line) => `  ${line}`) : []),
        '',
        ...dnsSteps(hosts, siteNames(environment)),
      ],
    );
    this.finish();
  }

  /** `--remove`: a site from an old host, or an environment with all that belongs to it. */
  protected async remove(target: string | undefined): Promise<void> {
    const { root, project } = openProject(this.env.cwd);
    const oldHosts = storedOldHosts(root);
    const environments = storedEnvironments(root);
    const environment = environments.find(({ name }) => name === target);
    if (environment) return this.#removeEnvironment({ root, project, environment }, 'removed');
    const [old, ...others] = oldHosts.filter(
      (each) => target === undefined || each.environment.host.address === target,
    );
    if (old && others.length === 0)
      return this.#removeOldHost({ root, project, environment: old.environment }, old);
    const used = environments.find(({ host }) => host.address === target);
    const remedy = [
      ...(oldHosts.length > 0
        ? [`Old hosts: ${oldHosts.map((each) => each.environment.host.address).join(', ')}.`]
        : []),
      `Environments: ${environments.map(({ name }) => name).join(', ')}.`,
    ].join(' ');
    if (used) {
      throw usageError(
        `${quoted(String(target))} is not an old host: the environment ${quoted(used.name)} is on it`,
        `To remove that environment: yo goboot:host --remove ${used.name}`,
      );
    }
    throw usageError(
      target === undefined
        ? 'It is not said what to remove'
        : `${quoted(target)} is neither an old host nor an environment of this project`,
      remedy,
    );
  }

  /** Asks before data is lost. Where the site is served, its name has to be given. */
  async #confirmLoss(site: string, { served, lines }: SiteContents): Promise<void> {
    const given = this.textOf(switches.confirm);
    if (given !== undefined && given !== site) {
      throw usageError(`--confirm ${quoted(given)} is not the name of the site`, `It is ${site}.`);
    }
    if (given === site) return;
    if (this.mayAsk) {
      if (!served) {
        if (await this.confirm('Remove it?', false)) return;
        throw new GobootError('Cancelled; nothing was removed');
      }
      const typed = await this.ask({
        name: 'site',
        message: `Visitors get this site from there. To lose it, type its name (${site})`,
        default: undefined,
        validate: () => true,
      });
      if (typed.trim() === site) return;
      throw new GobootError('That is not its name; nothing was removed');
    }
    if (served) {
      throw usageError(
        `Visitors get ${site} from there, and nobody can be asked here`,
        `To lose it with its data, name it: --confirm ${site}`,
      );
    }
    if (!this.isOn(switches.yes) && lines.length > 0) {
      throw usageError('--remove loses data, and nobody can be asked here', 'Say that you mean it: --yes');
    }
  }

  async #removeOldHost(opened: Opened, old: OldHost): Promise<void> {
    const { root, environment } = opened;
    const host = this.isOn(switches.skipDeploy) ? undefined : await this.#reach(opened, environment);
    const contents = host ? await contentsOf(host) : { lines: [], served: false };
    const { host: current } = openProject(this.env.cwd, environment.name).environment;
    const plan = [
      ...(host ? removalPlan(host, contents) : ['The old server is left alone (--skip-deploy)']),
      `The site itself is on ${current.address}, and stays`,
      'Forget the old host, commit',
    ];
    this.reporter.plan(`${environment.site}: remove the old host ${environment.host.address}`, plan);
    if (await this.stopAfterPlan({ steps: plan })) return this.finish();
    await this.#confirmLoss(environment.site, contents);
    if (host) await this.#removeFromHost(root, host);
    await forgetOldHost(root, old);
    const forgotten = await this.#forgetHostKeys(root, environment);
    await this.#commit(opened, `Remove the old host ${environment.host.address} of ${environment.name}`, [
      projectPaths.answers,
      ...forgotten,
    ]);
    await this.cleanUp();
    this.reporter.result(
      { status: 'removed', host: environment.host.address, environment: environment.name },
      [
        `${environment.host.address} has nothing of ${environment.site} any more. Its packages and other sites are as they were.`,
      ],
    );
    this.finish();
  }

  async #removeFromHost(root: string, host: MovingHost): Promise<void> {
    const journal = Journal.open(root);
    await removeSite(root, host, this.reporter);
    const creation = {
      kind: 'site',
      name: host.environment.site,
      place: host.environment.host.address,
    } as const;
    if (journal.find(creation)) await journal.remove(creation);
  }

  /** Takes the lines of machines that nothing leads to any more out of known_hosts. Returns the path where that changed. */
  async #forgetHostKeys(root: string, gone: Environment): Promise<string[]> {
    const kept = [...storedEnvironments(root), ...storedOldHosts(root).map(({ environment }) => environment)];
    const used = new Set(kept.flatMap((each) => [...jumpHosts(each), each.host].map(knownHostsName)));
    const names = [...jumpHosts(gone), gone.host].map(knownHostsName).filter((name) => !used.has(name));
    const path = join(root, projectPaths.knownHosts);
    const before = await readIfExists(path);
    const after = before
      .split('\n')
      .filter((line) => !names.includes(line.split(/\s+/)[0] ?? ''))
      .join('\n');
    if (after === before) return [];
    await writeFile(path, after);
    return [projectPaths.knownHosts];
  }

  async #removeEnvironment(opened: Opened, status: 'removed' | 'undone'): Promise<void> {
    const { root, project, environment } = opened;
    const { name, site } = environment;
    const old = storedOldHosts(root).find((each) => each.environment.name === name);
    if (old) {
      throw usageError(
        `The old host ${old.environment.host.address} of ${name} still has its site`,
        `Remove that first: yo goboot:host --remove ${old.environment.host.address}`,
      );
    }
    // A failed run that never came to the host has left nothing there.
    const cameToHost =
      status === 'removed' ||
      Journal.open(root)
        .ours()
        .some((entry) => entry.name === site);
    const host =
      cameToHost && !this.isOn(switches.skipDeploy) ? await this.#reach(opened, environment) : undefined;
    const contents = host ? await contentsOf(host) : { lines: [], served: false };
    const publication = this.isOn(switches.skipGitHub)
      ? undefined
      : await this.lookAtGitHub(project, root).then(async (facts) => ({
          github: await facts.github,
          found: await facts.repository,
        }));
    const repository = publication?.found.state === 'ours' ? publication.found.repository : undefined;
    // Every project has a production: what describes it stays, so that it can be made anew.
    const files = name === defaultEnvironment ? undefined : await this.#filesOf(opened);
    const plan = [
      ...(host ? removalPlan(host, contents) : ['The server is left alone']),
      ...(repository
        ? [
            `On GitHub, in ${fullName(repository)}: remove the environment ${name} with its secrets and variables`,
          ]
        : ['GitHub is left alone']),
      ...(files
        ? [`Remove the files: ${files.own.join(', ')}`, ...(await describeExtension(files.others)), 'Commit']
        : ['The files of the project stay: yo goboot:deploy makes production anew']),
      `Take "Host ${site}" out of your ~/.ssh/config, if goboot wrote it`,
    ];
    this.reporter.plan(`${project.title}: remove the environment ${name}`, plan);
    if (await this.stopAfterPlan({ steps: plan })) return this.finish();
    await this.#confirmLoss(site, contents);
    if (host) await this.#removeFromHost(root, host);
    if (repository && publication)
      await this.#removeFromGitHub(root, publication.github, repository, environment);
    if (files) await this.#removeFiles(opened, files);
    await this.#changeHostBlock(site, (configuration) => withoutHostBlock(configuration, site));
    await this.cleanUp();
    this.reporter.result({ status, environment: name }, [
      `The environment ${name} is gone.`,
      ...(repository ? ['The commit that removes its files is not pushed yet: git push'] : []),
    ]);
    this.finish();
  }

  async #removeFromGitHub(
    root: string,
    github: Parameters<typeof import('./github/remove-environment.ts').removeFromGitHub>[0],
    repository: Parameters<typeof fullName>[0],
    { name }: Environment,
  ): Promise<void> {
    const { removeFromGitHub } = await import('./github/remove-environment.ts');
    await runStep(
      this.reporter,
      `Remove ${name} from GitHub`,
      () => removeFromGitHub(github, repository, { name }),
      (removed) => removed.join(', ') || 'nothing was left of it',
    );
    const journal = Journal.open(root);
    for (const entry of journal.ours()) {
      if (entry.environment === name || (entry.kind === 'environment' && entry.name === name)) {
        await journal.remove(entry);
      }
    }
  }

  /** The files of an environment alone, and how the others change without it. */
  async #filesOf({ root, project, environment }: Opened): Promise<{ own: string[]; others: Extension }> {
    const all = storedEnvironments(root) as unknown as Environments;
    const rest = all.filter(({ name }) => name !== environment.name) as unknown as Environments;
    const [withIt, without] = await Promise.all([
      projectFiles(project, all, ''),
      projectFiles(project, rest, ''),
    ]);
    const kept = new Set(without.map(({ path }) => path));
    const inventory = `${projectPaths.inventories}/${environment.name}`;
    const own = withIt
      .map(({ path }) => path)
      .filter((path) => !kept.has(path) && !path.startsWith(`${inventory}/`));
    const others = await revisionOf({ projectRoot: root, project, before: all, after: rest, knownHosts: '' });
    return { own: [inventory, ...own], others };
  }

  async #removeFiles(opened: Opened, { own, others }: { own: string[]; others: Extension }): Promise<void> {
    const { root, environment } = opened;
    for (const { path, contents } of others.changed) await writeFile(join(root, path), contents);
    for (const path of others.leftAlone) {
      this.reporter.warn(
        `${path} was changed by hand where it tells of ${environment.name}: it stays as it is`,
      );
    }
    const tracked = await trackedPaths(root, own);
    for (const path of own) await rm(join(root, path), { recursive: true, force: true });
    await forgetEnvironment(root, environment.name);
    const forgotten = await this.#forgetHostKeys(root, environment);
    await this.#commit(opened, `Remove the environment ${environment.name}`, [
      ...tracked,
      ...others.changed.map(({ path }) => path),
      projectPaths.answers,
      ...forgotten,
    ]);
  }

  /** `--undo`: takes back a replacement that has not ended, or an environment that a run has added. */
  protected async undoHost(environmentName: string | undefined): Promise<void> {
    const { root, project } = openProject(this.env.cwd);
    const pending = await pendingReplacement(root);
    if (pending && (environmentName === undefined || environmentName === pending.environment)) {
      return this.#undoReplacement(root, project, pending);
    }
    const ours = Journal.open(root).ours();
    const [, ...further] = storedEnvironments(root);
    const added = further.findLast(
      ({ name, site }) =>
        (environmentName ?? name) === name &&
        ours.some(
          (entry) => entry.environment === name || entry.name === (entry.kind === 'site' ? site : name),
        ),
    );
    if (added) return this.#removeEnvironment({ root, project, environment: added }, 'undone');
    this.reporter.result({ status: 'undone', environment: null }, [
      'There is nothing to undo: no run from this directory has begun a replacement, or created anything for a further environment.',
      ...(further.length > 0 ? ['To remove an environment: yo goboot:host --remove NAME'] : []),
    ]);
    this.finish();
  }

  async #undoReplacement(
    root: string,
    project: Project,
    pending: { environment: string; answers: GivenAnswers },
  ): Promise<void> {
    const stored = openProject(this.env.cwd, pending.environment).environment;
    const { environment: fresh } = openProject(this.env.cwd, pending.environment, pending.answers);
    if (stored.host.address === fresh.host.address) {
      throw usageError(
        `${pending.environment} has moved to ${fresh.host.address} already`,
        'Go on with --resume. To go back, replace that host by the old one: it has the data of then.',
      );
    }
    const plan = [
      `Open the site on ${stored.host.address} again, if it was closed`,
      `Remove ${fresh.site} from ${fresh.host.address}: it is a copy`,
    ];
    this.reporter.plan(`${stored.site}: stays on ${stored.host.address}`, plan);
    if (await this.stopAfterPlan({ steps: plan })) return this.finish();
    if (this.mayAsk) {
      if (!(await this.confirm('Go ahead?', false))) throw new GobootError('Cancelled; nothing was changed');
    } else if (!this.isOn(switches.yes)) {
      throw usageError(
        '--undo removes things, and nobody can be asked here',
        'Say that you mean it: --undo --yes',
      );
    }
    const old = await this.#reach({ root, project }, stored);
    await runStep(
      this.reporter,
      `Open the site on ${stored.host.address}`,
      () => takeBack(old),
      ({ result }) => result.message,
    );
    const left = await this.#reach({ root, project }, fresh)
      .then((host) => this.#removeFromHost(root, host))
      .catch((error) => {
        const { message } = toGobootError(error);
        return `${fresh.host.address} still has the copy: ${message}`;
      });
    if (left) this.reporter.warn(left);
    await endReplacement(root);
    await this.#forgetHostKeys(root, fresh);
    await this.cleanUp();
    this.reporter.result({ status: 'undone', environment: pending.environment, ...(left && { left }) }, [
      `${stored.site} is served from ${stored.host.address} as before.`,
    ]);
    this.finish();
  }
}
