import { rehearsalSystems } from '../../lib/rehearsal/operating-systems.ts';
import type { Marks } from '../marked-section.ts';
import type { Examination } from './examine.ts';
import { limits } from './limits.ts';

/** Where the card of a system is in docs/report-card.md. */
export function cardMarks({ os }: Pick<Examination, 'os'>): Marks {
  return { start: `<!-- ${os}: made by npm run report-card -->`, end: `<!-- /${os} -->` };
}

const list = (items: readonly string[]) => items.join('<br>') || 'none';

/** The report card of a host in Markdown. */
export function cardText(found: Examination, date: string): string {
  const { before, after } = found.lynis;
  const kept = found.attempts.filter(({ got }) => !got).length;
  const rows: [string, string, string][] = [
    [
      'open ports, all of TCP and the usual ones of UDP (nmap)',
      found.ports.join(', '),
      limits.ports.join(', '),
    ],
    ['TLS (testssl.sh)', `${found.tls.grade}, HSTS: ${found.tls.hsts}`, limits.grade],
    ['TLS: findings above low', list(found.tls.findings), ''],
    ['SSH (ssh-audit): failures', list(found.ssh.failures), 'none'],
    ['SSH (ssh-audit): warnings', list(found.ssh.warnings), ''],
    ['hardening index (lynis)', `${after.index}, before provisioning ${before.index}`, 'higher than before'],
    ['lynis: warnings', list(after.warnings), ''],
    [
      'exposure of our units (systemd-analyze security)',
      list(Object.entries(found.units).map(([unit, exposure]) => `${unit} ${exposure.toFixed(1)}`)),
      `${limits.unitExposure} or less`,
    ],
    [
      'memory of the idle host with one site (PSS)',
      `${found.memory.total} MiB: ${found.memory.largest.map(([unit, size]) => `${unit} ${size}`).join(', ')}`,
      `${limits.memoryMiB} MiB or less`,
    ],
    [
      'from the order to reboot until the site is well again',
      `${found.rebootSeconds.toFixed(1)} s`,
      `${limits.rebootSeconds} s or less`,
    ],
    [
      'what one site gets of another on the same host',
      kept === found.attempts.length
        ? `nothing, in ${kept} of ${kept} attempts: ${found.attempts.map(({ what }) => what).join('; ')}`
        : list(found.attempts.filter(({ got }) => got).map(({ what, got }) => `${what}: ${got}`)),
      'nothing',
    ],
    ['an unknown name over HTTP, and over HTTPS', list(found.answerToUnknownNames.split('\n')), 'no answer'],
  ];
  return [
    `${rehearsalSystems[found.os].title}, ${date}:`,
    '',
    '| what | found | must be |',
    '| --- | --- | --- |',
    ...rows.map(
      (cells) =>
        `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', '<br>')).join(' | ')} |`,
    ),
  ].join('\n');
}
