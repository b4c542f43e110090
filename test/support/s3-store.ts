import { spawn } from 'node:child_process';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

// AWS's own interface, as moto implements it for tests.
const server = 'moto[server]==5.2.5';
const startSeconds = 120;

/** A store with the interface of Amazon S3. It keeps everything in memory. */
export interface S3Store {
  port: number;
  /** Makes an empty bucket. */
  createBucket(name: string): Promise<void>;
  close(): void;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** Starts a store that listens on every address of this computer. */
export async function startS3Store(): Promise<S3Store> {
  const port = await freePort();
  const words = ['tool', 'run', '--quiet', '--no-python-downloads', '--from', server, 'moto_server'];
  const subprocess = spawn('uv', [...words, '-H', '0.0.0.0', '-p', String(port)], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  let said = '';
  subprocess.stderr.on('data', (chunk) => {
    said = `${said}${chunk}`.slice(-2000);
  });
  const close = () => {
    if (subprocess.pid && subprocess.exitCode === null) process.kill(-subprocess.pid, 'SIGTERM');
  };
  const url = `http://127.0.0.1:${port}/`;
  for (const deadline = Date.now() + startSeconds * 1000; Date.now() < deadline; await sleep(200)) {
    if (subprocess.exitCode !== null) break;
    try {
      await fetch(url);
      return {
        port,
        async createBucket(name) {
          const { status } = await fetch(`${url}${name}`, { method: 'PUT' });
          if (status !== 200) throw new Error(`The bucket ${name} cannot be made: status ${status}`);
        },
        close,
      };
    } catch {
      // It is starting.
    }
  }
  close();
  throw new Error(`The S3 store does not start: ${said}`);
}
