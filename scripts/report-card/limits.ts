import type { Examination } from './examine.ts';

/** What a host must keep to, so that the report card is one to sign. */
export const limits = {
  ports: ['22/tcp', '80/tcp', '443/tcp'],
  grade: 'A+',
  sshFailures: 0,
  unitExposure: 1.5,
  memoryMiB: 600,
  rebootSeconds: 30,
} as const;

/** What is not as it must be, one line for each. */
export function shortcomings(found: Examination): string[] {
  const unexpected = found.ports.filter((port) => !(limits.ports as readonly string[]).includes(port));
  const missing = limits.ports.filter((port) => !found.ports.includes(port));
  return [
    ...unexpected.map((port) => `${port} can be reached`),
    ...missing.map((port) => `${port} cannot be reached`),
    ...(found.tls.grade === limits.grade ? [] : [`testssl.sh rates TLS ${found.tls.grade}`]),
    ...(found.ssh.failures.length > limits.sshFailures
      ? found.ssh.failures.map((line) => `SSH: ${line}`)
      : []),
    ...Object.entries(found.units).flatMap(([unit, exposure]) =>
      exposure <= limits.unitExposure ? [] : [`${unit} has an exposure of ${exposure}`],
    ),
    ...(found.memory.total <= limits.memoryMiB ? [] : [`the idle host uses ${found.memory.total} MiB`]),
    ...(found.rebootSeconds <= limits.rebootSeconds
      ? []
      : [`a reboot takes ${found.rebootSeconds.toFixed(1)} s`]),
    ...(found.lynis.after.index > found.lynis.before.index
      ? []
      : [`lynis: ${found.lynis.before.index} before, ${found.lynis.after.index} after`]),
    ...found.attempts.flatMap(({ what, got }) => (got ? [`one site can ${what} of another: ${got}`] : [])),
  ];
}
