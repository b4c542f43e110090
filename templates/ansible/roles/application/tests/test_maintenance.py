"""Closing the site to visitors, and opening it."""

import json
import unittest

from release import maintenance
from release.command_line import parser
from release.commands import maintain, show_maintenance, show_status
from release.lock import locked
from release.maintenance import Maintenance
from release.reporting import Reporter

from .host import VISITOR, Host

# What a new site has, as Ansible writes it.
FRESH = """# The site is open to everybody.
geo $remote_addr $shop__production_maintenance { default ""; }
geo $remote_addr $shop__production_retry_after { default "600"; }
geo $remote_addr $shop__production_message { default ""; }
"""


class MaintenanceTest(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.enterContext(self.host)
        self.site = self.host.site
        self.site.maintenance.write_text(FRESH)
        self.replace("own_address", lambda: VISITOR)
        self.replace("ANSWER_SECONDS", 0.2)

    def replace(self, name, value):
        """Gives a name of the module another value until the test ends."""
        self.addCleanup(setattr, maintenance, name, getattr(maintenance, name))
        setattr(maintenance, name, value)

    def maintain(self, *words):
        """Closes or opens the site; returns the exit status and the result."""
        arguments = parser().parse_args(["maintenance", *words, "--by=ada"])
        self.host.output.truncate(0)
        self.host.output.seek(0)
        status = maintain(self.site, arguments, Reporter(self.host.output, as_json=True))
        return status, self.host.events()[-1]

    def refused(self, message, *words):
        """Tries to close or open the site, which must fail and change nothing."""
        before = self.site.maintenance.read_text()
        status, result = self.maintain(*words)
        self.assertEqual((status, result["status"]), (1, "failed"))
        self.assertIn(message, result["message"])
        self.assertEqual(self.site.maintenance.read_text(), before)
        return result

    def test_on_and_off(self):
        self.host.deploy()
        status, result = self.maintain("on", "--allow=10.0.0.0/8", "--retry-after=60", "--message=Back soon")
        self.assertEqual((status, result["status"]), (0, "on"), result)
        self.assertIn(f"{VISITOR} gets 503 and may ask again after 60 seconds", result["message"])
        state = Maintenance.of(self.site)
        self.assertEqual((state.on, state.by, state.allow), (True, "ada", ("10.0.0.0/8",)))
        self.assertEqual((state.retry_after, state.message), (60, "Back soon"))
        status, result = self.maintain("off")
        self.assertEqual((status, result["message"]), (0, "shop.example.com is open to everybody"))
        self.assertEqual(Maintenance.of(self.site), Maintenance())

    def test_history(self):
        self.maintain("off")
        self.assertFalse(self.site.log.exists(), "nothing has changed")
        self.maintain("on", "--allow=::1", "--message=Back soon")
        self.maintain("off")
        first, second = self.host.history()
        self.assertEqual((first["operation"], first["by"], first["status"]), ("maintenance on", "ada", "on"))
        self.assertEqual(first["maintenance"]["message"], "Back soon")
        self.assertEqual((second["operation"], second["status"]), ("maintenance off", "off"))

    def test_on_again_replaces_list_and_message(self):
        self.maintain("on", "--allow=203.0.113.7", "--message=One")
        status, _ = self.maintain("on", "--allow=203.0.113.8", "--allow=203.0.113.8")
        state = Maintenance.of(self.site)
        self.assertEqual((status, state.allow, state.message), (0, ("203.0.113.8",), ""))

    def test_every_message_reaches_visitors_as_it_is(self):
        for message in (
            '"',
            "\\",
            '\\"',
            "$HOME ${x}",
            "{};",
            "# no",
            "<b>&amp;</b>",
            "it's",
            "grüßt 🙂",
            "%i",
        ):
            with self.subTest(message):
                status, result = self.maintain("on", f"--message={message}")
                self.assertEqual((status, Maintenance.of(self.site).message), (0, message), result)

    def test_loopback_is_let_in(self):
        self.host.deploy()
        self.maintain("on")
        self.assertEqual(self.host.answers(), self.site.live().id)
        text = self.site.maintenance.read_text()
        self.assertIn('    127.0.0.0/8 "";\n    ::1 "";\n', text)

    def test_deploy_and_rollback_while_closed(self):
        self.maintain("on")
        first, second = (self.host.deploy()[1][-1]["release"] for _ in range(2))
        self.assertEqual(self.host.answers(), second)
        self.assertEqual(self.host.run("rollback")[0], 0)
        self.assertEqual(self.host.answers(), first)
        self.assertTrue(Maintenance.of(self.site).on)

    def test_it_does_not_wait_for_a_deploy(self):
        with locked(self.site, "bob", "deploy"):
            self.assertEqual(self.maintain("on")[0], 0)
        with locked(self.site, "bob", "maintenance on", lock=self.site.maintenance_lock):
            status, result = self.maintain("off")
        self.assertEqual((status, result["status"]), (75, "locked"))
        self.assertIn("a maintenance on by bob runs since", result["message"])
        self.assertTrue(Maintenance.of(self.site).on)

    def test_configuration_that_is_broken_already(self):
        (self.host.stand_in / "broken.conf").write_text("nonsense")
        result = self.refused(
            'as it is, so nothing was changed: nginx: [emerg] unknown directive "nonsense"', "on"
        )
        self.assertIn("maintenance stays off", result["message"])
        self.assertFalse((self.host.stand_in / "loaded.conf").exists())

    def test_configuration_that_nginx_refuses(self):
        self.refused("nginx refuses the change: nginx: [emerg] unknown directive", "on", "--message=nonsense")

    def test_nginx_that_does_not_run_or_reload(self):
        (self.host.stand_in / "stopped-nginx.service").touch()
        self.refused("nginx does not run, so nothing was changed: systemctl start nginx.service", "on")
        (self.host.stand_in / "stopped-nginx.service").unlink()
        (self.host.stand_in / "deaf-nginx").touch()
        self.refused("nginx cannot be reloaded", "on")

    def test_visitors_who_see_the_site_all_the_same(self):
        self.host.deploy()
        self.host.program("cp", "#!/bin/sh\n")
        self.refused("answers 200 and not with the page for maintenance", "on")

    def test_nobody_could_look(self):
        for address, words, message in (
            (None, [], "this host has no address but loopback"),
            (VISITOR, ["--allow=127.0.0.0/8"], f"own address, {VISITOR}, is let in"),
        ):
            self.replace("own_address", lambda address=address: address)
            status, result = self.maintain("on", *words)
            self.assertEqual(status, 0)
            self.assertIn(
                f"not looked at as a visitor: {message}", result["message"].replace("this host's ", "")
            )

    def test_site_that_is_not_well_is_opened_all_the_same(self):
        self.host.deploy()
        self.maintain("on")
        (self.site.live().path / "shallow.json").write_text('["500 Oh dear", {}]')
        status, result = self.maintain("off")
        self.assertEqual(status, 1)
        self.assertIn(
            "maintenance is off, but visitors do not get the site: /health/ answers 500", result["message"]
        )
        self.assertFalse(Maintenance.of(self.site).on)

    def test_file_that_is_missing_or_changed_by_hand(self):
        self.site.maintenance.write_text("# state: {]\n")
        show_status(self.site, Reporter(self.host.output, as_json=True))
        self.assertNotIn("maintenance", self.host.events()[-1], "nobody knows")
        status, result = self.maintain("off")
        self.assertEqual((status, result["maintenance"]["on"]), (0, False))
        self.assertIn("nothing is live yet", result["message"])
        self.site.maintenance.unlink()
        status, result = self.maintain("on")
        self.assertEqual(status, 1)
        self.assertIn("maintenance.conf is missing: provision the host again", result["message"])
        self.assertFalse(self.site.maintenance.exists())

    def test_status(self):
        self.maintain("on", "--allow=203.0.113.7", "--message=Back soon")
        for show in (show_status, show_maintenance):
            for as_json in (True, False):
                show(self.site, Reporter(self.host.output, as_json=as_json))
        *_, text = self.host.output.getvalue().splitlines()
        self.assertIn("by ada: nobody sees the site, but for 203.0.113.7", text)
        self.assertIn('they are told: "Back soon"', text)
        events = [json.loads(line) for line in self.host.output.getvalue().splitlines() if line[0] == "{"]
        self.assertEqual(events[-2]["maintenance"]["allow"], ["203.0.113.7"])
        self.assertEqual((events[-1]["event"], events[-1]["on"]), ("maintenance", True))
