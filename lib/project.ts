import type { Flow, Linter } from './github/flow.ts';

/** How a machine is reached over SSH. */
export interface SshTarget {
  /** Host name, IPv4 or IPv6 address (without brackets). */
  address: string;
  user: string;
  port: number;
  /** Path of the private key, as the user wrote it (may start with `~/`); the agent's keys are used when absent. */
  keyFile?: string;
}

/** A machine to go through, which may itself be behind another one. */
export interface JumpHost extends SshTarget {
  jump?: JumpHost;
}

/** A named deploy target of a project. */
export interface Environment {
  name: string;
  /** The name of everything of this site on its host: `<project>-<environment>`. */
  site: string;
  /** ASCII form (punycode) of the site's domain. */
  domain: string;
  host: SshTarget;
  /** The last machine to go through. */
  jump?: JumpHost;
  /** Whether `www.` before the domain leads to it, or is no name of the site. */
  www: WwwChoice;
  /** The name that visitors have to give, with the password that is in the vault; everybody may look without one. */
  basicAuthUser?: string;
}

/** The environments of a project in the order in which they were added; the first one is production. */
export type Environments = readonly [Environment, ...Environment[]];

/** The machines to go through to the host of an environment, the first one first. */
export function jumpHosts({ jump }: Pick<Environment, 'jump'>): JumpHost[] {
  return jump ? [...jumpHosts(jump), jump] : [];
}

export type WwwChoice = 'redirect' | 'none';

/** The names that a site has. */
export function siteNames({ domain, www }: Pick<Environment, 'domain' | 'www'>): string[] {
  return www === 'redirect' ? [domain, `www.${domain}`] : [domain];
}

export type RepositoryVisibility = 'private' | 'public';

/** Where the project's repository is on GitHub, as far as the user has said so. */
export interface GitHubSettings {
  /** User or organisation; the account of the token when absent. */
  owner?: string;
  visibility: RepositoryVisibility;
  /** Of a GitHub Enterprise Server; GitHub's own when absent. */
  apiUrl?: string;
  /** How changes reach the environments. */
  flow: Flow;
  /** What lints the project there. */
  linter: Linter;
}

export interface Project {
  /** Python identifier: the repository directory and the Python package. */
  name: string;
  /** The name for people. */
  title: string;
  authorName: string;
  authorEmail: string;
  github: GitHubSettings;
}

/** The first environment of every project, and the one that visitors and search engines are meant to see. */
export const defaultEnvironment = 'production';

/**
 * The name of a site on its host. Project names hold no hyphen, so it can be read back without doubt.
 */
export function siteName(project: string, environment: string): string {
  return `${project}-${environment}`;
}

/** The name of an environment among Ansible's groups, where a hyphen is not allowed. */
export function environmentGroup(environment: string): string {
  return environment.replaceAll('-', '_');
}

/** `my_shop` → `My shop`. */
export function projectTitle(name: string): string {
  const words = name.split('_').filter(Boolean).join(' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
