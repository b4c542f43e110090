import { beforeAll } from 'vitest';
import { fault } from '../support/fault-results.ts';
import { type FaultSite, sharedSite } from '../support/fault-site.ts';

const kind = 'two deploys at once';

let site: FaultSite;
beforeAll(async () => {
  site = await sharedSite();
});

fault(kind, 'of two deploys at once the second one says who holds the lock, and since when', () =>
  site.survive(() => site.deployTwice([], 'refused'), { migration: true, road: 'yo' }),
);

fault(kind, 'of two deploys at once the second one waits if it is told to', () =>
  site.survive(() => site.deployTwice(['--wait', '120'], 'waits'), { migration: true, road: 'yo' }),
);
