"""The database of a site: dumps, migrations, and going back with the data. PostgreSQL is real here."""

import json
import os
import signal
import subprocess
import sys
import time
import unittest

from release import commands, databases, differences, dumps
from release.errors import ReleaseError
from release.postgresql import tables
from release.steps import RESTORE, database, restoring, switching

from .cluster import cluster
from .host import SITE, Host

ITEMS = ["shop.0001", True, ["create table item (id int primary key, name text)"]]
PRICES = ["shop.0002", True, ["alter table item add price int", "create table price (id int)"]]


class DataTest(unittest.TestCase):
    def setUp(self):
        self.cluster = cluster()
        self.host = Host(database=self.cluster, keep_releases=3)
        self.enterContext(self.host)
        self.site = self.host.site
        self.migrations = []

    def sql(self, text, name=SITE):
        return self.cluster.sql(text, name, role=SITE if name == SITE else "postgres")

    def try_deploy(self, *migrations, files=None, **request):
        """Deploys a new commit that adds migrations."""
        known = [name for name, _, _ in self.migrations]
        pending = [each for each in migrations if each[0] not in known]
        answer = {
            "pending": [name for name, _, _ in pending],
            "not_atomic": [name for name, atomic, _ in pending if not atomic],
        }
        archive, commit = self.host.commit(
            {
                "migrations.json": json.dumps([*self.migrations, *pending]),
                "examine.json": json.dumps(answer),
                **(files or {}),
            }
        )
        status, events = self.host.run("deploy", archive=archive, commit=commit, **request)
        if status == 0:
            self.migrations += pending
        # Releases are named by the second.
        return status, events

    def deploy(self, *migrations, **options):
        """The same; it must succeed. Returns the release."""
        status, events = self.try_deploy(*migrations, **options)
        self.assertEqual(status, 0, events)
        return events[-1]["release"]

    def messages(self):
        return self.host.output.getvalue()


class DumpTest(DataTest):
    def setUp(self):
        super().setUp()
        self.cluster.sql(
            """
            create table item as select number, md5(number::text) from generate_series(1, 3000) number;
            create table "odd name" (id int);
            create schema other; create table other.item (id int);
            create unlogged table unlogged (id int);
            """,
            SITE,
            role=SITE,
        )
        self.path = self.site.backups / "before-x.dump"
        self.site.backups.mkdir(parents=True)

    def test_a_complete_dump_is_kept(self):
        dumps.dump(self.site, self.path)
        self.assertEqual([path.name for path in self.site.backups.iterdir()], ["before-x.dump"])
        self.assertEqual(
            sorted(tables(self.site, SITE).values()),
            ["other.item", 'public."odd name"', "public.item", "public.unlogged"],
        )

    def test_a_dump_that_is_cut_off_is_found(self):
        dumps.dump(self.site, self.path)
        whole, expected = self.path.read_bytes(), tables(self.site, SITE)
        for missing in (1, 3, 5, 20, 100, 5000, len(whole) - 3, len(whole)):
            with self.subTest(missing):
                self.path.write_bytes(whole[: len(whole) - missing])
                with self.assertRaisesRegex(ReleaseError, "cannot be read back"):
                    dumps.verify(self.path, expected, 0)

    def test_a_dump_with_a_broken_block_is_found(self):
        dumps.dump(self.site, self.path)
        damaged = bytearray(self.path.read_bytes())
        damaged[-3000:-2900] = bytes(100)
        self.path.write_bytes(damaged)
        with self.assertRaisesRegex(ReleaseError, "cannot be read back"):
            dumps.verify(self.path, tables(self.site, SITE), 0)

    def test_a_dump_without_a_table_is_found(self):
        dumps.write_dump(self.site, self.path, '--exclude-table-data=public."odd name"')
        with self.assertRaisesRegex(ReleaseError, r'lacks the rows of 1 table: public."odd name"'):
            dumps.verify(self.path, tables(self.site, SITE), 0)

    def test_a_dump_smaller_than_the_schema_is_found(self):
        self.cluster.sql('drop table item, "odd name", unlogged; drop schema other cascade', SITE, role=SITE)
        dumps.write_dump(self.site, self.path)
        self.cluster.sql("create view many as select 1 as one", SITE, role=SITE)
        with self.assertRaisesRegex(ReleaseError, "less than its tables without any row"):
            dumps.verify(self.path, {}, dumps.size_of_schema(self.site, self.path.with_suffix(".schema")))

    def test_a_dump_that_fails_leaves_nothing(self):
        self.cluster.sql("create table secret (id int)", SITE)
        with self.assertRaisesRegex(ReleaseError, "cannot be dumped: .*permission denied"):
            dumps.dump(self.site, self.path)
        self.assertEqual(list(self.site.backups.iterdir()), [])


class MigrationTest(DataTest):
    def test_the_release_knows_its_migrations_and_their_dump(self):
        self.deploy(ITEMS)
        name = self.deploy(PRICES)
        live = self.site.live()
        (_, second) = dumps.dumps(self.site)
        self.assertEqual(second.name, f"before-{name}.dump")
        self.assertEqual((live.migrations, live.dump), (["shop.0002"], str(second)))
        self.assertEqual(live.dump_size, second.stat().st_size)
        commands.show_list(self.site, self.host_reporter())
        self.assertIn(str(second), self.messages())

    def host_reporter(self):
        from release.reporting import Reporter

        return Reporter(self.host.output, as_json=False)

    def test_dumps_go_with_their_releases(self):
        self.deploy(ITEMS)
        names = [self.deploy([f"shop.{n:04}", True, []]) for n in range(2, 7)]
        self.assertEqual([dumps.release_of_dump(path) for path in dumps.dumps(self.site)], names[-3:])
        self.assertEqual([release.id for release in self.site.kept_releases()], names[:1:-1])

    def test_a_lock_that_is_not_to_be_had_is_explained(self):
        self.enterContext(
            changed(database, LOCK_TIMEOUT="700ms", MIGRATION_ATTEMPTS=2, MIGRATION_PAUSE_SECONDS=0)
        )
        live = self.deploy(ITEMS)
        holder = self.cluster.session(
            SITE,
            "set application_name to 'report'",
            "begin",
            "insert into item values (1, 'Ada''s password')",
        )
        self.addCleanup(close, holder)
        status, events = self.try_deploy(PRICES)
        self.assertEqual((status, self.host.answers()), (1, live))
        message = events[-1]["message"]
        pid = self.cluster.sql("select pid from pg_stat_activity where application_name = 'report'")
        self.assertRegex(
            message,
            r"the migration shop.0002 did not get its lock in 2 attempts of 700ms: "
            rf"it needs AccessExclusiveLock on item, and process {pid} \(user postgres, application report\) "
            r"has held a lock on that for up to \d+ s: "
            r"it is idle in transaction since [\d:]+ UTC\. Let it end, or end it with: .*terminate.*"
            r"the database is as it was",
        )
        self.assertNotIn("Ada", self.messages())
        self.assertEqual(len(dumps.dumps(self.site)), 1, "that of the first release")

    def test_a_busy_holder_is_named_without_its_values(self):
        self.enterContext(changed(database, LOCK_TIMEOUT="700ms", MIGRATION_ATTEMPTS=1))
        self.deploy(ITEMS)
        holder = subprocess.Popen(
            ["psql", "-XqAt", f"--username={SITE}", f"--dbname={SITE}", "--command",
             "begin; select pg_sleep(5), 'Ada''s password' from (select count(*) from item) counted"],
            stdout=subprocess.DEVNULL, env={**os.environ, "PGAPPNAME": "worker"},
        )  # fmt: skip
        self.addCleanup(close, holder)
        time.sleep(0.3)
        _, events = self.try_deploy(PRICES)
        self.assertRegex(events[-1]["message"], "application worker.* it is busy with (BEGIN|SELECT) on item")
        self.assertNotIn("Ada", self.messages())

    def test_a_migration_that_fails_half_way_leaves_the_old_release(self):
        live = self.deploy(ITEMS)
        self.sql("insert into item values (1, 'a')")
        broken = ["alter table item add half int", "alter table nonsense add x int"]
        for atomic, columns, dump, message in (
            (True, "0", 0, "the database is as it was"),
            (False, "1", 1, "part of it may have stayed in the database; the dump from before is"),
        ):
            with self.subTest(atomic=atomic):
                status, events = self.try_deploy(["shop.0002", atomic, broken])
                self.assertEqual((status, self.host.answers()), (1, live))
                self.assertIn("the migration shop.0002 failed", events[-1]["message"])
                self.assertIn(message, events[-1]["message"])
                self.assertIn(f"{live} stays live", events[-1]["message"])
                found = self.sql("select count(*) from information_schema.columns where column_name = 'half'")
                self.assertEqual(found, columns)
                self.assertEqual(len(dumps.dumps(self.site)) - 1, dump)

    def test_incompatible_migrations_are_refused_and_allowed(self):
        live = self.deploy(ITEMS)
        finding = {
            "migration": "shop.0002", "operation": "RemoveField", "target": "item.name",
            "reason": "removes the column", "remedy": "remove it later",
        }  # fmt: skip
        for request, status in (({}, 2), ({"allow_incompatible_migrations": True}, 0)):
            judged = {"pending": ["shop.0002"], "judgement": {"stops": [finding], "warnings": [finding]}}
            result, events = self.try_deploy(PRICES, files={"examine.json": json.dumps(judged)}, **request)
            self.assertEqual(result, status, events)
            warnings = [event for event in events if event["event"] == "warning"]
            self.assertEqual(len(warnings), 1 if status else 2)
            if status:
                self.assertEqual(events[-1]["status"], "confirmation-needed")
                self.assertIn("shop.0002, RemoveField item.name: removes the column", events[-1]["message"])
                self.assertIn("--allow-incompatible-migrations", events[-1]["message"])
                self.assertEqual(self.host.answers(), live)
        self.assertNotEqual(self.host.answers(), live)


class RestoreTest(DataTest):
    def setUp(self):
        super().setUp()
        self.first = self.deploy(ITEMS)
        self.sql("insert into item values (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four')")
        self.second = self.deploy(PRICES)
        self.third = self.deploy()
        self.sql(
            "update item set name = 'TWO' where id = 2; delete from item where id = 3; "
            "insert into item values (5, 'five'), (6, 'six'); insert into price values (1)"
        )

    def rollback(self, **request):
        return self.host.run("rollback", **{"with_db": True, "release": self.first, **request})

    def items(self, name=SITE):
        return self.sql("select string_agg(id || name, ' ' order by id) from item", name)

    def unchanged(self):
        """Checks that nothing has changed."""
        self.assertEqual(self.items(), "1one 2TWO 4four 5five 6six")
        self.assertEqual(self.cluster.databases(), ["postgres", SITE])
        self.assertEqual(self.host.answers(), self.third)
        needed = {self.site.beat, self.site.web(self.third), self.site.worker(self.third)}
        self.assertEqual({unit for unit in self.host.units() if unit != self.host.warm()}, needed)
        self.assertFalse(restoring.mark(self.site).exists())

    def test_says_what_would_be_lost(self):
        status, events = self.rollback()
        self.assertEqual((status, events[-1]["status"]), (2, "confirmation-needed"), events)
        found = {
            e["table"]: (e["lost"], e["returning"], e["only"]) for e in events if e["event"] == "difference"
        }
        self.assertEqual(
            found,
            {
                "public.item": (3, 2, ""),
                "public.price": (1, 0, "now"),
                "public.django_migrations": (1, 0, ""),
            },
        )
        self.assertIn(
            "5 rows of now would be lost and 2 rows of then would come back, in 3 tables",
            events[-1]["message"],
        )
        self.assertNotIn("five", self.messages())
        self.unchanged()

    def test_goes_back_with_the_data(self):
        self.cluster.sql(f'alter database "{SITE}" set search_path to public, other')
        self.cluster.sql(f"alter database \"{SITE}\" set statement_timeout to '1min'")
        look = (
            "select pg_encoding_to_char(encoding), datcollate, datctype, pg_get_userbyid(datdba), datacl "
            "from pg_database where datname ="
        )
        before = self.cluster.sql(f"{look} '{SITE}'")
        status, events = self.rollback(accept_loss=True)
        self.assertEqual(
            (status, events[-1]["status"], self.host.answers()), (0, "rolled-back", self.first), events
        )
        self.assertEqual(self.items(), "1one 2two 3three 4four")
        (replaced,) = [name for name in self.cluster.databases() if "_replaced_" in name]
        self.assertEqual(self.items(replaced), "1one 2TWO 4four 5five 6six")
        self.assertRegex(
            events[-1]["message"], rf"outage for \d+\.\d s; .*psql {replaced}.*dropdb {replaced}"
        )
        self.assertEqual(self.cluster.sql(f"{look} '{SITE}'"), before)
        self.assertEqual(self.sql("show search_path; show statement_timeout"), "public, other\n1min")
        self.assertEqual(
            self.host.units(), [self.site.beat, self.site.web(self.first), self.site.worker(self.first)]
        )
        self.assertEqual(
            [path.name for path in self.site.backups.glob("restored-*")], [f"restored-{self.second}.dump"]
        )
        # What followed is undone: its code could not live with this database.
        status, events = self.host.run("rollback", release=self.second)
        self.assertEqual(status, 2)

    def test_a_second_time_uses_the_newer_dump(self):
        self.rollback(accept_loss=True)
        (replaced,) = [name for name in self.cluster.databases() if "_replaced_" in name]
        self.migrations = [ITEMS]
        self.sql("insert into item values (7, 'seven')")
        self.deploy(PRICES)
        time.sleep(1)
        status, events = self.rollback(accept_loss=True)
        self.assertEqual((status, self.items()), (0, "1one 2two 3three 4four 7seven"), events)
        left = [name for name in self.cluster.databases() if "_replaced_" in name]
        self.assertEqual(len(left), 1)
        self.assertNotEqual(left, [replaced])

    def test_refused_without_a_need(self):
        for request, message in (
            ({"release": self.second}, "needs no restoring: use rollback without --with-db"),
            ({"with_db": False, "accept_loss": True}, "--accept-loss says nothing without --with-db"),
        ):
            status, events = self.rollback(**request)
            self.assertEqual(status, 2)
            self.assertIn(message, events[-1]["message"])
        self.unchanged()

    def test_a_dump_that_is_gone_or_broken(self):
        dump = self.site.backups / f"before-{self.second}.dump"
        dump.write_bytes(dump.read_bytes()[:-5])
        status, events = self.rollback(accept_loss=True)
        self.assertEqual(status, 1)
        self.assertIn("cannot be restored", events[-1]["message"])
        self.unchanged()
        dump.unlink()
        self.assertIn("needs no restoring", self.rollback()[1][-1]["message"])

    def test_failures_leave_all_as_it_was(self):
        self.enterContext(changed(switching, LIVE_SECONDS=0.2))
        for step in ("compare", "start", "close", "swap", "probe", "switch", "live", "worker", "beat"):
            with self.subTest(step), changed(commands, RESTORE=steps_with(step, fail)):
                status, events = self.rollback(accept_loss=True)
                self.assertEqual(status, 1, events)
                self.assertIn("as planned", events[-1]["message"])
                self.unchanged()

    def test_a_database_in_use_is_swapped_all_the_same(self):
        holder = self.cluster.session(SITE, "begin", "select * from item")
        self.addCleanup(close, holder)
        self.assertEqual(self.rollback(accept_loss=True)[0], 0)

    def test_a_name_that_is_taken_leaves_all_as_it_was(self):
        taken = databases.replaced_name(self.site)
        self.enterContext(
            changed(databases, replaced_name=lambda site: taken, TERMINATE=f'create database "{taken}";')
        )
        status, events = self.rollback(accept_loss=True)
        self.assertEqual(status, 1, events)
        self.assertEqual(self.items(), "1one 2TWO 4four 5five 6six")

    def test_killed_anywhere(self):
        names = [step.name for step in RESTORE]
        for step in names[names.index("restore") :]:
            with self.subTest(step):
                self.check_killed(step)

    def killed_at(self, step, target):
        """Lets a rollback kill itself at a step, and returns how its process has ended."""
        child = os.fork()
        if child == 0:
            commands.RESTORE = steps_with(step, lambda: os.kill(os.getpid(), signal.SIGKILL))
            _, events = self.rollback(accept_loss=True, release=target)
            print(f"not killed at {step}:", events[-1], file=sys.stderr, flush=True)
            os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def check_killed(self, step):
        live = self.host.answers()
        before = self.items()
        target = self.site.kept_releases()[-1].id
        # One that fails before it comes to the step, on a busy computer, has changed nothing: it tries again.
        if self.killed_at(step, target) != -signal.SIGKILL:
            self.assertEqual(self.killed_at(step, target), -signal.SIGKILL)
        current = self.site.live().id
        (self.site.backups / "before-x.tmp").touch()
        archive, commit = self.host.commit({"broken-import": ""})
        # Fails late, so that only what tidy did is left.
        status, events = self.host.run("deploy", archive=archive, commit=commit)
        self.assertEqual(status, 1, events)
        self.assertEqual(self.host.answers(), current)
        self.assertEqual(
            self.host.units(), [self.site.beat, self.site.web(current), self.site.worker(current)]
        )
        self.assertNotIn(databases.scratch_name(self.site), self.cluster.databases())
        self.assertEqual([path.name for path in self.site.backups.iterdir() if path.suffix != ".dump"], [])
        if current == live:
            self.assertEqual(self.items(), before)
            return
        self.assertEqual(self.items(), "1one 2two 3three 4four")
        # Forward again, for the next step.
        self.migrations = [ITEMS]
        self.second = self.deploy(PRICES)


class DifferenceTest(unittest.TestCase):
    def test_streams_are_merged(self):
        for left, right, expected in (
            ([], [], (0, 0)),
            (["a"], [], (1, 0)),
            ([], ["a", "b"], (0, 2)),
            (["a", "a", "b"], ["a", "b", "c"], (1, 1)),
            (["f"], ["e"], (1, 1)),
        ):
            streams = [iter([*lines, differences.END]) for lines in (left, right)]
            self.assertEqual(differences.compare(*streams), expected)


def fail():
    raise ReleaseError("as planned")


def steps_with(name, action):
    """The steps of going back with the data, and an action after one of them."""

    def replaced(step):
        def run(transaction):
            try:
                return step.run(transaction)
            finally:
                # Also when it had nothing to do.
                action()

        return step._replace(run=run)

    return [replaced(step) if step.name == name else step for step in RESTORE]


class changed:  # noqa: N801  (reads as a statement)
    """Gives attributes other values for a while."""

    def __init__(self, target, **values):
        self.target, self.values = target, values

    def __enter__(self):
        self.before = {name: getattr(self.target, name) for name in self.values}
        for name, value in self.values.items():
            setattr(self.target, name, value)

    def __exit__(self, *exception):
        for name, value in self.before.items():
            setattr(self.target, name, value)


def close(process):
    """Ends a client."""
    process.kill()
    process.communicate()
