import { expect, test } from 'vitest';
import { acceptedFingerprints, withKey } from '../lib/accept-host-keys.ts';

const fingerprint = `SHA256:${'a'.repeat(43)}`;

test('fingerprints are read as ssh-keygen writes them', () => {
  expect(acceptedFingerprints(fingerprint)).toEqual([fingerprint]);
  expect(acceptedFingerprints(`${fingerprint}=, SHA256:${'b'.repeat(43)}`)).toEqual([
    fingerprint,
    `SHA256:${'b'.repeat(43)}`,
  ]);
});

test.each(['', 'SHA256:short', 'MD5:00:11', 'yes'])('%j is not the fingerprint of a host key', (text) => {
  expect(() => acceptedFingerprints(text)).toThrow(`"${text}" is not the fingerprint of a host key`);
});

test('a new key takes the place of all that the host had, and nothing else changes', () => {
  const text = '# ours\n192.0.2.1 ssh-ed25519 A\n192.0.2.10 ssh-ed25519 B\n192.0.2.1 ssh-rsa C\n';
  expect(withKey(text, '192.0.2.1', '192.0.2.1 ssh-ed25519 D')).toBe(
    '# ours\n192.0.2.1 ssh-ed25519 D\n192.0.2.10 ssh-ed25519 B\n',
  );
});
