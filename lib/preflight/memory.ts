import { surveyCheck } from './host-check.ts';

// In MiB. A server that is sold with 1 GB says 900 to 990, one with 512 MB says 450 to 490: the kernel keeps the rest.
const enough = 870;
const least = 430;

/** PostgreSQL, RabbitMQ, memcached and two releases of the site fit into the memory. */
export const memoryCheck = surveyCheck('memory', ({ memory }) => {
  if (memory === undefined) return { status: 'warning', detail: 'not checked: the host does not tell' };
  const detail = `${memory} MiB`;
  if (memory < least) {
    return { status: 'failed', detail, remedy: 'Take a server with 1 GB or more; 512 MB are the least.' };
  }
  if (memory >= enough) return { status: 'ok', detail };
  return {
    status: 'warning',
    detail: `${detail} are little for the database, the message broker and two releases`,
    remedy: 'Take a server with 1 GB or more, or give it swap space.',
  };
});
