import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageIndexSettings, parsePipConfiguration } from '../../lib/rehearsal/package-index.ts';

describe('packageIndexSettings', () => {
  let directory: string;
  let bundle: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'package-index-'));
    bundle = join(directory, 'bundle.pem');
    writeFileSync(bundle, '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n');
  });

  afterAll(() => rmSync(directory, { recursive: true }));

  it('takes the index of uv before that of pip', async () => {
    const settings = await packageIndexSettings({
      PIP_INDEX_URL: 'https://pip.example/simple',
      UV_DEFAULT_INDEX: 'company=https://uv.example/simple',
    });
    expect(settings.python_package_index_url).toBe('https://uv.example/simple');
  });

  it('takes the first variable that names a certificate file', async () => {
    const notPem = join(directory, 'empty');
    writeFileSync(notPem, '');
    const settings = await packageIndexSettings({
      SSL_CERT_FILE: join(directory, 'missing.pem'),
      PIP_CERT: notPem,
      REQUESTS_CA_BUNDLE: bundle,
    });
    expect(settings.certificate_authority_bundle).toBe(bundle);
  });
});

describe('parsePipConfiguration', () => {
  it('reads the sections that concern an installation', () => {
    const output = [
      "global.index-url='https://pip.example/simple'",
      "install.cert='/etc/pem file'",
      "search.index='https://other.example'",
      ":env:.cert='/x'",
    ].join('\n');
    expect(Object.fromEntries(parsePipConfiguration(output))).toEqual({
      'index-url': 'https://pip.example/simple',
      cert: '/etc/pem file',
    });
  });
});
