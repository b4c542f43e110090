import { hostCheck } from './host-check.ts';

/** Ansible's modules find the Python that they run with. */
export const pythonCheck = hostCheck('python on the host', ({ python }) =>
  python
    ? { status: 'ok', detail: python }
    : {
        status: 'failed',
        detail: 'there is no python3',
        remedy: 'On the server: sudo apt-get install python3',
      },
);
