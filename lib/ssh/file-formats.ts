/** What a text is that is meant to be a private SSH key. */
export type KeyKind =
  | 'openssh'
  /** PKCS #1, SEC 1 or PKCS #8, which ssh reads as well. */
  | 'pem'
  | 'public'
  /** PuTTY's own format, .ppk. */
  | 'putty'
  /** ssh.com's format of a public key (RFC 4716). */
  | 'rfc4716'
  | 'unknown';

/** Tells by the first line what a key file holds. */
export function keyKind(text: string): KeyKind {
  const first = text.replace(/^\uFEFF/, '').trimStart();
  if (first.startsWith('PuTTY-User-Key-File-')) return 'putty';
  if (first.startsWith('---- BEGIN SSH2 PUBLIC KEY')) return 'rfc4716';
  if (/^(ssh-|ecdsa-|sk-)/.test(first)) return 'public';
  if (first.startsWith('-----BEGIN OPENSSH PRIVATE KEY-----')) return 'openssh';
  return /^-----BEGIN ([A-Z]+ )?PRIVATE KEY-----/.test(first) ? 'pem' : 'unknown';
}

/** How a key in PuTTY's format becomes one that ssh reads. */
export function puttyRemedy(path: string): string {
  return `Convert it: puttygen ${path} -O private-openssh -o ${path.replace(/\.ppk$/i, '')}.openssh (in PuTTYgen: Conversions, Export OpenSSH key), and give that.`;
}

/** The first line of a known_hosts text that is none, as sshd(8) describes them; undefined when all are well. */
export function wrongKnownHostsLine(text: string): string | undefined {
  return text
    .split('\n')
    .filter((line) => line.trim() && !line.startsWith('#'))
    .find(
      (line) =>
        !/^(@(revoked|cert-authority)\s+)?\S+\s+(ssh|ecdsa|sk)-\S+\s+[A-Za-z0-9+/]+=*(\s|$)/.test(line),
    );
}
