import type { TemplateToken } from '@actions/workflow-parser/templates/tokens/template-token';
import { runOrThrow } from '../../../lib/process.ts';
import { postgresqlProgram, startServices } from '../services.ts';
import { evaluate, evaluateText, evaluateTexts, type Scope } from './expressions.ts';
import { entries, fields, items, UnsupportedError } from './files.ts';

/** Programs of this computer that stand in for the containers of `services:`. */
export interface ServicePrograms {
  /** Starts what an image would be, and returns where it listens, by the port that the image listens on. */
  start(image: string, env: Readonly<Record<string, string>>): Promise<Record<number, number>>;
}

export interface StartedServices {
  /** The context `job.services`. */
  context: Record<string, { ports: Record<string, string> }>;
  /** A variable of the environment with the addresses that the services have here. */
  translate(value: string): string;
}

/** Starts the services of a job. Health checks are not run: the programs are waited for. */
export async function startJobServices(
  token: TemplateToken | undefined,
  scope: Scope,
  programs: ServicePrograms | undefined,
): Promise<StartedServices> {
  const context: StartedServices['context'] = {};
  const moved = new Map<string, number>();
  for (const [name, service] of entries(token, 'services')) {
    if (!programs) throw new UnsupportedError('a job has services, and there are no programs for them');
    const found = fields(service, `the service ${name}`, ['image', 'env', 'ports', 'options']);
    const image = evaluateText(found.image, scope) ?? '';
    const started = await programs.start(image, evaluateTexts(found.env, scope));
    const ports: Record<string, string> = {};
    for (const port of items(found.ports, `the ports of ${name}`)) {
      const [outside = '', inside = outside] = String(evaluate(port, scope)).split(':');
      const actual = started[Number(inside)];
      if (actual === undefined) throw new UnsupportedError(`${image} does not listen on ${inside} here`);
      ports[inside] = String(actual);
      moved.set(outside, actual);
    }
    context[name] = { ports };
  }
  return {
    context,
    translate: (value) =>
      value.replaceAll(/\b(127\.0\.0\.1|localhost):(\d+)\b/g, (address, host, port) =>
        moved.has(port) ? `${host}:${moved.get(port)}` : address,
      ),
  };
}

/**
 * PostgreSQL, RabbitMQ and memcached of this computer, on free ports. Each job gets an empty database of its own name;
 * the processes are shared.
 */
export async function localServicePrograms(): Promise<ServicePrograms & { stop(): Promise<void> }> {
  const services = await startServices();
  const { postgresql, rabbitmq, memcached } = services.ports;
  const administer = async (program: string, args: string[]) => {
    const connection = ['--host=127.0.0.1', `--port=${postgresql}`, '--username=tests'];
    await runOrThrow(postgresqlProgram(program), [...connection, ...args], { failure: `${program} failed` });
  };
  return {
    stop: services.stop,
    async start(image, env): Promise<Record<number, number>> {
      const name = image.split(':')[0];
      const accept = (...known: string[]) => {
        const unknown = Object.keys(env).find((variable) => !known.includes(variable));
        if (unknown) throw new UnsupportedError(`the executor does not know ${unknown} of ${image}`);
      };
      switch (name) {
        case 'postgres': {
          accept('POSTGRES_USER', 'POSTGRES_DB', 'POSTGRES_HOST_AUTH_METHOD');
          const { POSTGRES_USER: user = 'postgres', POSTGRES_DB: database = user } = env;
          for (const old of [database, `test_${database}`])
            await administer('dropdb', ['--if-exists', '--force', old]);
          await administer('psql', [
            '--quiet',
            '--dbname=postgres',
            '--command',
            `drop role if exists "${user}"`,
          ]);
          await administer('createuser', ['--superuser', user]);
          await administer('createdb', [`--owner=${user}`, database]);
          return { 5432: postgresql };
        }
        case 'rabbitmq':
          accept();
          return { 5672: rabbitmq };
        case 'memcached':
          accept();
          return { 11211: memcached };
        default:
          throw new UnsupportedError(`the executor has no program for the image ${image}`);
      }
    },
  };
}
