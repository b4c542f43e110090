import { Agent, request } from 'node:https';
import type { LookupFunction } from 'node:net';
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { GobootError } from '../errors.ts';

/** What a visitor gets. */
export interface LivePage {
  status: number;
  milliseconds: number;
  body: string;
  headers: Record<string, string | string[] | undefined>;
  certificate: {
    issuer: string;
    /** Whether a browser would accept it. */
    trusted: boolean;
    /** Why not, in OpenSSL's words. */
    reason?: string;
    selfSigned: boolean;
    validFrom: string;
    validUntil: string;
  };
}

export interface LiveOptions {
  domain: string;
  path?: string;
  /** Where to connect, whatever the DNS says of the domain; what the DNS says unless given. */
  address?: string;
  /** 443 unless given. */
  port?: number;
  /** Sent beside the usual ones. */
  headers?: Record<string, string>;
  /** PEM of certificate authorities to trust besides the usual ones. */
  authorities?: string;
}

const timeout = 15_000;

/**
 * Fetches a page over HTTPS as a visitor would. A certificate that is not trusted is reported, not refused.
 * Throws a GobootError when there is no answer.
 */
export function fetchLivePage({
  domain,
  path = '/',
  address,
  port = 443,
  headers = {},
  authorities,
}: LiveOptions): Promise<LivePage> {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const pinned: { lookup?: LookupFunction } =
      address && isIP(address)
        ? {
            lookup: (_name, options, callback) => {
              const family = isIP(address);
              if (options.all)
                (callback as unknown as (e: null, a: object[]) => void)(null, [{ address, family }]);
              else callback(null, address, family);
            },
          }
        : {};
    const outgoing = request(
      {
        host: address && !isIP(address) ? address : domain,
        port,
        servername: domain,
        path,
        headers: { host: domain, 'user-agent': 'goboot', ...headers },
        rejectUnauthorized: false,
        timeout,
        agent: new Agent({ keepAlive: false }),
        ...(authorities && { ca: authorities }),
        ...pinned,
      },
      (response) => {
        const socket = response.socket as TLSSocket;
        const certificate = socket.getPeerCertificate();
        const chunks: Buffer[] = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const name = (entity: typeof certificate.issuer | undefined) =>
            String(entity?.CN ?? entity?.O ?? 'unknown');
          const selfSigned = JSON.stringify(certificate.issuer) === JSON.stringify(certificate.subject);
          resolve({
            status: response.statusCode ?? 0,
            milliseconds: Math.round(performance.now() - started),
            body: Buffer.concat(chunks).toString('utf8'),
            headers: response.headers,
            certificate: {
              issuer: selfSigned ? 'itself' : name(certificate.issuer),
              trusted: socket.authorized,
              ...(socket.authorizationError && { reason: String(socket.authorizationError) }),
              selfSigned,
              validFrom: certificate.valid_from,
              validUntil: certificate.valid_to,
            },
          });
        });
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${timeout / 1000} s`)));
    outgoing.on('error', (error) =>
      reject(
        new GobootError(`https://${domain}${path} does not answer: ${error.message}`, {
          remedy: 'Check that ports 80 and 443 of the server can be reached from here.',
          cause: error,
        }),
      ),
    );
    outgoing.end();
  });
}
