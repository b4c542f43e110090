import { hostCheck } from './host-check.ts';

/** The account may become root without being asked for a password, as Ansible has to. */
export const sudoCheck = hostCheck('sudo', ({ sudo }, { environment: { host } }) =>
  sudo
    ? { status: 'ok', detail: `without a password for ${host.user}` }
    : {
        status: 'failed',
        detail: `sudo asks ${host.user} for a password on ${host.address}`,
        remedy: `On the server, as root: echo '${host.user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/${host.user}`,
      },
);
