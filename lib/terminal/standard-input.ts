import { GobootError } from '../errors.ts';

/** More than any value may have. */
const mostBytes = 1024 * 1024;

/** Reads standard input to its end. Throws a GobootError when it is endless, or no text. */
export async function readStandardInput(): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of process.stdin) {
    parts.push(part);
    size += part.length;
    if (size > mostBytes) throw new GobootError(`Standard input has more than ${mostBytes} bytes`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts));
  } catch (cause) {
    throw new GobootError('What came on standard input is no text in UTF-8', {
      remedy: 'Encode it, for example with base64, and decode it in the settings.',
      cause,
    });
  }
}
