import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { layerPath } from '../paths.ts';

/** The certificate authority of an environment, as far as the checks of the domain need to know it. */
export interface CertificateAuthority {
  /** The address of its ACME directory; empty when the site is to keep a self-signed certificate. */
  directoryUrl: string;
  /** Its name in CAA records; undefined for one that does not serve the public. */
  caaName: string | undefined;
}

/** Public authorities, by the host name of their ACME directory, with the name that CAA records know them by. */
const publicAuthorities: ReadonlyMap<string, string> = new Map([
  ['acme-v02.api.letsencrypt.org', 'letsencrypt.org'],
  ['acme-staging-v02.api.letsencrypt.org', 'letsencrypt.org'],
  ['acme.zerossl.com', 'sectigo.com'],
  ['dv.acme-v02.api.pki.goog', 'pki.goog'],
]);

const variablesPath = join('group_vars', 'all', 'main.yml');

/** The authority that an environment's inventory names; of a project that is not rendered yet, the one that it gets. */
export async function readCertificateAuthority(
  projectRoot: string,
  environment: string,
): Promise<CertificateAuthority> {
  const rendered = join(projectRoot, '.ansible', 'inventory', environment, variablesPath);
  const text = await readFile(rendered, 'utf8').catch(() =>
    readFile(join(layerPath('environment'), `${variablesPath}.ejs`), 'utf8'),
  );
  // One line of a file that may still hold placeholders of the template.
  const line = /^acme_directory_url: *(.*?) *(?:#.*)?$/m.exec(text)?.[1] ?? '';
  const directoryUrl = line.replace(/^(["'])(.*)\1$/, '$2');
  return { directoryUrl, caaName: publicAuthorities.get(hostOf(directoryUrl)) };
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : '';
}

/** Top-level and second-level names that RFC 2606 and RFC 6761 keep for examples and tests, and those of private networks. */
const specialNames = [
  ...['test', 'example', 'invalid', 'localhost', 'local', 'internal', 'home.arpa', 'onion'],
  ...['example.com', 'example.net', 'example.org'],
];

/** Whether no public authority can issue a certificate for the domain, wherever it points. */
export function isSpecialName(domain: string): boolean {
  return specialNames.some((name) => domain === name || domain.endsWith(`.${name}`));
}
