import { randomBytes } from 'node:crypto';
import { chmod, mkdir, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import SSHConfig from 'ssh-config';
import { GobootError } from '../errors.ts';
import type { Environment } from '../project.ts';
import { quoted } from '../validate.ts';
import { jumpAliases, withEnvironment } from './configuration.ts';
import { readIfExists } from './known-hosts.ts';
import { namesIn } from './user-configuration.ts';

const begin = (site: string) => `# BEGIN ${site}, written by goboot`;
const end = (site: string) => `# END ${site}`;

/** Where OpenSSH looks for the user's configuration: it asks the system for the home directory, not the environment. */
export function userConfigurationFile(): string {
  return join(userInfo().homedir, '.ssh', 'config');
}

/** Whether a configuration has a block that goboot wrote for a site. */
export function hasHostBlock(configuration: string, site: string): boolean {
  return configuration.split(/\r?\n/).includes(begin(site));
}

/**
 * A configuration without the block of a site; everything else is as it was, to the byte.
 *
 * Throws a GobootError when the end of the block is missing.
 */
export function withoutHostBlock(configuration: string, site: string): string {
  const lines = configuration.split(/(?<=\n)/);
  const first = lines.findIndex((line) => line.trimEnd() === begin(site));
  if (first < 0) return configuration;
  const last = lines.findIndex((line, index) => index > first && line.trimEnd() === end(site));
  if (last < 0) {
    throw new GobootError(`The line ${quoted(end(site))} is missing in your ssh configuration`, {
      remedy: 'Put it back below what goboot wrote, or remove the whole block by hand.',
    });
  }
  // The empty line that keeps it apart is part of it.
  const isEmpty = (index: number) => lines[index]?.trim() === '';
  const after = isEmpty(last + 1) ? last + 2 : last + 1;
  const before = last + 1 === lines.length && isEmpty(first - 1) ? first - 1 : first;
  return [...lines.slice(0, before), ...lines.slice(after)].join('');
}

/**
 * A configuration in which `ssh <site>` leads to the host of an environment. The block of an earlier time is replaced.
 *
 * It comes before the first other block, because OpenSSH takes the first value that it finds: a `Host *` above it would
 * win. What stands above all blocks stays there, or it would become a part of this one.
 *
 * Throws a GobootError when the configuration has a block of that name that goboot did not write.
 */
export function withHostBlock(
  configuration: string,
  environment: Environment,
  knownHostsFile: string,
): string {
  const { site } = environment;
  const others = withoutHostBlock(configuration, site);
  if (namesIn(others).includes(site)) {
    throw new GobootError(`Your ssh configuration has a block "Host ${site}" that goboot did not write`, {
      remedy: 'Rename or remove that block, or leave your ssh configuration as it is.',
    });
  }
  const newline = others.includes('\r\n') ? '\r\n' : '\n';
  const block = `${[begin(site), ...blockLines(environment, knownHostsFile), end(site)].join(newline)}${newline}`;
  const lines = others.split(/(?<=\n)/);
  const firstBlock = lines.findIndex((line) => /^\s*(host|match)[\s=]/i.test(line));
  if (firstBlock < 0) {
    const head = others && !others.endsWith('\n') ? `${others}${newline}` : others;
    return head.trim() ? `${head}${newline}${block}` : `${head}${block}`;
  }
  // Comments above a block are about it.
  let place = firstBlock;
  while (lines[place - 1]?.trimStart().startsWith('#') && !lines[place - 1]?.startsWith('# END ')) place -= 1;
  return [...lines.slice(0, place), `${block}${newline}`, ...lines.slice(place)].join('');
}

function blockLines(environment: Environment, knownHostsFile: string): string[] {
  const names = [environment.site, ...jumpAliases(environment)];
  const keys = new SSHConfig();
  keys.append({
    Host: names.join(' '),
    // The project's file first: it holds exactly the keys of these machines.
    UserKnownHostsFile: [knownHostsFile, '~/.ssh/known_hosts'],
    StrictHostKeyChecking: 'yes',
  });
  return `${withEnvironment('', environment)}\n${keys}`.trim().split('\n');
}

/**
 * Replaces the user's ssh configuration by what a function makes of it, in one step, readable by the user alone. A
 * symbolic link stays one. Returns whether that changed anything.
 *
 * Throws what the function throws, and a GobootError when the file cannot be written; it is as it was then.
 */
export async function changeUserConfiguration(
  file: string,
  change: (configuration: string) => string,
): Promise<boolean> {
  const target = await realpath(file).catch(() => file);
  const temporary = `${target}.${randomBytes(4).toString('hex')}`;
  const before = await readIfExists(file).catch((error) => cannot('read', file, error));
  const after = change(before);
  if (after === before) return false;
  try {
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await writeFile(temporary, after, { flag: 'wx', mode: 0o600 });
    await chmod(temporary, 0o600);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    cannot('written', file, error as NodeJS.ErrnoException);
  }
  return true;
}

function cannot(done: 'read' | 'written', file: string, cause: NodeJS.ErrnoException): never {
  throw new GobootError(`${file} cannot be ${done}: ${cause.code}`, {
    cause,
    remedy: 'Check that it and its directory are yours, and that the disk is not full. It is as it was.',
  });
}
