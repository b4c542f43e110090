import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { fetchLivePage } from '../../lib/deploy/live.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** An HTTPS server with a self-signed certificate for shop.example.com, on a port of its own. */
async function httpsServer(): Promise<{ port: number; certificate: string }> {
  const directory = temporaryDirectory();
  const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'certificate.pem')];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '1',
      '-subj',
      '/CN=shop.example.com',
      '-addext',
      'subjectAltName=DNS:shop.example.com',
      '-keyout',
      key,
      '-out',
      certificate,
    ],
    { stdio: 'ignore' },
  );
  const server: Server = createServer(
    { key: readFileSync(key), cert: readFileSync(certificate) },
    (request, response) => {
      response.end(JSON.stringify({ host: request.headers.host, path: request.url }));
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, certificate: readFileSync(certificate, 'utf8') };
}

test('a page is fetched from the given address under the name of the site', async () => {
  const { port } = await httpsServer();
  const page = await fetchLivePage({
    domain: 'shop.example.com',
    address: '127.0.0.1',
    port,
    path: '/health/',
  });
  expect(page.status).toBe(200);
  expect(JSON.parse(page.body)).toEqual({ host: 'shop.example.com', path: '/health/' });
});

test('a self-signed certificate is reported as one', async () => {
  const { port } = await httpsServer();
  const { certificate } = await fetchLivePage({ domain: 'shop.example.com', address: '127.0.0.1', port });
  expect(certificate).toMatchObject({
    selfSigned: true,
    trusted: false,
    issuer: 'itself',
    reason: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  });
});

test('a certificate of a given authority is trusted', async () => {
  const { port, certificate } = await httpsServer();
  const page = await fetchLivePage({
    domain: 'shop.example.com',
    address: '127.0.0.1',
    port,
    authorities: certificate,
  });
  expect(page.certificate.trusted).toBe(true);
});

test('a site that does not answer is named', async () => {
  await expect(
    fetchLivePage({ domain: 'shop.example.com', address: '127.0.0.1', port: 1 }),
  ).rejects.toMatchObject({
    code: 1,
    message: expect.stringContaining('https://shop.example.com/ does not answer'),
  });
});
