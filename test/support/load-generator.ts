// The process that sends the requests of a load: started by load.ts, which is told every answer when the load ends.
// A process of its own, because work of the tests beside it would be counted as the server's.
import { createHash, randomUUID } from 'node:crypto';
import { Agent, request } from 'node:https';
import { setPriority } from 'node:os';
import { createSecureContext } from 'node:tls';
import type { LoadPlan, Sample } from './load.ts';

const patience = { usual: 15_000, slow: 45_000 };

interface Answer {
  status: number;
  body: string;
  cookies: string[];
}

interface Kind {
  path(): string;
  /** The fields of a form to post. */
  form?(): Record<string, string>;
  timeout?: number;
  /** Returns the release that answered; throws when the answer is wrong. */
  examine(body: string, path: string): string | undefined;
}

const { domain, address, perSecond, mixture }: LoadPlan = JSON.parse(process.argv[2] as string);

const samples: Sample[] = [];
const pending = new Set<Promise<void>>();
const accepted = { entries: [] as string[], runs: [] as string[] };
/** The addresses of the static file of every release that was seen, newest last. */
const staticPaths: string[] = [];
/** The form that was open before everything else happened. */
const form = { cookie: '', token: '' };

// Made once: reading all certificate authorities takes longer than a request.
const secureContext = createSecureContext();
// Every connection in turn, so that none is idle for so long that the server may close it.
const kept = new Agent({ keepAlive: true, scheduling: 'fifo', secureContext });
// Without a kept session, so that each new connection costs the server a whole handshake.
const fresh = new Agent({ keepAlive: false, maxCachedSessions: 0, secureContext });

function send(
  path: string,
  { agent, timeout, fields }: { agent: Agent; timeout: number; fields?: Record<string, string> },
): Promise<Answer> {
  const content = fields && new URLSearchParams(fields).toString();
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: address,
        servername: domain,
        path,
        method: content === undefined ? 'GET' : 'POST',
        headers: {
          host: domain,
          'user-agent': 'load',
          ...(content !== undefined && {
            'content-type': 'application/x-www-form-urlencoded',
            'content-length': Buffer.byteLength(content),
            origin: `https://${domain}`,
            cookie: form.cookie,
          }),
        },
        rejectUnauthorized: false,
        agent,
        timeout,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            body: Buffer.concat(chunks).toString('utf8'),
            cookies: response.headers['set-cookie'] ?? [],
          }),
        );
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${timeout / 1000} s`)));
    // Not tried again, as a browser might: a reset is a lost request here.
    outgoing.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        new Error(`${error.message}${outgoing.reusedSocket ? ', on a connection that was used before' : ''}`),
      ),
    );
    outgoing.end(content);
  });
}

function releaseOf(body: string): string {
  const { release } = JSON.parse(body);
  if (typeof release !== 'string') throw new Error(`no release in ${body.slice(0, 200)}`);
  return release;
}

function examinePage(body: string): string {
  const release = /<h1>Release ([^<]+)<\/h1>/.exec(body)?.[1];
  const path = /href="(\/static\/probe\/release\.[0-9a-f]{12}\.txt)"/.exec(body)?.[1];
  if (!release || !path || !body.trimEnd().endsWith('</html>')) throw new Error('not the page');
  if (!staticPaths.includes(path)) staticPaths.push(path);
  return release;
}

function examineStaticFile(body: string, path: string): undefined {
  const hash = createHash('md5').update(body).digest('hex').slice(0, 12);
  if (!path.includes(`.${hash}.`)) throw new Error(`${path} has other contents than its name says`);
}

/** A form whose key the server has to keep once it has answered. */
function keyed(path: string, accept: string[], more: () => Record<string, string> = () => ({})): Kind {
  let last = 0;
  const prefix = randomUUID();
  return {
    path: () => path,
    form: () => {
      last += 1;
      return { csrfmiddlewaretoken: form.token, key: `${prefix}-${last}`, ...more() };
    },
    examine(body) {
      accept.push(JSON.parse(body).key);
      return releaseOf(body);
    },
  };
}

/** Goes round through values. */
function round<Value>(values: readonly Value[]): () => Value {
  let next = 0;
  return () => values[next++ % values.length] as Value;
}

let staticTurn = 0;
const kinds: Record<string, Kind> = {
  health: { path: () => '/health/', examine: releaseOf },
  page: { path: () => '/probe/', examine: examinePage },
  static: {
    // The newest file and all older ones in turn: pages that visitors have open name the old ones.
    path: () => {
      staticTurn += 1;
      return staticPaths.at(staticTurn % 2 ? -1 : Math.floor(staticTurn / 2) % staticPaths.length) as string;
    },
    examine: examineStaticFile,
  },
  form: keyed('/probe/entries/', accepted.entries),
  task: keyed(
    '/probe/runs/',
    accepted.runs,
    ((seconds) => () => ({ seconds: String(seconds()) }))(
      round([0, 0, 0.1, 0, 0, 0.5, 0, 0, 0, 0, 0.2, 0, 0, 3, 0, 0]),
    ),
  ),
  slow: { path: () => '/probe/slow/', timeout: patience.slow, examine: releaseOf },
};

async function ask(name: string, newConnection: boolean, due: number): Promise<void> {
  const kind = kinds[name] as Kind;
  const path = kind.path();
  const sample: Sample = {
    kind: name,
    newConnection,
    at: performance.timeOrigin + due,
    milliseconds: 0,
    late: performance.now() - due,
  };
  try {
    const answer = await send(path, {
      agent: newConnection ? fresh : kept,
      timeout: kind.timeout ?? patience.usual,
      ...(kind.form && { fields: kind.form() }),
    });
    if (answer.status !== 200) throw new Error(`status ${answer.status}`);
    const release = kind.examine(answer.body, path);
    if (release) sample.release = release;
  } catch (error) {
    sample.lost = (error as Error).message;
  }
  sample.milliseconds = performance.now() - due;
  samples.push(sample);
}

let running = true;

/** Sends requests at fixed times, whatever becomes of those before: an open loop. */
function stream(rate: number, choose: () => [kind: string, newConnection: boolean]): void {
  const interval = 1000 / rate;
  let due = performance.now();
  const tick = () => {
    if (!running) return;
    for (; due <= performance.now(); due += interval) {
      const asking = ask(...choose(), due).finally(() => pending.delete(asking));
      pending.add(asking);
    }
    setTimeout(tick, due - performance.now());
  };
  tick();
}

/** Opens the form once, as a visitor who sends it off much later. */
async function openForm(): Promise<void> {
  const { status, body, cookies } = await send('/probe/', { agent: kept, timeout: patience.usual });
  if (status !== 200) throw new Error(`the page with the form has status ${status}`);
  examinePage(body);
  form.cookie = (cookies.find((text) => text.startsWith('csrftoken=')) ?? '').split(';')[0] as string;
  form.token = /name="csrfmiddlewaretoken" value="([^"]+)"/.exec(body)?.[1] ?? '';
  if (!form.cookie || !form.token) throw new Error('the page has no form');
}

async function start(): Promise<void> {
  if (mixture === 'health') {
    stream(
      perSecond,
      round([
        ['health', false],
        ['health', true],
      ]),
    );
    return;
  }
  await openForm();
  const cycle = [
    ...['page', 'static', 'page', 'health', 'page', 'form', 'page', 'static', 'page new', 'page'],
    ...['static', 'page', 'health', 'page', 'health', 'page', 'static', 'page', 'static new', 'page'],
  ];
  stream(
    perSecond,
    round(cycle.map((text): [string, boolean] => [text.split(' ')[0] as string, text.endsWith(' new')])),
  );
  // At rates of their own: two worker processes and eight threads have to keep up with them.
  stream(4, () => ['task', false]);
  stream(0.25, () => ['slow', false]);
}

try {
  // Visitors have computers of their own: what they wait for here must not be their turn on this one.
  setPriority(-10);
} catch {
  // Only root may. Then samples say how late they were sent.
}

process.once('message', async () => {
  running = false;
  await Promise.all(pending);
  process.send?.({ samples, accepted }, () => process.disconnect());
  kept.destroy();
});
// Whoever started this is gone.
process.once('disconnect', () => process.exit());

start().then(
  () => process.send?.({ started: true }),
  (error) => process.send?.({ failed: error.message }, () => process.exit(1)),
);
