import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect } from 'vitest';
import { fault } from '../support/fault-results.ts';
import { type FaultSite, lastEvent, sharedSite } from '../support/fault-site.ts';

// A migration that does not get to its end.

const kind = 'migration fails';
/** More than all attempts to get a lock take together. */
const patienceSeconds = 120;

let site: FaultSite;
beforeAll(async () => {
  site = await sharedSite();
});

const breaks = 'migrations.RunSQL("select 1 / 0", migrations.RunSQL.noop)';

fault(kind, 'a migration that fails half-way leaves nothing of itself in the database', () => {
  let name = '';
  return site.survive(
    async () => {
      const run = await site.startYo(await site.allowingAnyMigration()).ended;
      expect(run.exitCode, run.output).toBe(1);
      expect(String(lastEvent(run)?.message)).toContain('division by zero');
      expect((await site.inspect()).applied).not.toContain(name);
    },
    {
      change: () => {
        name = site.addMigration(`${site.addColumn()},\n        ${breaks}`);
      },
      repair: () => site.removeMigration(name),
      staysOld: true,
    },
  );
});

fault(kind, 'a migration that is not atomic and fails half-way can be repaired by the next deploy', () => {
  let name = '';
  let column = '';
  return site.survive(
    async () => {
      const run = await site.startYo(await site.allowingAnyMigration()).ended;
      expect(run.exitCode, run.output).toBe(1);
      expect(String(lastEvent(run)?.message)).toContain('division by zero');
      const { applied, columns } = await site.inspect();
      expect(applied).not.toContain(name);
      expect(columns).toContain(column);
    },
    {
      change: () => {
        const operation = site.addColumn();
        column = /column_\d+/.exec(operation)?.[0] ?? '';
        name = site.addMigration(`${operation},\n        ${breaks}`, undefined, 'atomic = False');
      },
      // What a developer would do: the same migration, which copes with its own first half.
      repair: () => {
        site.change(
          `pages/migrations/${name}.py`,
          (text) =>
            `${text.slice(0, text.indexOf('    operations'))}    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.AddField("Fault", "${column}", models.IntegerField(null=True))],
        ),
    ]
`,
        );
      },
      staysOld: true,
      road: 'yo',
    },
  );
});

fault(kind, 'a migration that waits for a lock for too long gives up, and the site answers meanwhile', () =>
  site.survive(
    async () => {
      const giveLockBack = await site.lockTable();
      try {
        const deploy = site.startYo();
        const run = await Promise.race([deploy.ended, sleep(patienceSeconds * 1000)]);
        deploy.kill();
        expect(run?.exitCode, run?.output ?? `it still waits after ${patienceSeconds} s`).toBe(1);
        expect(run && String(lastEvent(run)?.message)).toMatch(/lock/);
      } finally {
        await giveLockBack();
      }
    },
    { migration: true, staysOld: true, road: 'yo' },
  ),
);
