import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';

// PostgreSQL and memcached refuse to run as root.
const nobody = 65534;

interface Service {
  name: string;
  exit: Promise<{ exitCode?: number | undefined; all: string }>;
  end: () => Promise<void>;
}

/** Debian keeps a directory for each version of PostgreSQL, none of them on the PATH. */
function postgresqlPrograms(): string {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(a) - Number(b)) : [];
  return join(root, versions.at(-1) ?? '', 'bin');
}

const programs = {
  initdb: postgresqlProgram('initdb'),
  postgres: postgresqlProgram('postgres'),
  epmd: '/usr/bin/epmd',
  rabbitmq: '/usr/lib/rabbitmq/bin/rabbitmq-server',
  memcached: '/usr/bin/memcached',
};

/** The path of a program that comes with PostgreSQL's server. */
export function postgresqlProgram(name: string): string {
  return join(postgresqlPrograms(), name);
}

/** The programs that `startServices` needs and this computer does not have. */
export function missingServices(): string[] {
  return Object.values(programs).filter((path) => !existsSync(path));
}

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address ? resolve(address.port) : reject(address)));
    });
  });
}

async function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => socket.destroy() && resolve(true));
    socket.once('error', () => resolve(false));
  });
}

async function untilListening(service: Service, port: number): Promise<void> {
  const deadline = Date.now() + 60_000;
  let ended = false;
  void service.exit.then(() => {
    ended = true;
  });
  while (!(await accepts(port))) {
    if (ended) throw new Error(`${service.name} ended at once: ${(await service.exit).all}`);
    if (Date.now() > deadline) throw new Error(`${service.name} did not listen within 60 seconds`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/**
 * Starts PostgreSQL, RabbitMQ and memcached for one test: on free ports of the loopback interface, with all their
 * files in a directory of their own. `variables` and `ports` tell where they are; `stop` ends and removes them.
 */
export async function startServices(): Promise<{
  variables: Record<string, string>;
  ports: { postgresql: number; rabbitmq: number; memcached: number };
  stop: () => Promise<void>;
}> {
  const directory = await mkdtemp(join(tmpdir(), 'goboot-services-'));
  const identity = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};
  if (identity.uid) await chown(directory, nobody, nobody);

  const services: Service[] = [];
  const start = (file: string, args: string[], env: Record<string, string> = {}): Service => {
    const subprocess = execa(file, args, {
      ...identity,
      cwd: directory,
      // Of systemd's, where the tests themselves are a service; RabbitMQ would report to it, and may not.
      env: { HOME: directory, NOTIFY_SOCKET: undefined, ...env },
      stdin: 'ignore',
      all: true,
      reject: false,
      forceKillAfterDelay: 5000,
    });
    const service: Service = {
      name: file,
      exit: subprocess.then(({ exitCode, all }) => ({ exitCode, all })),
      end: async () => {
        subprocess.kill('SIGTERM');
        await subprocess;
      },
    };
    services.push(service);
    return service;
  };
  const stop = async () => {
    for (const service of services.toReversed()) await service.end();
    await rm(directory, { recursive: true, force: true });
  };

  try {
    const [postgresqlPort, rabbitmqPort, distributionPort, epmdPort, memcachedPort] = await Promise.all([
      freePort(),
      freePort(),
      freePort(),
      freePort(),
      freePort(),
    ]);
    // Left to itself RabbitMQ starts epmd as a daemon, which nothing would end.
    const epmd = start(programs.epmd, ['-port', `${epmdPort}`, '-address', '127.0.0.1']);
    await untilListening(epmd, epmdPort);
    const rabbitmq = start(programs.rabbitmq, [], {
      ERL_EPMD_PORT: `${epmdPort}`,
      // Otherwise a shell stays in between, and does not pass signals on at once.
      RABBITMQ_ALLOW_INPUT: 'true',
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-noinput',
      RABBITMQ_CONF_ENV_FILE: '/dev/null',
      RABBITMQ_NODENAME: `goboot-${rabbitmqPort}@localhost`,
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_NODE_PORT: `${rabbitmqPort}`,
      RABBITMQ_DIST_PORT: `${distributionPort}`,
      RABBITMQ_MNESIA_BASE: directory,
      RABBITMQ_LOG_BASE: directory,
      RABBITMQ_GENERATED_CONFIG_DIR: directory,
      RABBITMQ_ENABLED_PLUGINS_FILE: join(directory, 'enabled_plugins'),
    });
    const memcached = start(programs.memcached, ['-l', '127.0.0.1', '-p', `${memcachedPort}`, '-U', '0']);

    const data = join(directory, 'postgresql');
    const initdb = start(programs.initdb, ['--username=tests', '--auth=trust', '--no-sync', data]);
    const { exitCode, all } = await initdb.exit;
    if (exitCode !== 0) throw new Error(`initdb failed: ${all}`);
    const postgresql = start(programs.postgres, [
      ...['-D', data, '-h', '127.0.0.1', '-p', `${postgresqlPort}`, '-k', directory],
      '-F',
    ]);
    await untilListening(postgresql, postgresqlPort);
    await untilListening(memcached, memcachedPort);
    await untilListening(rabbitmq, rabbitmqPort);
    return {
      variables: {
        DATABASE_URL: `postgresql://tests@127.0.0.1:${postgresqlPort}/postgres`,
        CELERY_BROKER_URL: `amqp://guest:guest@127.0.0.1:${rabbitmqPort}//`,
        MEMCACHED_LOCATION: `127.0.0.1:${memcachedPort}`,
      },
      ports: { postgresql: postgresqlPort, rabbitmq: rabbitmqPort, memcached: memcachedPort },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
