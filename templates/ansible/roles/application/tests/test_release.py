"""
Tests of the release command. They need neither root nor systemd:

    python3 -m unittest discover --start-directory .ansible/roles/application/tests
"""

import fcntl
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent))

from host import SECRET, SITE, Host, release

NOBODY = 65534


class Temporary(unittest.TestCase):
    """A test with a directory of its own."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)


class ConfigTest(Temporary):
    GOOD: ClassVar = {"site": SITE, "project_name": "shop", "domain": "shop.example.com"}

    def read(self, text):
        path = self.directory / "release.json"
        path.write_text(text)
        return release.Config.read(path)

    def test_defaults(self):
        self.assertEqual(self.read(json.dumps(self.GOOD)).keep_releases, 5)

    def test_refused(self):
        for changes, message in (
            ({"site": "Shop"}, "'Shop' is not a name of a site"),
            ({"site": "../etc"}, "'../etc' is not a name of a site"),
            ({"project_name": "my-shop"}, "'my-shop' is not a Python package"),
            ({"domain": "a b"}, "'a b' is not a domain"),
            ({"keep_releases": 0}, "keep_releases must be at least 1, not 0"),
            ({"keep_releases": "5"}, "keep_releases must be int, not '5'"),
            ({"keep_releases": True}, "keep_releases must be int, not True"),
            ({"keep": 3}, "unknown setting 'keep'"),
        ):
            with self.subTest(changes), self.assertRaisesRegex(release.ReleaseError, message):
                self.read(json.dumps({**self.GOOD, **changes}))

    def test_broken_file(self):
        for text, message in (
            ("{", "not valid JSON"),
            ("[]", "not hold a JSON object"),
            ("{}", "missing"),
        ):
            with self.subTest(text), self.assertRaisesRegex(release.ReleaseError, message):
                self.read(text)

    def test_missing_file(self):
        with self.assertRaisesRegex(release.ReleaseError, "cannot read .*provision"):
            release.Config.read(self.directory / "nothing.json")


class CommandLineTest(unittest.TestCase):
    def program(self, *words):
        """Runs the program in a process of its own, as somebody who is not root."""
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            child = os.fork()
            if child == 0:
                if os.geteuid() == 0:
                    os.setgroups([])
                    os.setgid(NOBODY)
                    os.setuid(NOBODY)
                sys.argv = [f"{SITE}-release", *words]
                with redirect_stdout(output), redirect_stderr(errors):
                    status = release.main(words)
                output.flush()
                errors.flush()
                os._exit(status)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            output.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(words, status, output.read(), errors.read())

    def test_wrong_usage(self):
        for words, message in (
            ([], "the following arguments are required: command"),
            (["explode"], "invalid choice: 'explode'"),
            (["deploy"], "required: --archive, --commit"),
            (["deploy", "--archive", "-", "--commit", "HEAD"], "'HEAD' is not a full commit id"),
            (["deploy", "--archive", "-", "--commit", "a" * 39], "is not a full commit id"),
            (["deploy", "--arch", "-"], "required: --archive"),
            (["rollback", "../x"], "'../x' has other characters"),
            (["rollback", "--by", "a\nb"], "is not a name"),
            (["rollback", "--by", " "], "is not a name"),
        ):
            with self.subTest(words):
                done = self.program(*words)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(message, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1)

    def test_not_root(self):
        done = self.program("status")
        self.assertEqual(done.returncode, 1)
        self.assertIn("must be run as root: use sudo", done.stderr)

    def test_error_as_json(self):
        done = self.program("status", "--json")
        self.assertEqual(json.loads(done.stdout)["status"], "failed")

    def test_remote_commands_that_are_refused(self):
        for asked in (
            "",
            "sh",
            "manage -- shell",
            "start",
            "restart",
            "status; id",
            "'unbalanced",
            "--config /tmp/x status",
            "deploy --archive /etc/shadow --commit " + "a" * 40,
            "deploy --archive=/etc/shadow --commit " + "a" * 40,
            "deploy --archive=- --archive /etc/shadow --commit " + "a" * 40,
            "status --config=/tmp/x",
            "status --in-unit=x",
            "rollback $(id)",
        ):
            with self.subTest(asked):
                done = self.program("--ssh-command", asked)
                self.assertEqual((done.returncode, done.stdout), (2, ""))

    def test_remote_command_stands_alone(self):
        for words in (["status", "--config=/tmp/x"], []):
            with self.subTest(words):
                self.assertEqual(self.program("--ssh-command", *words).returncode, 2)

    def test_remote_commands_that_are_allowed(self):
        # As far as the question who runs this.
        for asked in (
            "status --json",
            "list",
            f"deploy --archive - --commit {'a' * 40}",
            "rollback",
        ):
            with self.subTest(asked):
                done = self.program("--ssh-command", asked)
                self.assertIn("must be run as root", done.stderr + done.stdout)


class ArchiveTest(Temporary):
    def archive(self, *members, project=True, mode="w:gz"):
        path = self.directory / "archive.tar"
        with tarfile.open(path, mode) as tar:
            for name in ("manage.py", "pyproject.toml", "uv.lock") if project else ():
                tar.addfile(tarfile.TarInfo(name))
            for member in members:
                tar.addfile(member, io.BytesIO(b"x" * member.size))
        return path

    def member(self, name, kind=tarfile.REGTYPE, link="", size=0):
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, link, size
        return member

    def test_unsafe_members(self):
        for member in (
            self.member("../outside"),
            self.member("a/../../outside"),
            self.member("/etc/cron.d/x"),
            self.member("link", tarfile.SYMTYPE, "/etc/shadow"),
            self.member("a/link", tarfile.SYMTYPE, "../../outside"),
            self.member("link", tarfile.LNKTYPE, "/etc/shadow"),
            self.member("device", tarfile.CHRTYPE),
            self.member("pipe", tarfile.FIFOTYPE),
            self.member(".release.json"),
            self.member(".venv", tarfile.SYMTYPE, "shop"),
            self.member("gunicorn.sock"),
        ):
            with (
                self.subTest(member.name),
                self.assertRaisesRegex(release.UsageError, "is refused"),
            ):
                release.read_archive(self.archive(member), release.MIB)

    def test_unsafe_members_without_pythons_filter(self):
        # As on Debian 12.
        found = vars(tarfile).pop("data_filter", None)
        try:
            self.test_unsafe_members()
        finally:
            if found:
                tarfile.data_filter = found

    def test_files_below_a_link(self):
        members = (self.member("a", tarfile.SYMTYPE, "b"), self.member("a/x"))
        path = self.archive(*members)
        try:
            archive = release.read_archive(path, release.MIB)
        except release.UsageError:
            return
        accounts = release.Accounts(os.getuid(), os.getgid(), os.getuid(), os.getgid())
        try:
            release.unpack(path, archive, self.directory / "out", accounts)
        except OSError:
            return
        self.assertFalse((self.directory / "x").exists())

    def test_not_a_project(self):
        with self.assertRaisesRegex(release.UsageError, "no manage.py at its top"):
            release.read_archive(self.archive(project=False), release.MIB)

    def test_not_an_archive(self):
        path = self.directory / "archive.tar"
        complete = self.archive(self.member("x", size=100_000)).read_bytes()
        for content in (b"", b"hello", b"\x1f\x8b\x08", complete[: len(complete) // 2]):
            with (
                self.subTest(content[:10]),
                self.assertRaisesRegex(release.UsageError, "tar archive"),
            ):
                path.write_bytes(content)
                release.read_archive(path, release.MIB)

    def test_too_large(self):
        bomb = self.archive(self.member("zeros", size=3 * release.MIB))
        self.assertLess(bomb.stat().st_size, release.MIB)
        with self.assertRaisesRegex(release.UsageError, "larger than 2.0 MiB"):
            release.read_archive(bomb, 2 * release.MIB)

    def test_permissions(self):
        program, plain = self.member("run.sh"), self.member("deep/er/secret.txt")
        program.mode, plain.mode = 0o4777, 0o666
        path = self.archive(program, plain)
        accounts = release.Accounts(os.getuid(), os.getgid(), os.getuid(), os.getgid())
        target = self.directory / "out"
        release.unpack(path, release.read_archive(path, release.MIB), target, accounts)
        modes = {
            name: (target / name).stat().st_mode & 0o7777 for name in (".", "deep/er", "run.sh", plain.name)
        }
        self.assertEqual(modes, {".": 0o751, "deep/er": 0o751, "run.sh": 0o750, plain.name: 0o640})

    def test_spool(self):
        self.assertEqual(release.spool(io.BytesIO(b"abc"), self.directory, 3).read_bytes(), b"abc")

    def test_spool_refuses(self):
        for content, message in ((b"abcd", "larger than"), (b"", "empty")):
            with self.subTest(content), self.assertRaisesRegex(release.UsageError, message):
                release.spool(io.BytesIO(content), self.directory, 3)
        self.assertEqual(list(self.directory.iterdir()), [])


class FileTest(Temporary):
    def test_link_exists_at_every_moment(self):
        link, stop, missing = self.directory / "current", threading.Event(), []
        release.point(link, "a")

        def watch():
            while not stop.is_set():
                try:
                    link.readlink()
                except FileNotFoundError as error:
                    missing.append(error)

        watcher = threading.Thread(target=watch)
        watcher.start()
        for number in range(200):
            release.point(link, f"releases/{number}")
        stop.set()
        watcher.join()
        self.assertEqual((missing, str(link.readlink())), ([], "releases/199"))

    def test_give_to_takes_dangerous_permissions_away(self):
        path = self.directory / "bin" / "tool"
        path.parent.mkdir()
        path.touch()
        path.chmod(0o6777)
        (self.directory / "link").symlink_to("/etc/passwd")
        release.give_to(self.directory, os.getuid(), os.getgid())
        self.assertEqual(path.stat().st_mode & 0o7777, 0o755)

    def test_no_room(self):
        with self.assertRaisesRegex(release.ReleaseError, "make room on the disk"):
            release.require_room(self.directory, 1 << 60)
        if os.statvfs(self.directory).f_files:
            with self.assertRaisesRegex(release.ReleaseError, "inodes free"):
                release.require_room(self.directory, 1, 1 << 60)


class SecretTest(unittest.TestCase):
    ENVIRONMENT = "\n".join(
        (
            r'SECRET_KEY="quo\"te \\ and \$dollar"',
            'SECRET_KEY_FALLBACKS="old-key-one,old-key-two"',
            'CELERY_BROKER_URL="amqp://shop:p%40ssw%2Ford@127.0.0.1:5672/shop"',
            'STATIC_ROOT="/srv/shop/static"',
            "BARE_TOKEN=without-quotes",
            'TINY_KEY="abc"',
        )
    )

    def test_found(self):
        found = release.secret_values(self.ENVIRONMENT)
        for value in (
            'quo"te \\ and $dollar', "old-key-one", "old-key-two", "p%40ssw%2Ford", "p@ssw/ord",
            "without-quotes",
        ):  # fmt: skip
            self.assertIn(value, found)
        self.assertNotIn("/srv/shop/static", found)
        self.assertNotIn("abc", found)

    def test_hidden_in_structures(self):
        entry = {"detail": ["key p@ssw/ord", 3], "message": 'quo"te \\ and $dollar!'}
        hidden = release.hide(entry, release.secret_values(self.ENVIRONMENT))
        self.assertEqual(hidden, {"detail": ["key [hidden]", 3], "message": "[hidden]!"})


class LogTest(unittest.TestCase):
    def test_cause_is_the_exception(self):
        lines = ["Traceback (most recent call last):", "  x", "a.b.SomeError: no", "LINE 1: select"]
        self.assertEqual(release.cause(lines), "a.b.SomeError: no")
        self.assertEqual(release.cause([]), "it said nothing")

    def test_json_lines_become_readable(self):
        line = json.dumps({"level": "ERROR", "message": "Broken", "exc_info": "Traceback\nKeyError: 'x'"})
        self.assertEqual(release.readable(line), "ERROR Broken: KeyError: 'x'")
        self.assertEqual(release.readable("plain"), "plain")


class LockTest(unittest.TestCase):
    HOLDER = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
file.write(sys.argv[2])
file.flush()
print("held", flush=True)
time.sleep(60)
"""

    def test_names_the_owner_and_ends_with_it(self):
        with Host() as host:
            owner = {
                "by": "alice",
                "operation": "deploy",
                "since": "2026-01-02T03:04:05Z",
                "pid": 7,
            }
            holder = subprocess.Popen(
                [sys.executable, "-c", self.HOLDER, host.site.lock, json.dumps(owner)],
                stdout=subprocess.PIPE,
            )
            holder.stdout.readline()
            archive, commit = host.commit()
            status, events = host.run("deploy", archive=archive, commit=commit)
            self.assertEqual((status, events[-1]["status"]), (75, "locked"))
            self.assertIn(
                "a deploy by alice runs since 2026-01-02T03:04:05Z (process 7)",
                events[-1]["message"],
            )
            self.assertFalse(host.site.log.exists())
            self.assertIn("alice", release.lock_owner(host.site))
            holder.kill()
            holder.communicate()
            self.assertEqual(release.lock_owner(host.site), "")
            self.assertEqual(host.run("deploy", archive=archive, commit=commit)[0], 0)

    def test_a_glance_at_the_lock_is_no_obstacle(self):
        with Host() as host, host.site.lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            threading.Timer(0.15, lambda: fcntl.flock(file, fcntl.LOCK_UN)).start()
            self.assertEqual(host.deploy()[0], 0)


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

    def fail(self, files, step, message):
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

    def running(self, name):
        return [self.site.beat, self.site.web(name), self.site.worker(name)]

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
        self.assertEqual([step["name"] for step in steps], [step.name for step in release.DEPLOY])
        for step in steps:
            self.assertIn(step["status"], ("ok", "skipped"))
            self.assertGreaterEqual(step["seconds"], 0)
        (entry,) = self.host.history()
        self.assertEqual((entry["operation"], entry["by"], entry["status"]), ("deploy", "tester", "deployed"))
        self.assertEqual(len(entry["steps"]), len(release.DEPLOY))

    def test_second_deploy_takes_over(self):
        self.deploy()
        second = self.deploy()
        self.assertEqual(self.host.answers(), second)
        self.assertEqual(self.host.units(), self.running(second))

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
        release.stop_unit(self.site.web(first))
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
        release.PROBE_SECONDS, before = 0.3, release.PROBE_SECONDS
        self.addCleanup(setattr, release, "PROBE_SECONDS", before)
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
                "ProgrammingError: relation",
            ),
            ({"broken-import": ""}, "start", "ModuleNotFoundError: No module named 'nonsense'"),
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
                self.fail(files, step, message)

    def test_first_deploy_fails(self):
        self.fail({"broken-import": ""}, "start", "ModuleNotFoundError")
        self.assertFalse(self.site.current.is_symlink())

    def test_failure_after_the_switch(self):
        release.LIVE_SECONDS, before = 0.2, release.LIVE_SECONDS
        self.addCleanup(setattr, release, "LIVE_SECONDS", before)
        self.deploy()
        self.fail(
            {"shallow.json": '["500 Oh dear", {}]'},
            "live",
            "after the switch: /health/ answers 500",
        )
        bad = self.site.kept_releases()[0]
        self.assertEqual(bad.status, "bad")
        status, events = self.host.run("rollback", target=bad.id)
        self.assertEqual(status, 2)
        self.assertIn("never was live and well", events[-1]["message"])

    def test_failure_after_the_first_switch(self):
        release.LIVE_SECONDS, before = 0.2, release.LIVE_SECONDS
        self.addCleanup(setattr, release, "LIVE_SECONDS", before)
        self.fail({"shallow.json": '["500 Oh dear", {}]'}, "live", "after the switch")
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
        release.MIGRATION_PAUSE_SECONDS, before = 0.01, release.MIGRATION_PAUSE_SECONDS
        self.addCleanup(setattr, release, "MIGRATION_PAUSE_SECONDS", before)
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
                self.fail(pending, "backup", message)
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
            reporter = release.Reporter(output, as_json=False)
            request = release.Request("deploy", "tester", commit=commit, archive=archive)
            self.assertEqual(release.transact(self.site, request, reporter), 0)
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
        self.host.run("rollback")
        self.assertEqual(self.host.answers(), first, f"not to {second}, which was withdrawn from {third}")

    def test_rollback_to_a_named_release(self):
        first, second = self.deploy(), self.deploy()
        self.host.run("rollback")
        for target in (second, self.site.kept_releases()[0].commit[:9]):
            status, _ = self.host.run("rollback", target=target)
            self.assertEqual((status, self.host.answers()), (0, second))
            self.host.run("rollback", target=first)

    def test_rollback_that_is_refused(self):
        for target, status, message in (
            ("", 1, "nothing is live yet"),
            ("x", 1, "nothing is live yet"),
        ):
            result, events = self.host.run("rollback", target=target)
            self.assertEqual(result, status)
            self.assertIn(message, events[-1]["message"])
        name = self.deploy()
        for target, status, message in (
            ("", 1, "there is none to go back to"),
            ("nonsense", 2, "there is no release 'nonsense'; kept are: none"),
            (name, 2, "is live already"),
        ):
            with self.subTest(message):
                result, events = self.host.run("rollback", target=target)
                self.assertEqual(result, status)
                self.assertIn(message, events[-1]["message"])
                self.assertEqual(self.host.answers(), name)

    def test_rollback_to_a_release_that_became_unwell(self):
        first, second = self.deploy(), self.deploy()
        (self.site.releases / first / "health.json").write_text('["500 Oh dear", {}]')
        status, _ = self.host.run("rollback")
        self.assertEqual((status, self.host.answers()), (1, second))
        self.assertEqual(self.host.units(), self.running(second))

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


class InterruptionTest(unittest.TestCase):
    def interrupt(self, host, number):
        """Sends a signal to a deploy that builds a virtual environment; returns its exit status."""
        archive, commit = host.commit({"slow": "", "uv.lock": "slow"})
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            status, _ = host.run("deploy", archive=archive, commit=commit)
            os._exit(status)
        deadline = time.monotonic() + 20
        while not (host.stand_in / "building").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(child, number)
        return os.waitpid(child, 0)[1]

    def test_asked_to_stop(self):
        with Host() as host:
            host.deploy()
            live, names = host.answers(), host.names()
            status = self.interrupt(host, signal.SIGTERM)
            self.assertEqual(os.waitstatus_to_exitcode(status), 1)
            self.assertIn("stopped by SIGTERM", host.history()[-1]["message"])
            self.assertEqual((host.answers(), host.names()), (live, names))
            self.assertEqual(len(list(host.site.virtual_environments.iterdir())), 1)

    def test_killed(self):
        with Host() as host:
            host.deploy()
            live, names = host.answers(), host.names()
            self.interrupt(host, signal.SIGKILL)
            self.assertEqual(host.answers(), live)
            self.assertGreater(len(host.names()), len(names), "nothing could be cleaned up")
            (host.site.releases / ".upload-fresh.tar").touch()
            status, events = host.deploy()
            self.assertEqual(status, 0)
            self.assertIn("removed 2 leftovers", events[0]["message"])
            self.assertEqual(host.names(), [".upload-fresh.tar", live, host.answers()])
            self.assertEqual(len(list(host.site.virtual_environments.iterdir())), 1)

    def test_killed_after_the_switch(self):
        with Host() as host:
            host.deploy()
            old = host.site.live()
            archive, commit = host.commit()
            child = os.fork()
            if child == 0:
                release.check_live = lambda transaction: os.kill(os.getpid(), signal.SIGKILL)
                steps = [
                    step._replace(run=release.check_live) if step.name == "live" else step
                    for step in release.DEPLOY
                ]
                release.DEPLOY = steps
                host.run("deploy", archive=archive, commit=commit)
                os._exit(0)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), -signal.SIGKILL)
            new = host.answers()
            self.assertNotEqual(new, old.id)
            self.assertIn(host.site.web(old.id), host.units())
            status, events = host.run("deploy", archive=archive, commit=commit)
            self.assertEqual((status, events[-1]["release"], host.answers()), (0, new, new))
            self.assertEqual(host.site.live().status, "good")
            self.assertNotIn(host.site.web(old.id), host.units())


if __name__ == "__main__":
    unittest.main()
