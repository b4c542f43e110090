/** The systems that a rehearsal can boot, by the name that the user types. */
export const rehearsalSystems = {
  debian13: { title: 'Debian 13', suite: 'trixie' },
  debian12: { title: 'Debian 12', suite: 'bookworm' },
} as const;

export type RehearsalSystem = keyof typeof rehearsalSystems;

export const rehearsalSystemNames = Object.keys(rehearsalSystems) as RehearsalSystem[];
