import { readFileSync } from 'node:fs';
import { run } from '../process.ts';

/** How this computer reaches Python packages, in the names of the playbooks' variables; '' means the default. */
export interface PackageIndexSettings {
  python_package_index_url: string;
  /** Path of a PEM file on this computer. */
  certificate_authority_bundle: string;
}

const indexVariables = ['UV_DEFAULT_INDEX', 'UV_INDEX_URL', 'PIP_INDEX_URL'];
const bundleVariables = ['SSL_CERT_FILE', 'PIP_CERT', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'];

function isCertificateBundle(file: string): boolean {
  try {
    return readFileSync(file, 'utf8').includes('-----BEGIN CERTIFICATE-----');
  } catch {
    return false;
  }
}

/**
 * The package index and the certificate authorities that this computer is set up to use, so that a throwaway
 * host behind the same proxy or mirror can use them too. Environment variables win over pip's configuration.
 * Settings that name no readable certificate file are left out.
 */
export async function packageIndexSettings(
  environment: NodeJS.ProcessEnv = process.env,
): Promise<PackageIndexSettings> {
  const first = (names: string[], accept: (value: string) => boolean): string =>
    names.map((name) => environment[name] ?? '').find((value) => value !== '' && accept(value)) ?? '';
  const index = first(indexVariables, () => true);
  const bundle = first(bundleVariables, isCertificateBundle);
  // Asking pip takes half a second.
  const pip = index && bundle ? new Map<string, string>() : await pipConfiguration();
  const configured = pip.get('cert') ?? '';
  return {
    // uv accepts `name=URL`; the playbooks take the plain URL.
    python_package_index_url: (index || (pip.get('index-url') ?? '')).replace(/^[\w.-]+=(?=https?:)/, ''),
    certificate_authority_bundle: bundle || (isCertificateBundle(configured) ? configured : ''),
  };
}

async function pipConfiguration(): Promise<Map<string, string>> {
  for (const command of [['pip'], ['pip3'], ['python3', '-m', 'pip']]) {
    const [file = '', ...args] = command;
    const result = await run(file, [...args, 'config', 'list'], { timeout: 10_000 }).catch(() => undefined);
    if (result?.exitCode === 0) return parsePipConfiguration(result.stdout);
  }
  return new Map();
}

/** Reads the output of `pip config list`; the `install` and `global` sections count. */
export function parsePipConfiguration(output: string): Map<string, string> {
  const settings = new Map<string, string>();
  for (const line of output.split('\n')) {
    const [, section, name, value] = /^(global|install)\.([\w-]+)='(.*)'$/.exec(line.trim()) ?? [];
    if (section && name && value !== undefined) settings.set(name, value);
  }
  return settings;
}
