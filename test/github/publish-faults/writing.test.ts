import { test } from 'vitest';
import { examineFaults } from '../../support/publication-faults.ts';

test(
  'Whatever fails when a publication writes is told; the next run completes it, or an undo removes it',
  {
    timeout: 600_000,
  },
  () => examineFaults({ isChosen: ({ method }) => method !== 'GET', push: true }),
);
