import type { ScaffoldedSite } from './scaffolded-site.ts';

type Shell = Pick<ScaffoldedSite, 'shell'>;

/** Lynis' hardening index of a host, of 100, and the number of its suggestions. Installs Lynis there. */
export async function lynisIndex(
  host: Shell,
): Promise<{ index: number; warnings: string[]; suggestions: number }> {
  await host.shell(
    'command -v lynis >/dev/null || { apt-get -qq update; DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends lynis >/dev/null; }',
  );
  await host.shell('cd / && lynis audit system --quick --no-colors --quiet >/dev/null 2>&1 || true');
  const report = await host.shell('cat /var/log/lynis-report.dat');
  const all = (name: string) =>
    [...report.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value]) => value as string);
  return {
    index: Number(all('hardening_index')[0]),
    warnings: all('warning\\[\\]').map((line) => line.split('|').slice(0, 2).join(' ')),
    suggestions: all('suggestion\\[\\]').length,
  };
}

/** What `systemd-analyze security` says of each running or timed unit that provisioning has described, by its name. */
export async function unitExposure(host: Shell): Promise<Record<string, number>> {
  const text = await host.shell(
    `units=$(find /etc/systemd/system -maxdepth 1 -type f -name '*.service' -printf '%f\\n')
     for unit in $units; do
       case $unit in
         *@.service) names=$(systemctl list-units --plain --no-legend "\${unit%.service}*" | cut -d ' ' -f 1 | head -n 1) ;;
         *) names=$unit ;;
       esac
       for name in $names; do
         echo "$name $(systemd-analyze security --no-pager "$name" | tail -n 1 | grep -oE '[0-9]+\\.[0-9]+' | head -n 1)"
       done
     done`,
  );
  return Object.fromEntries(
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => {
        const [name = '', score] = line.split(' ');
        return [name.replace(/@.*\.service/, '@.service'), Number(score)];
      }),
  );
}

/** The memory of all processes of a host in MiB: what is shared is counted once (PSS). */
export async function memoryInUse(host: Shell): Promise<{ total: number; largest: [string, number][] }> {
  const text = await host.shell(
    `for directory in /proc/[0-9]*; do
       size=$(sed -n 's/^Pss: *//p' "$directory/smaps_rollup" 2>/dev/null | cut -d ' ' -f 1)
       unit=$(sed -n '/name=systemd\\|^0::/{s/.*:[^:]*:\\(.*\\)/\\1/p;q}' "$directory/cgroup" 2>/dev/null)
       [ -n "$size" ] && echo "$size \${unit##*/}"
     done || true`,
  );
  const units = new Map<string, number>();
  for (const line of text.split('\n').filter(Boolean)) {
    const [size = '0', unit = ''] = line.split(' ');
    const name = unit.replace(/@.*\.service/, '@.service') || 'other';
    units.set(name, (units.get(name) ?? 0) + Number(size) / 1024);
  }
  const sorted = [...units].sort(([, a], [, b]) => b - a);
  return {
    total: Math.round(sorted.reduce((sum, [, size]) => sum + size, 0)),
    largest: sorted.slice(0, 6).map(([name, size]) => [name, Math.round(size)]),
  };
}

/** One attempt of a site to look into another one, and what came of it. */
export interface Attempt {
  what: string;
  /** What it got; empty: nothing. */
  got: string;
}

/** What the account of one site gets of another one on the same host, with its own password of the broker. */
export async function lookInto(site: ScaffoldedSite, other: ScaffoldedSite): Promise<Attempt[]> {
  const [me, them] = [site.name, other.name];
  const as = (command: string) =>
    `cd / && setpriv --reuid=${me} --regid=${me} --clear-groups sh -c '${command}' 2>/dev/null || true`;
  const inSandbox = (command: string) =>
    `pid=$(systemctl show --property=MainPID --value '${me}-worker@*' | head -n 1)
     nsenter --target="$pid" --mount -- setpriv --reuid=${me} --regid=${me} --clear-groups sh -c '${command}' 2>/dev/null || true`;
  const attempts: [string, string][] = [
    ['read its settings and secrets', as(`cat /etc/${them}/environment`)],
    ['read its certificate’s key', as(`cat /etc/${them}/tls/privkey.pem`)],
    ['read its code', as(`cat /srv/${them}/current/manage.py`)],
    ['list its uploads', as(`ls /srv/${them}/media`)],
    ['write to its uploads', as(`touch /srv/${them}/media/x && echo written`)],
    ['read its dumps', as(`ls /var/backups/${them}`)],
    ['reach its web server’s socket', as(`ls /run/${them}`)],
    [
      'reach its cache',
      as(
        `python3 -c "import socket; s = socket.socket(socket.AF_UNIX); s.connect(\\"/run/${them}/memcached.sock\\"); print(1)"`,
      ),
    ],
    ['open its database', as(`psql --no-psqlrc -Atc "select 1" ${them}`)],
    [
      'enter its virtual host of the broker',
      `rabbitmqctl --quiet list_user_permissions ${me} | grep -w ${them} || true`,
    ],
    ['see its processes', inSandbox(`ps -eo user= | grep -w ${them.slice(0, 7)}`)],
    ['read the journal', as('journalctl --quiet --lines=1')],
    ['run its release command', as(`/usr/local/sbin/${them}-release status`)],
  ];
  const results: Attempt[] = [];
  for (const [what, command] of attempts) {
    results.push({ what, got: (await site.shell(command)).split('\n')[0]?.slice(0, 60) ?? '' });
  }
  return results;
}
