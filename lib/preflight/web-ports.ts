import { surveyCheck } from './host-check.ts';
import type { Listener } from './host-facts.ts';

function remedyFor({ port, program }: Listener): string {
  if (program === 'docker-proxy' || program === 'rootlessport') {
    return `A container has the port. Find it on the server: sudo docker ps --filter publish=${port}, and stop it.`;
  }
  const units: Record<string, string> = { httpd: 'apache2', 'lighttpd-angel': 'lighttpd' };
  return program && program !== 'systemd'
    ? `If nobody needs it, on the server: sudo systemctl disable --now ${units[program] ?? program}`
    : `Find out on the server: sudo ss -ltnp 'sport = :${port}', and stop it.`;
}

/** Ports 80 and 443 are free, or nginx has them. */
export const webPortsCheck = surveyCheck('web ports', ({ listeners }) => {
  const foreign = listeners.find(({ program }) => program !== 'nginx');
  if (!foreign) {
    return {
      status: 'ok',
      detail: listeners.length > 0 ? 'nginx has 80 and 443, or may take them' : '80 and 443 are free',
    };
  }
  const ports = [
    ...new Set(listeners.filter(({ program }) => program === foreign.program).map(({ port }) => port)),
  ];
  return {
    status: 'failed',
    detail: `${foreign.program || 'a program'}${foreign.process ? ` (process ${foreign.process})` : ''} listens on ${ports.sort((a, b) => a - b).join(' and ')}`,
    remedy: remedyFor(foreign),
  };
});
