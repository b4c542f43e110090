import type { GitHub } from '../github/client.ts';
import type { Environment, Environments, Project } from '../project.ts';
import type { SshConnection } from '../ssh/connection.ts';
import type { Reporter } from '../terminal/reporter.ts';
import type { VaultContents } from '../vault.ts';
import type { HostSecrets } from './host-secrets.ts';
import type { Secret } from './secret.ts';

/** One step of a rotation. */
export interface RotationStep {
  /** Unique within the rotation and the same in every version of it: the journal knows it by this name. */
  name: string;
  /** What it does, for the plan and for the report of its run. */
  title: string;
  /** Run again after it was killed at any moment, or after it had ended, it ends in the same state. */
  run(): Promise<void>;
  /**
   * Takes it back, when a later step or this one failed; may meet a state in which it was only half done. A step without
   * it cannot be taken back: a rotation that has ended it goes on with `--resume`.
   */
  undo?(): Promise<void>;
}

/** The way from an old value to a new one, during which the site works with either. */
export interface Rotation {
  secret: string;
  /** The name of the environment; undefined for what all environments share. */
  environment?: string;
  /** In order. Of a leaked secret the old value is refused as early as can be, and nothing overlaps. */
  steps: readonly RotationStep[];
  /** What is to be done or known afterwards that no step does, as sentences. */
  afterwards?: readonly string[];
}

/** What a rotation is decided by when it begins; the journal keeps it, so that `--resume` goes on in the same way. */
export interface RotationSettings {
  /** When it began, ISO 8601. It names the rotation: what is made in it is dated with it, and so is recognised. */
  begun: string;
  /** Others know the old value: it is refused first, whoever still uses it. */
  leaked: boolean;
  /** Days that an old value is still accepted where that is for users' sake. */
  keepOldDays: number;
  /** A secret of the owner's goes, and gets no other value. */
  removes?: boolean;
}

/** What a rotation works with. Whatever costs a login is opened when it is first asked for, and only once. */
export interface RotationContext extends RotationSettings {
  projectRoot: string;
  project: Project;
  /** The environment in question; the first one for what all of them share. */
  environment: Environment;
  environments: Environments;
  reporter: Reporter;
  /** A connection to the host of an environment as its administrator; that of `environment` unless given. */
  connect(environment?: Environment): Promise<SshConnection>;
  /** GitHub, as the token's owner; undefined where the project is not published there, or GitHub is left alone. */
  openGitHub(): Promise<GitHub | undefined>;
  /**
   * Brings the secrets in the vault of an environment to its host: what changed there, and nothing else. The site is
   * started anew beside itself where its settings changed.
   */
  applySecrets(environment?: Environment): Promise<void>;
}

/** What there is to look at when one wants to know how a secret is. */
export interface LookContext {
  projectRoot: string;
  project: Project;
  environment: Environment;
  /** The opened vault of the environment. */
  vault: VaultContents;
  /** What the host has; undefined where it does not answer, or has no site yet. */
  host: HostSecrets | undefined;
  /** GitHub; undefined where it is left alone, the project is not published there, or it does not answer. */
  openGitHub(): Promise<GitHub | undefined>;
}

/** How a secret is. */
export interface SecretState {
  /** When it got its value, ISO 8601; that of the project's first vault unless given. */
  changedAt?: string;
  /** Places that do not have the value that the vault has, in words. */
  differences: string[];
  /** Places that nobody could look at, in words. */
  unknown: string[];
  /** What brings the same value to all places; provisioning unless given. */
  repair?: string;
  /** When something is to be done with it, ISO 8601, and what. */
  due?: { at: string; what: string };
}

/** A secret that can be rotated. */
export interface RotatableSecret {
  /** The name of the secret. */
  name: string;
  /** Describes it as an environment has it; undefined where it has none. */
  describe(context: { project: Project; environment: Environment; vault: VaultContents }): Secret | undefined;
  /** How it is now. Never changes anything. */
  look(context: LookContext): Promise<SecretState>;
  /** Whether it can be rotated while no host answers. */
  worksWithoutHost?: boolean;
  /** The steps. Throws a GobootError where it cannot be rotated. Must not change anything itself. */
  rotation(context: RotationContext): Promise<Rotation>;
  /** What to look at when it has leaked, besides rotating it: sentences. */
  afterLeak: readonly string[];
}
