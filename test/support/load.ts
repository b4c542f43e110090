import { type ChildProcess, fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { packageRoot } from '../../lib/paths.ts';

export interface LoadPlan {
  domain: string;
  address: string;
  /** Requests per second, sent at fixed times however long the answers take. */
  perSecond: number;
  /**
   * `health` asks every site for its health page. `probe` needs the application in test/support/probe: pages, forms,
   * static files of all releases, requests of ten seconds, and tasks.
   */
  mixture: 'health' | 'probe';
}

/** One request. */
export interface Sample {
  kind: string;
  newConnection: boolean;
  /** When it was to be sent, in milliseconds since 1970. */
  at: number;
  /** From then to the end of its answer: what stands in its way before it is sent counts, too. */
  milliseconds: number;
  /** How much of that passed before the load's own process came to send it. */
  late: number;
  release?: string;
  /** What went wrong. */
  lost?: string;
}

export interface LoadResult {
  requests: number;
  /** What went wrong with each request that was lost. */
  lost: string[];
  /** Releases that answered, in the order in which they were first seen. */
  releases: string[];
  samples: Sample[];
  /** Keys of the forms and tasks that the site said it has taken. */
  accepted: { entries: string[]; runs: string[] };
}

/** Starts a load; the returned function ends it, waits for the last answers and tells what was lost. */
export async function openLoad(plan: LoadPlan): Promise<() => Promise<LoadResult>> {
  const child = spawnGenerator(plan);
  const first = await messageFrom<{ started?: true; failed?: string }>(child);
  if (first.failed) throw new Error(`The load cannot start: ${first.failed}`);
  return async () => {
    const last = messageFrom<Pick<LoadResult, 'samples' | 'accepted'>>(child);
    child.send('stop');
    const { samples, accepted } = await last;
    samples.sort((a, b) => a.at - b.at);
    return {
      requests: samples.length,
      lost: samples.filter(({ lost }) => lost).map(describeLoss),
      releases: [...new Set(samples.flatMap(({ release }) => release ?? []))],
      samples,
      accepted,
    };
  };
}

/** Asks any site for its health page at a steady rate, over kept and over new connections. */
export function startLoad(plan: Omit<LoadPlan, 'mixture'>): () => Promise<LoadResult> {
  const load = openLoad({ ...plan, mixture: 'health' });
  return async () => (await load)();
}

function spawnGenerator(plan: LoadPlan): ChildProcess {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return fork(join(packageRoot, 'test/support/load-generator.ts'), [JSON.stringify(plan)], {
    execArgv: ['--import', tsx],
    // Answers are many: much quicker than as JSON.
    serialization: 'advanced',
  });
}

function messageFrom<Message>(child: ChildProcess): Promise<Message> {
  return new Promise((resolve, reject) => {
    const ended = () => reject(new Error('The process that makes the load ended by itself'));
    child.once('exit', ended);
    child.once('message', (message) => {
      child.off('exit', ended);
      resolve(message as Message);
    });
  });
}

function describeLoss({ kind, newConnection, at, milliseconds, lost }: Sample): string {
  const connection = newConnection ? 'new' : 'kept';
  return `${new Date(at).toISOString()} ${kind} (${connection} connection) after ${Math.round(milliseconds)} ms: ${lost}`;
}

/** What visitors felt in a span of time. Requests that take ten seconds by themselves are not in the times. */
export interface Latency {
  requests: number;
  lost: number;
  /** In milliseconds. */
  p50: number;
  p95: number;
  p99: number;
  max: number;
  /** The longest time that the load's own process was late by: the times above are not better than that. */
  late: number;
}

/** Sums up the requests that were to be sent in a span, in milliseconds since 1970. */
export function latencyBetween(samples: readonly Sample[], from: number, to: number): Latency {
  const within = samples.filter(({ at }) => at >= from && at < to);
  const usual = within.filter(({ kind }) => kind !== 'slow');
  const times = usual.map(({ milliseconds }) => milliseconds).sort((a, b) => a - b);
  const percentile = (share: number) => times[Math.ceil(times.length * share) - 1] ?? Number.NaN;
  return {
    requests: within.length,
    lost: within.filter(({ lost }) => lost).length,
    p50: percentile(0.5),
    p95: percentile(0.95),
    p99: percentile(0.99),
    max: percentile(1),
    late: Math.max(0, ...usual.map(({ late }) => late)),
  };
}

/** One line for people. */
export function describeLatency(name: string, latency: Latency): string {
  const ms = (value: number) => `${value.toFixed(0)} ms`.padStart(8);
  const { requests, lost, p50, p95, p99, max, late } = latency;
  return `${name.padEnd(24)} ${String(requests).padStart(6)} requests, ${lost} lost, p50${ms(p50)}, p95${ms(p95)}, p99${ms(p99)}, max${ms(max)} (late by up to ${late.toFixed(0)} ms)`;
}
