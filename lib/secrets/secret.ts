/**
 * What kind of secret it is: made by goboot, given by the project's owner for the application, a pair of keys of which
 * only one half is secret, or the password that opens the vaults.
 */
export type SecretKind = 'generated' | 'own' | 'key pair' | 'vault password';

/** Where a secret, or what belongs to it, is kept. */
export type SecretPlace =
  /** A variable in the vault of the environment. */
  | { kind: 'vault'; variable: string }
  /** On the host: a file, or a service that knows it. */
  | { kind: 'host'; where: string }
  /** A secret of the environment on GitHub, by the name that it has there. */
  | { kind: 'GitHub'; name: string }
  /** A file on the computer of whoever works with the project. */
  | { kind: 'computer'; path: string };

/** Something that only those may know who need it. This tells all about it but its value. */
export interface Secret {
  /** As it is typed: `secret-key`; of the owner's own secrets the name of the variable: `STRIPE_KEY`. */
  name: string;
  kind: SecretKind;
  /** What it is for, as one sentence. */
  purpose: string;
  places: readonly SecretPlace[];
  /** How it is rotated and why nothing breaks meanwhile, as one sentence. */
  rotation: string;
  /** Whether all environments of the project share it. */
  shared?: boolean;
}

/** A place in a few words. */
export function describePlace(place: SecretPlace): string {
  switch (place.kind) {
    case 'vault':
      return `vault (${place.variable})`;
    case 'host':
      return `host (${place.where})`;
    case 'GitHub':
      return `GitHub (${place.name})`;
    case 'computer':
      return `this computer (${place.path})`;
  }
}
