"""Backups of a site. PostgreSQL and restic are real here, and the second place is another disk."""

import datetime
import json
import os
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from release import databases
from release.backups import commands, making, restoring
from release.backups.catalogue import backups_in, microseconds_of, moment_of
from release.backups.command_line import parser
from release.backups.job import Job
from release.backups.repository import Repository, complaint
from release.backups.settings import BackupSettings, credentials, places
from release.backups.status import read_status, write_status
from release.errors import ReleaseError, UsageError
from release.reporting import Reporter
from release.steps.repairing import end_what_was_begun
from release.transaction import Request

from .cluster import cluster
from .host import SITE, Host, Temporary
from .repositories import templates

PASSWORD = 'pass"word $with \\ everything'
# Another file system than that of temporary files.
OTHER_DISK = Path("/dev/shm")


class BackupsTest(unittest.TestCase):
    def setUp(self):
        if not shutil.which("restic"):
            raise AssertionError("these tests need restic: apt install restic")
        self.cluster = cluster()
        self.host = Host(database=self.cluster)
        self.enterContext(self.host)
        self.site = self.host.site
        self.site.backups.mkdir(parents=True)
        self.site.media.mkdir(parents=True)
        quoted = PASSWORD.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
        self.site.backup_credentials.write_text(f'RESTIC_PASSWORD="{quoted}"\n')
        self.second = Path(tempfile.mkdtemp(dir=OTHER_DISK))
        self.addCleanup(shutil.rmtree, self.second)
        first, _ = templates(PASSWORD)
        shutil.copytree(first, self.site.backups / "repository")
        self.configure()
        self.sql("create table item (id int primary key, name text)")
        self.sql("insert into item select number, 'item ' || number from generate_series(1, 100) number")
        self.upload("photo.jpg", b"a photo")
        self.upload("deep/er/other [1].jpg", b"another")

    def use_second_place(self):
        _, second = templates(PASSWORD)
        shutil.copytree(second, self.second / "repository")
        self.configure(second_place=str(self.second / "repository"))

    def configure(self, **settings):
        self.site.backup_settings.write_text(json.dumps(settings))
        self.settings = BackupSettings.read(self.site.backup_settings)

    def sql(self, text, name=SITE):
        return self.cluster.sql(text, name, role=SITE)

    def upload(self, name, contents):
        path = self.site.media / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)

    def uploads(self):
        files = [path for path in self.site.media.rglob("*") if path.is_file()]
        return {path.relative_to(self.site.media).as_posix(): path.read_bytes() for path in files}

    def run_command(self, command, **request):
        """Runs the command and returns its exit status and its last event."""
        self.host.output.seek(0)
        self.host.output.truncate()
        reporter = Reporter(self.host.output, as_json=True)
        asked = Request(command, "tester", **request)
        if command == "restore":
            status = commands.restore(self.site, self.settings, asked, reporter, None)
        elif command == "list":
            status = commands.show_list(self.site, self.settings, reporter)
        else:
            status = commands.perform(self.site, self.settings, asked, reporter)
        return status, self.host.events()[-1]

    def succeed(self, command, **request):
        status, result = self.run_command(command, **request)
        self.assertEqual(status, 0, self.host.output.getvalue())
        return result

    def back_up(self):
        """Makes a backup and returns its id."""
        # Backups are named by the second.
        time.sleep(1 - time.time() % 1)
        self.succeed("run")
        return read_status(self.site)["run first"]["last_ok_backup"]

    def listed(self):
        self.succeed("list")
        return [event for event in self.host.events() if event["event"] == "backup"]

    def repository(self, place="first"):
        return places(self.site, self.settings)[place]

    def damage(self, directory):
        """Changes a byte in the middle of the largest file of a repository."""
        pack = max((directory / "data").rglob("*"), key=lambda path: path.is_file() and path.stat().st_size)
        damaged = bytearray(pack.read_bytes())
        damaged[len(damaged) // 2] ^= 0xFF
        pack.chmod(0o600)
        pack.write_bytes(damaged)


class MakingTest(BackupsTest):
    def test_a_backup_is_in_both_places_and_tells_what_is_in_it(self):
        self.use_second_place()
        name = self.back_up()
        (backup,) = self.listed()
        self.assertEqual(backup["places"], ["first", "second"])
        self.assertEqual(
            {key: backup[key] for key in ("backup", "rows", "tables", "files", "size")},
            {"backup": name, "rows": 100, "tables": 1, "files": 2, "size": len(b"a photoanother")},
        )
        self.assertEqual(read_status(self.site)["run second"]["last_ok_backup"], name)
        self.assertEqual(
            sorted(path.name for path in self.site.backups.iterdir()), ["repository", "status.json"]
        )

    def test_it_can_be_read_with_restic_and_pg_restore_alone(self):
        self.use_second_place()
        self.back_up()
        restic = ["restic", "--repo", self.settings.second_place, "--quiet"]
        target = self.host.root / "by-hand"
        environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD}
        subprocess.run([*restic, "restore", "latest", "--target", target], env=environment, check=True)
        (dump,) = target.rglob("database.dump")
        listed = subprocess.run(["pg_restore", "--list", dump], capture_output=True, text=True, check=True)
        self.assertIn("TABLE DATA public item", listed.stdout)
        (photo,) = target.rglob("photo.jpg")
        self.assertEqual(photo.read_bytes(), b"a photo")
        (manifest,) = target.rglob("backup.json")
        self.assertEqual(json.loads(manifest.read_text())["tables"], {"public.item": 100})

    def test_uploads_that_were_stored_before_take_no_room(self):
        self.upload("large", os.urandom(3_000_000))
        self.back_up()
        before = self.repository().size()
        self.back_up()
        self.assertLess(self.repository().size() - before, 100_000)

    def test_rows_are_counted_at_the_moment_of_the_dump(self):
        made = making.dump

        def write_meanwhile(*arguments, **options):
            self.sql("insert into item values (1000, 'late')")
            made(*arguments, **options)

        with mock.patch.object(making, "dump", write_meanwhile):
            self.back_up()
        self.assertEqual(self.listed()[0]["rows"], 100)
        self.succeed("drill")

    def test_no_word_of_a_command_line_is_the_password(self):
        self.use_second_place()
        seen = []
        real = subprocess.run

        def watch(words, *arguments, **options):
            seen.append(" ".join(map(str, words)))
            return real(words, *arguments, **options)

        with mock.patch.object(subprocess, "run", watch):
            self.back_up()
        self.assertTrue(any(" copy " in words for words in seen))
        self.assertFalse([words for words in seen if PASSWORD in words])

    def test_one_run_at_a_time(self):
        with commands.locked(self.site, "somebody", "run of the backups", lock=self.site.backup_lock):
            status, result = self.run_command("run")
        self.assertEqual((status, result["status"]), (75, "locked"))
        self.assertIn("by somebody", result["message"])
        self.assertEqual(read_status(self.site), {})

    def test_without_room_nothing_is_made_and_that_is_seen(self):
        with mock.patch.object(making, "database_size", return_value=1 << 60):
            status, result = self.run_command("run")
        self.assertEqual(status, 1)
        self.assertIn("make room on the disk", result["message"])
        self.assertEqual(self.listed(), [])
        self.assertIn("the backup failed", self.host.events()[-1]["problems"][0])

    def test_a_second_place_on_the_same_disk_is_refused(self):
        self.configure(second_place=str(self.host.root / "mnt/copy"))
        status, result = self.run_command("run")
        self.assertEqual(status, 1)
        self.assertIn("same disk as the site: mount another one there", result["message"])
        # The backup itself is good.
        self.assertEqual(self.listed()[0]["places"], ["first"])
        self.assertEqual(len(self.host.events()[-1]["problems"]), 1)

    def test_a_second_place_that_was_away_gets_what_it_missed(self):
        self.use_second_place()
        away = self.second / "away"
        self.back_up()
        (self.second / "repository").rename(away)
        (self.second / "repository").write_text("not a directory")
        self.assertEqual(self.run_command("run")[0], 1)
        (self.second / "repository").unlink()
        away.rename(self.second / "repository")
        self.back_up()
        self.assertEqual([backup["places"] for backup in self.listed()], [["first", "second"]] * 3)

    def test_another_password_is_not_taken_for_an_empty_place(self):
        self.back_up()
        self.site.backup_credentials.write_text('RESTIC_PASSWORD="another"\n')
        status, result = self.run_command("run")
        self.assertEqual(status, 1)
        self.assertIn("wrong password", result["message"])

    def test_a_repository_whose_making_was_killed_is_made_again(self):
        repository = self.repository()
        (repository.path / "config").unlink()
        repository.create()
        self.assertTrue(repository.exists())

    def test_a_repository_that_has_lost_its_config_is_left_alone(self):
        self.back_up()
        repository = self.repository()
        (repository.path / "config").unlink()
        before = sorted(repository.path.rglob("*"))
        with self.assertRaisesRegex(ReleaseError, "its file config is missing"):
            repository.create()
        self.assertEqual(sorted(repository.path.rglob("*")), before)

    def test_a_snapshot_without_some_files_never_counts(self):
        real = Repository.add

        def incomplete(repository, *arguments):
            real(repository, *arguments)
            raise making.UnreadableError("some file could not be read")

        with mock.patch.object(Repository, "add", incomplete):
            status, result = self.run_command("run")
        self.assertEqual(status, 1)
        self.assertIn("could not be read", result["message"])
        self.assertEqual(self.repository().snapshots(), [])


# Makes a backup, and is killed when it calls a function.
DIE = """
import os, signal, sys
from pathlib import Path
from release.backups import commands, making
from release.backups.settings import BackupSettings
from release.reporting import Reporter
from release.site import Accounts, Config, Site
from release.transaction import Request

name, root, second_place, function = sys.argv[1:]
owner, _, function = function.rpartition(".")
owners = {"making": making, "Repository": making.Repository}
setattr(owners[owner], function, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
site = Site(Config(name, "shop", "shop.example.com"), Accounts(*[os.getuid(), os.getgid()] * 2), Path(root))
reporter = Reporter(sys.stdout, as_json=True)
commands.perform(site, BackupSettings(second_place), Request("run", "tester"), reporter)
"""


class KilledTest(BackupsTest):
    def test_a_killed_run_leaves_nothing_that_counts_and_the_next_one_tidies_up(self):
        self.use_second_place()
        self.back_up()
        files = str(Path(__file__).resolve().parent.parent / "files")
        for place in ("making.rows_at", "Repository.add", "Repository.tag", "Repository.copy"):
            with self.subTest(place):
                died = subprocess.run(
                    [sys.executable, "-c", DIE, SITE, self.site.root, self.settings.second_place, place],
                    cwd=files,
                    stdout=subprocess.DEVNULL,
                    check=False,
                )
                self.assertEqual(died.returncode, -signal.SIGKILL)
                expected = 2 if place == "Repository.copy" else 1
                self.assertEqual(len(self.listed()), expected)
                # Nothing else could have said so.
                which = "run-second" if place == "Repository.copy" else "run-first"
                commands.report_failure(
                    self.site, self.settings, which, Reporter(self.host.output, as_json=True)
                )
                self.assertEqual(read_status(self.site)[which.replace("-", " ")]["message"], "it was killed")
        self.back_up()
        self.assertEqual([backup["places"] for backup in self.listed()], [["first", "second"]] * 3)
        self.assertEqual(
            sorted(path.name for path in self.site.backups.iterdir()), ["repository", "status.json"]
        )
        self.assertEqual(len(self.repository().snapshots()), 3)


class RotationTest(BackupsTest):
    def test_what_stays_is_the_last_of_each_of_so_many_days_weeks_and_months(self):
        self.configure(keep_last=1, keep_daily=3, keep_weekly=2, keep_monthly=2)
        repository = self.repository()
        # 2026-03-01 is a Sunday.
        days = [
            "20260131",
            "20260210",
            "20260215",
            "20260222",
            "20260226",
            "20260227",
            "20260228",
            "20260301",
        ]
        for day in days:
            self.store(repository, f"{day}T031500Z")
        self.store(repository, "20260301T120000Z")
        self.rotate()
        kept = [backup.id for backup in backups_in("first", repository)]
        self.assertEqual(
            kept,
            [
                # days, and the newest week and month
                "20260301T120000Z",
                "20260228T031500Z",
                "20260227T031500Z",
                # the week before
                "20260222T031500Z",
            ],
        )
        self.assertEqual(len(repository.snapshots()), 4)

    def test_a_full_set_is_seven_days_four_weeks_and_six_months(self):
        repository = self.repository()
        source = self.site.backups / "one"
        source.write_text("x")
        # Every day of two weeks, Sundays before that, and two days of each month before those.
        last = datetime.date(2026, 9, 7)
        days = [last - datetime.timedelta(days=number) for number in range(15)]
        days += [datetime.date(2026, 8, day) for day in (2, 9, 16, 23)]
        days += [datetime.date(2026, month, day) for month in range(2, 8) for day in (5, 26)]
        for day in sorted(days):
            self.store(repository, f"{day:%Y%m%d}T031500Z", [source])
        self.rotate()
        # The last of each: 2026-09-07 is a Monday, and the last day.
        days = [f"2026090{day}" for day in range(7, 0, -1)]
        # Sundays; the first two weeks are among the days.
        weeks = ["20260830", "20260823"]
        months = ["20260831", "20260726", "20260626", "20260526", "20260426"]
        kept = [backup.id[:8] for backup in backups_in("first", repository)]
        self.assertEqual(kept, sorted({*days, *weeks, *months}, reverse=True))

    def store(self, repository, name, paths=None):
        moment = moment_of(name).strftime("%Y-%m-%d %H:%M:%S")
        repository.add(SITE, moment, ["complete", "rows=1"], paths or [self.site.media])

    def rotate(self):
        job = Job(
            self.site, self.settings, Request("run", "tester"), Reporter(self.host.output, as_json=True)
        )
        return making.rotate(job)


class DrillTest(BackupsTest):
    def test_a_good_backup_passes_and_leaves_nothing_behind(self):
        self.back_up()
        result = self.succeed("drill")
        self.assertEqual(result["status"], "proven")
        messages = " ".join(str(event.get("message")) for event in self.host.events())
        self.assertIn("100 rows in 1 table, as when it was made", messages)
        self.assertIn("2 of 2 uploads restored", messages)
        self.assertNotIn(f"{SITE}_drill", self.cluster.databases())
        self.assertEqual(
            sorted(path.name for path in self.site.backups.iterdir()), ["repository", "status.json"]
        )

    def test_a_damaged_repository_fails_it_in_both_places(self):
        self.use_second_place()
        for place, directory in (("first", self.site.backups), ("second", self.second)):
            with self.subTest(place):
                self.upload(f"large {place}", os.urandom(500_000))
                self.back_up()
                self.damage(directory / "repository")
                status, result = self.run_command("drill", place=place)
                self.assertEqual(status, 1, self.host.output.getvalue())
                self.assertIn("is damaged", result["message"])
                entry = read_status(self.site)[f"drill {place}"]
                self.assertEqual(entry["state"], "failed")
                self.run_command("list")
                self.assertIn("failed", " ".join(self.host.events()[-1]["problems"]))
                shutil.rmtree(directory / "repository")

    def test_a_pack_that_is_gone_fails_it(self):
        self.back_up()
        packs = [path for path in (self.site.backups / "repository/data").rglob("*") if path.is_file()]
        max(packs, key=lambda path: path.stat().st_size).unlink()
        self.assertEqual(self.run_command("drill", place="first")[0], 1)

    def test_a_dump_that_cannot_be_restored_fails_it(self):
        with mock.patch.object(making, "dump", lambda site, path, *_, **__: path.write_text("not a dump")):
            self.back_up()
        status, result = self.run_command("drill", place="first")
        self.assertEqual(status, 1)
        self.assertIn("cannot be restored", result["message"])
        self.assertNotIn(f"{SITE}_drill", self.cluster.databases())

    def test_rows_that_do_not_come_back_fail_it_and_are_named(self):
        with mock.patch.object(making, "rows_at", return_value={"public.item": 101, "public.gone": 1}):
            self.back_up()
        status, result = self.run_command("drill", place="first")
        self.assertEqual(status, 1)
        self.assertIn(
            "public.gone: no table instead of 1, public.item: 100 instead of 101", result["message"]
        )

    def test_without_a_backup_it_fails(self):
        self.assertEqual(self.run_command("drill", place="first")[0], 1)


class RestoreTest(BackupsTest):
    def setUp(self):
        super().setUp()
        self.assertEqual(self.host.deploy()[0], 0)

    def test_it_says_what_would_be_lost_and_changes_nothing(self):
        name = self.back_up()
        self.sql("delete from item where id <= 3; insert into item values (999, 'new')")
        self.upload("new.jpg", b"new")
        (self.site.media / "photo.jpg").unlink()
        before = self.uploads()
        status, result = self.run_command("restore")
        self.assertEqual((status, result["status"]), (2, "confirmation-needed"))
        self.assertIn(name, result["message"])
        self.assertIn("1 row of now would be lost and 3 rows of then would come back", result["message"])
        self.assertIn("1 upload of now would be lost and 1 come back", result["message"])
        self.assertEqual(self.uploads(), before)
        self.assertEqual(self.sql("select count(*) from item"), "98")
        self.assertEqual(self.cluster.databases(), ["postgres", SITE])

    def test_it_brings_rows_and_uploads_back_and_keeps_what_it_replaced(self):
        self.back_up()
        uploads, rows = (
            self.uploads(),
            self.sql("select md5(string_agg(item::text, ',' order by id)) from item"),
        )
        self.sql("truncate item")
        self.upload("new.jpg", b"new")
        result = self.succeed("restore", accept_loss=True)
        self.assertEqual(result["status"], "restored")
        self.assertEqual(self.uploads(), uploads)
        self.assertEqual(self.sql("select md5(string_agg(item::text, ',' order by id)) from item"), rows)
        self.assertEqual(self.host.answers(), self.site.live().id)
        (replaced,) = databases.replaced_databases(self.site)
        self.assertEqual(self.cluster.sql("select count(*) from item", replaced), "0")
        (media,) = self.site.home.glob("media.replaced-*")
        self.assertTrue((media / "new.jpg").is_file())
        self.assertEqual(self.host.history()[-1]["operation"], "restore")
        # The second time what is kept is from this time.
        time.sleep(1)
        self.succeed("restore", accept_loss=True)
        self.assertEqual(len(list(self.site.home.glob("media.replaced-*"))), 1)
        self.assertEqual(len(databases.replaced_databases(self.site)), 1)

    def test_a_named_backup_and_one_of_the_second_place_only(self):
        self.use_second_place()
        first = self.back_up()
        self.sql("delete from item where id > 10")
        self.back_up()
        shutil.rmtree(self.site.backups / "repository")
        self.succeed("restore", backup=first, accept_loss=True)
        self.assertEqual(self.sql("select count(*) from item"), "100")
        status, result = self.run_command("restore", backup="20200101T000000Z")
        self.assertEqual(status, 2)
        self.assertIn("there is no backup 20200101T000000Z", result["message"])

    def test_a_site_that_does_not_come_up_gets_its_data_of_now_back(self):
        self.back_up()
        self.sql("truncate item")
        self.upload("new.jpg", b"new")
        with mock.patch.object(restoring, "check_live", side_effect=ReleaseError("it does not answer")):
            status, result = self.run_command("restore", accept_loss=True)
        self.assertEqual(status, 1)
        self.assertIn("it does not answer", result["message"])
        self.assertEqual(self.sql("select count(*) from item"), "0")
        self.assertIn("new.jpg", self.uploads())
        self.assertEqual(self.host.answers(), self.site.live().id)
        self.assertEqual(self.cluster.databases(), ["postgres", SITE])
        self.assertEqual([path.name for path in self.site.home.glob("media*")], ["media"])

    def test_a_run_that_is_killed_before_the_swap_is_taken_back_and_after_it_ended(self):
        self.back_up()
        self.sql("truncate item")
        for step, rows in (("close_site", "0"), ("swap_media", "100")):
            with self.subTest(step), mock.patch.object(restoring, step, side_effect=KeyboardInterrupt):
                with mock.patch.object(Job, "take_back"), self.assertRaises(KeyboardInterrupt):
                    self.run_steps()
                self.assertTrue(restoring.mark(self.site).is_file())
            self.assertTrue(end_what_was_begun(self.site, self.site.live()))
            self.assertEqual(self.sql("select count(*) from item"), rows)
            self.assertFalse(restoring.mark(self.site).exists())
            self.assertEqual(set(self.uploads()), {"photo.jpg", "deep/er/other [1].jpg"})
            self.assertEqual(self.host.answers(), self.site.live().id)
            self.assertEqual(end_what_was_begun(self.site, self.site.live()), "")

    def run_steps(self):
        steps = [
            step._replace(run=getattr(restoring, step.run.__name__, step.run)) for step in commands.RESTORE
        ]
        with mock.patch.object(commands, "RESTORE", steps):
            self.run_command("restore", accept_loss=True)

    def test_a_backup_of_a_newer_release_is_refused_and_says_what_to_deploy(self):
        self.sql("create table django_migrations (app text, name text)")
        self.sql("insert into django_migrations values ('shop', '0001'), ('shop', '0002')")
        self.back_up()
        self.sql("delete from django_migrations where name = '0002'")
        status, result = self.run_command("restore", accept_loss=True)
        self.assertEqual(status, 2)
        self.assertIn("does not know (shop.0002): deploy commit 00000001 first", result["message"])

    def test_before_the_first_deploy_it_can_be_restored_too(self):
        self.back_up()
        self.site.current.unlink()
        self.host.run("prune", keep=1)
        subprocess.run(["systemctl", "stop", *self.host.units()], check=True)
        self.sql("truncate item")
        self.succeed("restore", accept_loss=True)
        self.assertEqual(self.sql("select count(*) from item"), "100")
        self.assertEqual(self.host.units(), [])


class TellingTest(BackupsTest):
    def test_a_failure_is_written_to_the_administrator(self):
        self.configure(admin_email="ada@example.com")
        write_status(
            self.site, "run first", state="failed", message="no room", last_ok="2026-01-01T03:15:00Z"
        )
        sent = []
        with (
            mock.patch.object(smtplib.SMTP, "connect"),
            mock.patch.object(smtplib.SMTP, "quit"),
            mock.patch.object(smtplib.SMTP, "send_message", lambda _, mail: sent.append(mail)),
        ):
            reporter = Reporter(self.host.output, as_json=True)
            commands.report_failure(self.site, self.settings, "run-first", reporter)
        (mail,) = sent
        self.assertEqual(mail["To"], "ada@example.com")
        self.assertEqual(mail["Subject"], f"[{SITE}] the backup has failed")
        self.assertIn("no room", mail.get_content())

    def test_what_is_too_old_is_told(self):
        self.configure()
        self.site.backup_settings.write_text("{}")
        write_status(self.site, "run first", state="ok", last_ok="2026-01-01T03:15:00Z")
        line, wrong, _ = commands.backup_state(self.site)
        self.assertIn("2026-01-01T03:15:00Z", line)
        self.assertEqual(wrong, ["the backup has not succeeded since 2026-01-01T03:15:00Z"])


class SettingsTest(Temporary):
    def read(self, **values):
        path = self.directory / "backup.json"
        path.write_text(json.dumps(values))
        return BackupSettings.read(path)

    def test_places_are_paths_or_stores(self):
        for place in (
            "",
            "/mnt/disk/shop",
            "s3:https://s3.example.com/bucket/shop",
            "s3:http://10.0.0.1:9000/b",
        ):
            self.assertEqual(self.read(second_place=place).second_place, place)
        for place in (
            "mnt",
            "s3:bucket",
            "s3:https://user:secret@s3.example.com/b",
            "sftp:host:/x",
            "s3:https://x",
        ):
            with self.subTest(place), self.assertRaisesRegex(ReleaseError, "neither a path nor like"):
                self.read(second_place=place)

    def test_at_least_one_backup_stays(self):
        self.assertEqual(self.read(keep_daily=1, keep_weekly=0, keep_monthly=0).keep_daily, 1)
        with self.assertRaisesRegex(ReleaseError, "keep_daily must be at least 1"):
            self.read(keep_daily=0)

    def test_the_password_is_needed(self):
        with Host() as host:
            host.site.backup_credentials.write_text('AWS_ACCESS_KEY_ID="x"\n')
            with self.assertRaisesRegex(ReleaseError, "holds no RESTIC_PASSWORD"):
                credentials(host.site)

    def test_a_backup_is_named_as_it_is_listed(self):
        self.assertEqual(parser().parse_args(["restore", "20260131T031500Z"]).backup, "20260131T031500Z")
        self.assertEqual(Request.of(parser().parse_args(["restore", "--by=ada"])).backup, "")
        with self.assertRaisesRegex(UsageError, "is not like 20260131T031500Z"):
            parser().parse_args(["restore", "latest"])

    def test_what_restic_complains_of_is_one_line(self):
        lines = ["error for tree 1234: ", "Fatal: repository contains errors"]
        self.assertEqual(complaint(lines), "error for tree 1234:")
        self.assertEqual(
            complaint(["Fatal: wrong password or no key found"]), "wrong password or no key found"
        )
        said = '{"message_type":"error","error":{"Op":"open"},"item":"/x"}'
        self.assertIn("/x", complaint([said]))
        self.assertEqual(microseconds_of("2026-01-31T03:15:00.5Z"), 1769829300500000)
