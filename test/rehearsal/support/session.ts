/**
 * A program that boots a throwaway host and then waits to be ended from outside: `session.ts NAME [keep]`.
 * It prints one JSON line when the host is up.
 */
import { openRehearsal } from '../../../lib/rehearsal/rehearsal.ts';

const [name = '', keep] = process.argv.slice(2);
const rehearsal = await openRehearsal({
  onProgress: ({ message, status }) => process.stderr.write(`${status}: ${message}\n`),
});
const host = await rehearsal.startHost({ os: 'debian13', name, adminUser: 'admin', keep: keep === 'keep' });
process.stdout.write(`${JSON.stringify({ address: host.address, keyFile: host.keyFile })}\n`);
setInterval(() => {}, 60_000);
