import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Computer, checkRehearsal } from '../../lib/rehearsal/requirements.ts';

describe('checkRehearsal', () => {
  let directory: string;
  let computer: Computer;
  const all = [
    'mmdebstrap',
    'systemd-nspawn',
    'ip',
    'nft',
    'flock',
    'nsenter',
    'ssh-keygen',
    'sudo',
    'apt-get',
  ];

  const install = (...names: string[]) => {
    for (const name of names) {
      writeFileSync(join(directory, name), '#!/bin/sh\n');
      chmodSync(join(directory, name), 0o755);
    }
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'requirements-'));
    computer = {
      platform: 'linux',
      path: directory,
      systemDirectories: [],
      keyring: true,
      root: false,
      sudoReady: true,
      terminal: true,
    };
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  it('finds nothing missing where everything is there', async () => {
    install(...all);
    expect(await checkRehearsal(computer)).toEqual([]);
  });

  it.each([
    ['mmdebstrap', 'mmdebstrap'],
    ['systemd-nspawn', 'systemd-container'],
    ['nft', 'nftables'],
    ['ip', 'iproute2'],
    ['ssh-keygen', 'openssh-client'],
  ])('names %s and the package that has it', async (program, name) => {
    install(...all.filter((other) => other !== program));
    expect(await checkRehearsal(computer)).toEqual([
      { message: `${program} is not installed`, remedy: `Run: sudo apt-get install ${name}` },
    ]);
  });

  it('looks where system programs are even when the PATH does not', async () => {
    install(...all);
    expect(await checkRehearsal({ ...computer, path: '', systemDirectories: [directory] })).toEqual([]);
  });

  it('names the package of Fedora there', async () => {
    install('dnf', ...all.filter((name) => name !== 'apt-get' && name !== 'ip'));
    expect(await checkRehearsal(computer)).toEqual([
      { message: 'ip is not installed', remedy: 'Run: sudo dnf install iproute' },
    ]);
  });

  it("misses Debian's keys", async () => {
    install(...all);
    const [problem] = await checkRehearsal({ ...computer, keyring: false });
    expect(problem?.remedy).toBe('Run: sudo apt-get install debian-archive-keyring');
  });

  it('says that it needs root where there is no sudo', async () => {
    install(...all.filter((name) => name !== 'sudo'));
    const [problem] = await checkRehearsal(computer);
    expect(problem?.message).toContain('sudo is not installed');
    expect(await checkRehearsal({ ...computer, root: true })).toEqual([]);
  });

  it('says that sudo cannot ask without a terminal', async () => {
    install(...all);
    const [problem] = await checkRehearsal({ ...computer, sudoReady: false, terminal: false });
    expect(problem?.remedy).toContain('sudo -v');
    expect(await checkRehearsal({ ...computer, sudoReady: false })).toEqual([]);
  });

  it.each([
    ['darwin', 'macOS'],
    ['win32', 'Windows'],
  ] as const)('says that %s cannot do it, and no more', async (platform, name) => {
    const problems = await checkRehearsal({ ...computer, platform });
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toContain(`${name} cannot`);
  });
});
