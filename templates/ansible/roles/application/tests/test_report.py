"""What somebody should look at, and a backup on demand."""

import json
import os
import time
import unittest

from release.backups.status import FAILED, OK, begun, ended
from release.command_line import REMOTE_COMMANDS, parser, remote_words
from release.commands import back_up
from release.maintenance import RECORD, Maintenance
from release.report import DAY_SECONDS, certificate_problems, show_report
from release.reporting import Reporter

from .host import SITE, Host

APT = """#!/bin/sh
[ "$*" = "--simulate --quiet=2 dist-upgrade" ] || exit 9
echo "Inst libssl3 [3.0.1] (3.0.2 Debian-Security:13/stable-security [amd64])"
echo "Inst vim [9.0] (9.1 Debian:13/stable [amd64])"
echo "Conf vim (9.1 Debian:13/stable [amd64])"
"""


class ReportTest(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.enterContext(self.host)
        self.site = self.host.site
        self.host.program("apt-get", APT)
        self.site.provisioned.write_text("fingerprint\n")

    def report(self):
        """The report as an event."""
        self.host.output.truncate(0)
        self.host.output.seek(0)
        self.assertEqual(show_report(self.site, Reporter(self.host.output, as_json=True)), 0)
        return self.host.events()[-1]

    def problems(self):
        """What is wrong, but for the certificate, which this host always signs itself."""
        found = self.report()["problems"]
        self.assertEqual(sum("signed itself" in problem for problem in found), 1)
        return [problem for problem in found if "signed itself" not in problem]

    def age(self, path, days):
        """Makes a file so old."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        moment = time.time() - days * DAY_SECONDS - 60
        os.utime(path, (moment, moment))

    def test_site_that_is_well(self):
        self.host.deploy()
        report = self.report()
        live = self.site.live()
        self.assertEqual((report["release"], report["commit"]), (live.id, live.commit))
        self.assertEqual(report["certificate"], {"days": 0, "self_signed": True})
        self.assertEqual((report["updates"]["pending"], report["updates"]["security"]), (2, 1))
        self.assertEqual(self.problems(), [])

    def test_for_people(self):
        show_report(self.site, Reporter(self.host.output, as_json=False))
        lines = self.host.output.getvalue().splitlines()
        self.assertEqual(lines[0], "! nothing is live yet")
        self.assertIn("updates     2 pending, 1 of them for security", lines)

    def test_certificates(self):
        for certificate, problem in (
            ({"days": 15, "self_signed": False}, []),
            ({"days": 13, "self_signed": False}, ["the certificate ends in 13 days, and was not renewed"]),
            ({"days": 1, "self_signed": False}, ["the certificate ends in 1 day, and was not renewed"]),
            ({"days": -1, "self_signed": False}, ["the certificate has expired"]),
            ({"problem": "nginx shows no certificate"}, ["nginx shows no certificate"]),
        ):
            self.assertEqual(certificate_problems(certificate), problem)

    def test_nginx_that_does_not_answer(self):
        self.host.deploy()
        self.host.frontend.shutdown()
        self.host.frontend.server_close()
        found = "; ".join(self.report()["problems"])
        self.assertIn("the site is not well: ", found)
        self.assertIn("nginx shows no certificate: ", found)

    def test_backups(self):
        self.host.deploy()
        self.site.backup_settings.write_text("{}")
        self.assertEqual(self.problems(), ["no backup has been made yet"])
        self.site.backups.mkdir(parents=True)
        begun(self.site, "run first")
        ended(self.site, "run first", FAILED, "no room", detail=[], backup="", secrets=[])
        (problem,) = self.problems()
        self.assertRegex(problem, "^the backup failed at .*: no room$")
        self.assertEqual(self.report()["backups"]["run first"]["state"], FAILED)

    def test_updates_that_do_not_run(self):
        self.host.deploy()
        stamp = self.site.root / "var/lib/apt/periodic/unattended-upgrades-stamp"
        self.age(stamp, 3)
        self.assertEqual(self.problems(), [])
        self.age(stamp, 4)
        self.assertEqual(self.problems(), ["updates have not run for 4 days, 1 security update pending"])
        stamp.unlink()
        # A host that was provisioned just now is given time.
        self.assertEqual(self.problems(), [])
        self.age(self.site.provisioned, 5)
        self.assertEqual(self.problems(), ["updates have not run for 5 days, 1 security update pending"])

    def test_restart_that_is_due(self):
        self.host.deploy()
        self.age(self.site.root / "run/reboot-required", 14)
        self.assertEqual(self.problems(), [])
        self.age(self.site.root / "run/reboot-required", 15)
        self.assertEqual(self.problems(), ["an update has waited 15 days for a restart of the host"])

    def test_units_that_have_failed(self):
        self.host.deploy()
        units = [f"{SITE}-retire.service", f"{SITE}-backup@run.service"]
        (self.host.stand_in / "failed-units").write_text(
            "".join(f"{unit} loaded failed failed x\n" for unit in units)
        )
        self.assertEqual(self.problems(), [f"{SITE}-retire.service has failed"])

    def test_maintenance_that_was_forgotten(self):
        self.host.deploy()
        state = {"on": True, "since": "2026-01-02T03:04:05Z", "by": "ada"}
        self.site.maintenance.write_text(f"{RECORD}{json.dumps(state)}\n")
        self.assertTrue(Maintenance.of(self.site).on)
        self.assertEqual(self.problems(), ["the site is closed for maintenance since 2026-01-02T03:04:05Z"])

    def test_the_deploy_account_may_ask_for_it(self):
        for words in ("report --json", "backup --by ada --json"):
            self.assertEqual(remote_words([words]), words.split())
            parser().parse_args(words.split())
        self.assertNotIn("restore", REMOTE_COMMANDS)


class BackUpTest(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.enterContext(self.host)
        self.site = self.host.site

    def back_up(self):
        """Has a backup made; returns the exit status and the result."""
        status = back_up(self.site, "ada", Reporter(self.host.output, as_json=True))
        return status, self.host.events()[-1]

    def unit(self, exit_status, entry):
        """What the unit does: it writes down how its run has ended."""
        self.site.backup_settings.write_text("{}")
        self.site.backups.mkdir(parents=True, exist_ok=True)
        path = self.site.backups / "status.json"
        text = json.dumps({"run first": entry})
        self.host.program("backup-unit", f"#!/bin/sh\necho '{text}' > {path}\nexit {exit_status}\n")

    def test_one_that_is_made(self):
        self.unit(0, {"state": OK, "last_ok_backup": "20260102T030405Z"})
        status, result = self.back_up()
        self.assertEqual((status, result["status"]), (0, "made"))
        self.assertEqual(result["message"], "the backup 20260102T030405Z is good")
        entry = json.loads(self.site.log.read_text())
        self.assertEqual((entry["operation"], entry["by"], entry["status"]), ("backup", "ada", "made"))

    def test_one_that_fails(self):
        self.unit(1, {"state": FAILED, "message": "no room"})
        status, result = self.back_up()
        self.assertEqual((status, result["status"]), (1, "failed"))
        self.assertEqual(result["message"], "no backup was made: no room")

    def test_site_without_backups(self):
        with self.assertRaisesRegex(Exception, "there are no backups of this site"):
            self.back_up()
