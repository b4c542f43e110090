import { createInterface } from 'node:readline';
import { execa } from 'execa';
import type { GobootError } from '../../lib/errors.ts';
import type { Environment } from '../../lib/project.ts';
import type { SshConnection } from '../../lib/ssh/connection.ts';
import { sampleEnvironment } from './sample.ts';

/** A connection to this computer: the shell is a real one, the release command says what the test wants. */
export function contextWith(
  releaseCommand: string,
  connectionError?: GobootError,
): { connection: SshConnection; environment: Environment } {
  const stream: SshConnection['stream'] = async (command, { input, onLine, cancelSignal }) => {
    const subprocess = execa('sh', ['-c', `sudo() { shift 2; ${releaseCommand}; }\n${command}`], {
      ...(input ? { input } : { stdin: 'ignore' as const }),
      ...(cancelSignal && { cancelSignal }),
      buffer: { stdout: false },
      reject: false,
    });
    for await (const line of createInterface({ input: subprocess.stdout })) onLine(line);
    const { exitCode = 255, stderr } = await subprocess;
    return { exitCode, stderr, ...(connectionError && { connectionError }) };
  };
  return { connection: { stream } as SshConnection, environment: sampleEnvironment() };
}
