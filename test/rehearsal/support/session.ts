/**
 * A program that boots a throwaway host, prints its progress and `ready`, and then waits to be ended from
 * outside: `session.ts NAME [keep]`.
 */
import { openRehearsal } from '../../../lib/rehearsal/rehearsal.ts';

const [name = '', keep] = process.argv.slice(2);
const rehearsal = await openRehearsal({
  onProgress: ({ message, status }) => process.stdout.write(`${status}: ${message}\n`),
});
await rehearsal.startHost({ os: 'debian13', name, adminUser: 'admin', keep: keep === 'keep' });
process.stdout.write('ready\n');
setInterval(() => {}, 60_000);
