"""Whole runs: deploy, rollback and restart, well and not."""

import json
import os
import time
import unittest

from release.commands import retire, transact
from release.hot_fixes import hot_fixes
from release.processes import stop_unit
from release.releases import Release
from release.reporting import Reporter
from release.steps import DEPLOY, HOT_FIXES, database, starting, switching
from release.transaction import Request

from .host import SECRET, SITE, Host


class DeployTest(unittest.TestCase):
    def setUp(self):
        self.host = Host(keep_releases=2)
        self.enterContext(self.host)
        self.site = self.host.site

    def deploy(self, files=None, static=None):
        """Deploys a new commit, which must succeed, and returns its release."""
        status, events = self.host.deploy(files, static)
        self.assertEqual((status, events[-1]["status"]), (0, "deployed"), events)
        time.sleep(0.01)
        return events[-1]["release"]

    def assert_fails(self, files, step, message):
        """Deploys a commit that must fail in a step, and checks that nothing has changed."""
        live, units, names = self.site.live(), self.host.units(), self.host.names()
        status, events = self.host.deploy(files)
        failed = [event for event in events if event.get("status") == "failed" and event["event"] == "step"]
        self.assertEqual((status, [event["name"] for event in failed]), (1, [step]), events)
        self.assertIn(message, events[-1]["message"])
        self.assertEqual(self.host.units(), units)
        self.assertEqual([name for name in self.host.names() if name not in names and step != "live"], [])
        if live:
            self.assertEqual(self.host.answers(), live.id)
            self.assertIn(f"{live.id} stays live", events[-1]["message"])
        return events

    def running(self, name, warm=None):
        """What runs when a release is live and another one is kept warm."""
        webs = [self.site.web(release) for release in (name, warm) if release]
        return sorted([self.site.beat, *webs, self.site.worker(name)])

    def test_first_deploy(self):
        name = self.deploy()
        self.assertEqual(self.host.answers(), name)
        self.assertEqual(self.host.units(), self.running(name))
        self.assertEqual(str(self.site.current.readlink()), f"releases/{name}")
        live = self.site.live()
        self.assertEqual((live.status, live.by, live.commit[:8]), ("good", "tester", name[-8:]))
        self.assertTrue((live.path / ".venv/bin/python").exists())

    def test_events_and_history(self):
        self.deploy()
        steps = [event for event in self.host.events() if event["event"] == "step"]
        self.assertEqual([step["name"] for step in steps], [step.name for step in (HOT_FIXES, *DEPLOY)])
        for step in steps:
            self.assertIn(step["status"], ("ok", "skipped"))
            self.assertGreaterEqual(step["seconds"], 0)
        (entry,) = self.host.history()
        self.assertEqual((entry["operation"], entry["by"], entry["status"]), ("deploy", "tester", "deployed"))
        self.assertEqual(len(entry["steps"]), len(DEPLOY) + 1)

    def test_second_deploy_takes_over(self):
        first, second = self.deploy(), self.deploy()
        self.assertEqual(self.host.answers(), second)
        self.assertEqual(self.host.units(), self.running(second, warm=first))

    def test_the_old_worker_takes_no_task_after_the_switch(self):
        first = self.deploy()
        self.deploy()
        steps = [event["name"] for event in self.host.events() if event["event"] == "step"]
        self.assertLess(steps.index("worker"), steps.index("hand over"))
        self.assertLess(steps.index("hand over"), steps.index("switch"))
        (handed,) = [event for event in self.host.events() if event.get("name") == "hand over"]
        self.assertEqual(handed["message"], self.site.worker(first))

    # What a release leaves running

    def test_the_one_before_stays_warm_until_the_next_deploy_or_the_timer(self):
        first, second = self.deploy(), self.deploy()
        self.assertIn(f"restart {self.site.retire_timer}", self.host.systemctl())
        third = self.deploy()
        self.assertEqual(self.host.units(), self.running(third, warm=second))
        self.assertEqual(retire(self.site), 0)
        self.assertEqual(self.host.units(), self.running(third))
        self.assertNotIn(self.site.web(first), self.host.units())

    def test_a_release_is_not_kept_warm_when_that_is_turned_off(self):
        with Host(keep_warm_seconds=0) as host:
            host.deploy()
            time.sleep(0.01)
            host.deploy()
            self.assertEqual(len([unit for unit in host.units() if "-web@" in unit]), 1)

    def test_a_warm_release_is_started_anew_when_the_settings_have_changed(self):
        first = self.deploy()
        self.deploy()
        with self.site.environment.open("a") as file:
            file.write('MORE="1"\n')
        self.assertEqual(self.host.run("rollback")[0], 0)
        self.assertIn(f"restart {self.site.web(first)}", self.host.systemctl())

    # Changes made on the server

    def test_a_hot_fix_stops_a_deploy_unless_told_otherwise(self):
        live = self.site.releases / self.deploy({"shop/views.py": "1", "old.py": ""})
        self.assertEqual(hot_fixes(Release.load(live)), [])
        (live / "shop/views.py").write_text("2")
        (live / "shop/__pycache__").mkdir(exist_ok=True)
        (live / "shop/__pycache__/views.pyc").write_text("")
        (live / "old.py").unlink()
        (live / "new.py").write_text("")
        self.assert_fails(
            {},
            "hot fixes",
            "the live release was changed on the server: "
            "new.py (added), old.py (removed), shop/views.py (changed)",
        )
        archive, commit = self.host.commit()
        status, _ = self.host.run("deploy", archive=archive, commit=commit, discard_hot_fix=True)
        self.assertEqual((status, self.host.answers()[-8:]), (0, commit[:8]))

    def test_a_hot_fix_in_the_same_commit_is_not_unchanged(self):
        archive, commit = self.host.commit()
        self.host.run("deploy", archive=archive, commit=commit)
        live = self.site.live()
        (live.path / "manage.py").write_text("changed")
        status, events = self.host.run("deploy", archive=archive, commit=commit)
        self.assertEqual((status, events[-1]["status"]), (1, "failed"))
        status, events = self.host.run("deploy", archive=archive, commit=commit, discard_hot_fix=True)
        self.assertEqual((status, events[-1]["status"]), (0, "deployed"))
        self.assertNotEqual(self.host.answers(), live.id)

    # Removing releases

    def test_a_release_that_is_needed_cannot_be_deleted(self):
        first, second = self.deploy(), self.deploy()
        for name, reason in ((second, "live"), (first, "what a rollback would go back to")):
            status, events = self.host.run("delete", release=name)
            self.assertEqual(
                (status, events[-1]["message"]), (2, f"{name} cannot be deleted: it is {reason}")
            )
        self.assertEqual(self.host.run("delete", release="nonsense")[0], 2)

    def test_a_release_that_nobody_needs_can_be_deleted(self):
        self.host = self.enterContext(Host(keep_releases=9))
        self.site = self.host.site
        first, second, third = self.deploy(), self.deploy(), self.deploy()
        retire(self.site)
        self.assertEqual(self.host.run("delete", release=first)[0], 0)
        self.assertEqual(self.host.names(), [second, third])

    def test_prune_leaves_so_many_and_what_is_needed(self):
        with Host(keep_releases=9) as host:
            for _ in range(5):
                host.deploy()
                time.sleep(0.01)
            names = host.names()
            self.assertEqual(len(names), 5)
            self.assertEqual(host.run("prune", keep=3)[0], 0)
            self.assertEqual(host.names(), names[2:])
            self.assertEqual(host.run("prune", keep=1)[0], 0)
            self.assertEqual(host.names(), names[3:], "live, and what a rollback would go back to")

    def test_environment_is_shared_by_its_lock_file(self):
        self.deploy()
        self.deploy()
        self.assertEqual(len(list(self.site.virtual_environments.iterdir())), 1)
        self.deploy({"uv.lock": "version = 2"})
        self.assertEqual(len(list(self.site.virtual_environments.iterdir())), 2)
        tool = next(self.site.virtual_environments.iterdir()) / "bin/gunicorn"
        self.assertEqual(tool.stat().st_mode & 0o7777, 0o755)

    def test_package_index(self):
        with Host(python_package_index_url="https://packages.example.com/simple") as host:
            self.assertEqual(host.deploy()[0], 0)
            self.assertIn("pip sync --require-hashes", (host.stand_in / "uv.log").read_text())

    def test_unchanged(self):
        archive, commit = self.host.commit()
        self.assertEqual(self.host.run("deploy", archive=archive, commit=commit)[0], 0)
        before = self.host.names()
        status, events = self.host.run("deploy", archive=archive, commit=commit)
        self.assertEqual((status, events[-1]["status"]), (0, "unchanged"))
        self.assertEqual(self.host.names(), before)

    def test_unchanged_but_not_well(self):
        archive, commit = self.host.commit()
        self.host.run("deploy", archive=archive, commit=commit)
        first = self.site.live().id
        stop_unit(self.site.web(first))
        status, events = self.host.run("deploy", archive=archive, commit=commit)
        self.assertEqual((status, events[-1]["status"]), (0, "deployed"))
        self.assertIn("is inactive", next(e for e in events if e["event"] == "warning")["message"])
        self.assertNotEqual(self.host.answers(), first)

    def test_other_commit_in_the_archive(self):
        archive, _ = self.host.commit()
        status, events = self.host.run("deploy", archive=archive, commit="f" * 40)
        self.assertEqual(status, 2)
        self.assertIn("the archive is of commit 00000001", events[-1]["message"])

    def test_failures_before_the_switch(self):
        self.deploy()
        health = {"status": "failed", "checks": {"cache": {"ok": False, "detail": "no cache"}}}
        starting.PROBE_SECONDS, before = 0.3, starting.PROBE_SECONDS
        self.addCleanup(setattr, starting, "PROBE_SECONDS", before)
        pending = json.dumps({"pending": ["shop.0002"]})
        for files, step, message in (
            (
                {"uv.lock": "other", "broken-lock": ""},
                "environment",
                "error: no such package: nonsense",
            ),
            (
                {"examine.json": '{"stage": "check --deploy", "errors": ["bad setting"]}'},
                "check",
                "bad setting",
            ),
            (
                {"examine.json": pending, "broken-migration": ""},
                "migrate",
                "ProgrammingError: relation does not exist (the database is as it was)",
            ),
            ({"broken-import": ""}, "check", "import: ModuleNotFoundError: No module named 'nonsense'"),
            ({"broken-start": ""}, "start", "does not start: RuntimeError: no start"),
            ({"health.json": '["500 Oh dear", {}]'}, "probe", "/health/deep/ answers 500 Oh dear"),
            ({"health.json": json.dumps(["503 No", health])}, "probe", "cache: no cache"),
            (
                {"health.json": '["200 OK", {"status": "ok", "release": "other"}]'},
                "probe",
                "release other",
            ),
            ({"health.json": '["200 OK", "nonsense"]'}, "probe", "answers 200 OK"),
            ({"silent-worker": ""}, "worker", "does not answer: no answer"),
        ):
            with self.subTest(message):
                self.assert_fails(files, step, message)

    def test_first_deploy_fails(self):
        self.assert_fails({"broken-import": ""}, "check", "ModuleNotFoundError")
        self.assertFalse(self.site.current.is_symlink())

    def test_failure_after_the_switch(self):
        switching.LIVE_SECONDS, before = 0.2, switching.LIVE_SECONDS
        self.addCleanup(setattr, switching, "LIVE_SECONDS", before)
        self.deploy()
        self.assert_fails(
            {"shallow.json": '["500 Oh dear", {}]'},
            "live",
            "after the switch: /health/ answers 500",
        )
        bad = self.site.kept_releases()[0]
        self.assertEqual(bad.status, "bad")
        status, events = self.host.run("rollback", release=bad.id)
        self.assertEqual(status, 2)
        self.assertIn("never was live and well", events[-1]["message"])

    def test_failure_after_the_first_switch(self):
        switching.LIVE_SECONDS, before = 0.2, switching.LIVE_SECONDS
        self.addCleanup(setattr, switching, "LIVE_SECONDS", before)
        self.assert_fails({"shallow.json": '["500 Oh dear", {}]'}, "live", "after the switch")
        self.assertFalse(self.site.current.is_symlink())

    def test_beat_that_does_not_start(self):
        first = self.deploy()
        (self.host.stand_in / "broken-beat").touch()
        status, events = self.host.deploy()
        self.assertEqual((status, self.host.answers()), (1, first))
        self.assertIn("beat", events[-1]["message"])

    def test_migration(self):
        self.deploy()
        pending = {"examine.json": json.dumps({"pending": ["shop.0002", "shop.0003"]})}
        name = self.deploy(pending)
        (dump,) = self.site.backups.iterdir()
        self.assertEqual((dump.name, dump.stat().st_mode & 0o777), (f"before-{name}.dump", 0o600))
        self.assertEqual(self.host.history()[-1]["dump"], str(dump))
        self.assertIn("lock_timeout", (self.host.stand_in / "migrate.log").read_text())

    def test_migration_that_waits_for_a_lock(self):
        database.MIGRATION_PAUSE_SECONDS, before = 0.01, database.MIGRATION_PAUSE_SECONDS
        self.addCleanup(setattr, database, "MIGRATION_PAUSE_SECONDS", before)
        self.deploy({"examine.json": json.dumps({"pending": ["shop.0002"]}), "lock-once": ""})
        self.assertEqual(len((self.host.stand_in / "migrate.log").read_text().splitlines()), 2)

    def test_dump_that_cannot_be_made_or_read(self):
        pending = {"examine.json": json.dumps({"pending": ["shop.0002"]})}
        self.deploy()
        for program, text, message in (
            ("psql", "echo 'psql: error: no server' >&2; exit 2", "the database does not answer"),
            (
                "pg_dump",
                "echo 'pg_dump: error: disk' >&2; exit 1",
                "cannot be dumped: pg_dump: error: disk",
            ),
            ("pg_dump", "printf ''", "cannot be read back"),
        ):
            with self.subTest(message):
                path = self.host.stand_in / "bin" / program
                good = path.read_text()
                self.host.program(program, f"#!/bin/sh\n{text}\n")
                self.assert_fails(pending, "backup", message)
                path.write_text(good)
                self.assertEqual(list(self.site.backups.iterdir()), [])

    def test_secret_is_not_told(self):
        self.host.deploy({"secret-in-output": ""})
        told = self.host.output.getvalue() + self.site.log.read_text()
        self.assertIn("cannot use [hidden]", told)
        for form in (SECRET, json.dumps(SECRET)[1:-1]):
            self.assertNotIn(form, told)

    def test_reader_that_is_gone(self):
        archive, commit = self.host.commit()
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "w") as output:
            reporter = Reporter(output, as_json=False)
            request = Request("deploy", "tester", commit=commit, archive=archive)
            self.assertEqual(transact(self.site, request, reporter), 0)
        self.assertEqual(self.host.answers(), self.site.live().id)

    def test_stale_provisioning(self):
        archive, commit = self.host.commit()
        self.site.provisioned.write_text("abc\n")
        for fingerprint, expected in (("abc", 0), ("def", 1)):
            _, events = self.host.run("deploy", archive=archive, commit=commit, provisioned=fingerprint)
            warnings = [event for event in events if event.get("name") == "provisioned"]
            self.assertEqual(len(warnings), expected)

    # Static files

    def test_static_files_of_two_releases(self):
        self.deploy(static={"site.css": "site.aaa.css"})
        self.deploy(static={"site.css": "site.bbb.css"})
        found = {path.name: path.read_text() for path in self.site.static.iterdir()}
        self.assertEqual(found, {"site.aaa.css": "1", "site.bbb.css": "2", "site.css": "2"})
        self.assertEqual(self.host.run("rollback")[0], 0)
        self.assertEqual((self.site.static / "site.css").read_text(), "1")

    def test_plain_static_files_of_a_release_that_fails(self):
        self.deploy(static={"site.css": "site.aaa.css"})
        self.host.deploy({"broken-import": ""}, {"site.css": "site.bbb.css"})
        self.assertEqual((self.site.static / "site.css").read_text(), "1")

    def test_manifest_cannot_lead_root_astray(self):
        outside = self.host.root / "outside"
        outside.touch()
        os.utime(outside, (0, 0))
        self.deploy(static={"a.css": "a.1.css"})
        live = self.site.live()
        evil = {"paths": {"x": "../../../outside", "y": str(outside), "z": "fine.css"}}
        (live.path / "staticfiles.json").write_text(json.dumps(evil))
        self.assertEqual(live.static_names(), {"fine.css"})
        for _ in range(4):
            self.deploy()
        self.assertEqual(outside.stat().st_mtime, 0)

    def test_static_files_are_pruned_late(self):
        self.deploy(static={"a.css": "a.1.css"})
        old = time.time() - 90 * 24 * 60 * 60
        os.utime(self.site.static / "a.1.css", (old, old))
        for _ in range(2):
            self.deploy()
        self.assertTrue((self.site.static / "a.1.css").exists(), "a kept release needs it")
        self.deploy()
        self.assertTrue((self.site.static / "a.1.css").exists(), "it was retired just now")
        os.utime(self.site.static / "a.1.css", (old, old))
        self.deploy()
        self.assertFalse((self.site.static / "a.1.css").exists())

    # Pruning

    def test_old_releases_are_pruned(self):
        names = [self.deploy({"uv.lock": str(number)}) for number in range(4)]
        self.assertEqual(self.host.names(), names[2:])
        self.assertEqual(len(list(self.site.virtual_environments.iterdir())), 2)

    def test_releases_that_run_are_not_pruned(self):
        first = self.deploy()
        (self.host.stand_in / "bin" / "systemctl").rename(self.host.stand_in / "systemctl")
        # A worker that takes its time to end.
        self.host.program(
            "systemctl",
            '#!/bin/sh\ncase "$1 $2" in "stop --no-block") exit 0 ;; esac\n'
            'exec sh "$STAND_IN/systemctl" "$@"\n',
        )
        for _ in range(3):
            self.deploy()
        self.assertIn(first, self.host.names())
        self.assertTrue((self.site.releases / first / ".venv/bin/python").exists())

    # Going back

    def test_rollback(self):
        (
            first,
            second,
        ) = self.deploy(), self.deploy()
        status, events = self.host.run("rollback")
        self.assertEqual((status, events[-1]["status"]), (0, "rolled-back"))
        self.assertEqual((events[-1]["release"], events[-1]["previous"]), (first, second))
        self.assertEqual(self.host.answers(), first)
        self.assertEqual(self.host.units(), self.running(first))
        third = self.deploy()
        self.assertNotIn(f"restart {self.site.web(first)}", self.host.systemctl(), "it was warm")
        self.assertGreater(events[-1]["live_seconds"], 0)
        self.host.run("rollback")
        self.assertEqual(self.host.answers(), first, f"not to {second}, which was withdrawn from {third}")

    def test_a_rollback_lets_the_newer_worker_end_its_tasks_before_the_older_one_begins(self):
        _, second = self.deploy(), self.deploy({"full-queue": ""})
        status, events = self.host.run("rollback")
        self.assertEqual(status, 0)
        steps = [event["name"] for event in events if event["event"] == "step"]
        wanted = ["switch", "live", "drain", "hand over", "worker"]
        self.assertEqual([step for step in steps if step in wanted], wanted)
        (warning,) = [event for event in events if event["event"] == "warning"]
        self.assertIn("tasks still wait", warning["message"])
        told = self.host.systemctl()
        self.assertLess(
            told.index(f"stop {self.site.web(second)}"),
            told.index(f"stop --no-block {self.site.worker(second)}"),
        )

    def test_rollback_to_a_named_release(self):
        first, second = self.deploy(), self.deploy()
        self.host.run("rollback")
        for target in (second, self.site.kept_releases()[0].commit[:9]):
            status, _ = self.host.run("rollback", release=target)
            self.assertEqual((status, self.host.answers()), (0, second))
            self.host.run("rollback", release=first)

    def test_rollback_that_is_refused(self):
        for target, status, message in (
            ("", 1, "nothing is live yet"),
            ("x", 1, "nothing is live yet"),
        ):
            result, events = self.host.run("rollback", release=target)
            self.assertEqual(result, status)
            self.assertIn(message, events[-1]["message"])
        name = self.deploy()
        for target, status, message in (
            ("", 1, "there is none to go back to"),
            ("nonsense", 2, f"there is no release 'nonsense'; kept are: {name}"),
            (name, 2, "is live already"),
        ):
            with self.subTest(message):
                result, events = self.host.run("rollback", release=target)
                self.assertEqual(result, status)
                self.assertIn(message, events[-1]["message"])
                self.assertEqual(self.host.answers(), name)

    def test_rollback_to_a_release_that_became_unwell(self):
        first, second = self.deploy(), self.deploy()
        (self.site.releases / first / "health.json").write_text('["500 Oh dear", {}]')
        status, _ = self.host.run("rollback")
        self.assertEqual((status, self.host.answers()), (1, second))
        self.assertEqual(self.host.units(), self.running(second, warm=first))

    # Starting anew

    def test_restart(self):
        status, events = self.host.run("restart")
        self.assertEqual((status, events[-1]["status"]), (0, "unchanged"))
        older = self.deploy()
        first = self.deploy()
        status, events = self.host.run("restart", if_changed=True)
        self.assertEqual((status, events[-1]["status"]), (0, "unchanged"))
        with self.site.environment.open("a") as file:
            file.write('MORE="1"\n')
        status, events = self.host.run("restart", if_changed=True)
        self.assertEqual((status, events[-1]["status"]), (0, "restarted"), events)
        second = self.host.answers()
        self.assertNotEqual(second, first)
        self.assertEqual(second[-8:], first[-8:])
        self.assertEqual(self.host.run("restart", if_changed=True)[1][-1]["status"], "unchanged")
        self.host.run("rollback")
        self.assertEqual(self.host.answers(), older, "not to the same commit")

    def test_changed_settings_reach_the_same_commit(self):
        archive, commit = self.host.commit()
        self.host.run("deploy", archive=archive, commit=commit)
        (self.site.unit_files / f"{SITE}-web@.service").write_text("[Service]")
        status, events = self.host.run("deploy", archive=archive, commit=commit)
        self.assertEqual((status, events[-1]["status"]), (0, "deployed"))
