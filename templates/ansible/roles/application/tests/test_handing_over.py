"""Ending a site on its host because another one takes it over, and bringing it back."""

import json
import unittest

from release import handing_over, maintenance
from release.command_line import parser
from release.commands import maintain, start
from release.errors import UsageError
from release.handing_over import mark, new_place
from release.maintenance import Maintenance
from release.reporting import Reporter

from .host import VISITOR, Host
from .test_maintenance import FRESH

# Answers as the broker does: first what the file says, then nothing.
RABBITMQCTL = r"""#!/bin/sh
if [ -e "$STAND_IN/broken-broker" ]; then echo "Error: unable to connect" >&2; exit 69; fi
echo "celery@worker.celery.pidbox	7"
if [ -s "$STAND_IN/tasks" ]; then
  printf 'celery\t%s\n' "$(head -n 1 "$STAND_IN/tasks")"
  sed -i 1d "$STAND_IN/tasks"
fi
"""


class HandOverTest(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.enterContext(self.host)
        self.site = self.host.site
        self.site.maintenance.write_text(FRESH)
        for name, value in {"own_address": lambda: VISITOR, "ANSWER_SECONDS": 0.2}.items():
            self.addCleanup(setattr, maintenance, name, getattr(maintenance, name))
            setattr(maintenance, name, value)
        self.addCleanup(setattr, handing_over, "TASKS_PAUSE_SECONDS", handing_over.TASKS_PAUSE_SECONDS)
        handing_over.TASKS_PAUSE_SECONDS = 0.01
        self.host.program("rabbitmqctl", f"#!/bin/sh\nSTAND_IN={self.host.stand_in}\n{RABBITMQCTL}")
        self.assertEqual(self.host.deploy()[0], 0)

    def hand_over(self, **request):
        """Hands the site over; returns the exit status and the result."""
        status, events = self.host.run("hand-over", to="192.0.2.20", **{"tasks_wait": 5, **request})
        return status, events[-1]

    def running(self):
        """The units of the site that run."""
        return sorted(path.name for path in (self.host.stand_in / "units").iterdir())

    def test_nothing_writes_any_more(self):
        (self.host.stand_in / "tasks").write_text("2\n1\n")
        status, result = self.hand_over()
        self.assertEqual((status, result["status"]), (0, "handed-over"), result)
        self.assertEqual([unit for unit in self.running() if "web@" in unit or "worker@" in unit], [])
        self.assertNotIn(self.site.beat, self.running())
        self.assertTrue(Maintenance.of(self.site).on)
        self.assertEqual(new_place(self.site), "192.0.2.20")
        told = self.host.systemctl()
        self.assertIn("disable shop-production-boot.service", told)
        self.assertIn("disable --now shop-production-backup.timer shop-production-backup-drill.timer", told)
        # The worker did what was waiting, and was stopped after that.
        stops = [line for line in told if line.startswith("stop ")]
        self.assertLess(
            next(index for index, line in enumerate(stops) if "-web@" in line),
            next(index for index, line in enumerate(stops) if "-worker@" in line),
        )

    def test_again(self):
        self.hand_over()
        status, result = self.hand_over()
        self.assertEqual((status, result["status"]), (0, "handed-over"), result)

    def test_nothing_starts_it_here(self):
        self.hand_over()
        before = self.running()
        for operation in ("deploy", "rollback", "restart"):
            with self.subTest(operation):
                status, events = self.host.run(operation)
                self.assertEqual(status, 2)
                self.assertIn("was handed over to 192.0.2.20", events[-1]["message"])
        self.assertEqual(start(self.site), 0)
        arguments = parser().parse_args(["maintenance", "off", "--by=ada"])
        self.assertEqual(maintain(self.site, arguments, Reporter(self.host.output, as_json=True)), 2)
        self.assertEqual(self.running(), before)
        self.assertTrue(Maintenance.of(self.site).on)

    def test_tasks_that_are_not_done_keep_it_here(self):
        (self.host.stand_in / "tasks").write_text("3\n" * 500)
        status, result = self.hand_over(tasks_wait=0)
        self.assertEqual((status, result["status"]), (1, "failed"))
        self.assertIn("3 tasks have not been done within 0 s", result["message"])
        self.assert_served()

    def test_tasks_that_may_be_lost(self):
        (self.host.stand_in / "tasks").write_text("3\n" * 500)
        status, result = self.hand_over(leave_tasks=True)
        self.assertEqual((status, result["status"]), (0, "handed-over"), result)

    def test_a_broker_that_does_not_answer(self):
        (self.host.stand_in / "broken-broker").touch()
        status, result = self.hand_over()
        self.assertEqual(status, 1)
        self.assertIn("does not tell how many tasks wait: Error: unable to connect", result["message"])
        self.assert_served()

    def assert_served(self):
        """The site is as it was before."""
        self.assertEqual(self.host.answers(), self.site.live().id)
        self.assertIn(self.site.beat, self.running())
        self.assertFalse(Maintenance.of(self.site).on)
        self.assertEqual(new_place(self.site), "")
        self.assertIn("enable shop-production-boot.service", self.host.systemctl())

    def test_take_back(self):
        self.hand_over()
        status, events = self.host.run("take-back")
        self.assertEqual((status, events[-1]["status"]), (0, "taken-back"), events[-1])
        self.assert_served()
        status, events = self.host.run("take-back")
        self.assertEqual((status, events[-1]["status"]), (0, "unchanged"))

    def test_take_back_after_a_run_that_was_killed(self):
        self.hand_over()
        mark(self.site).unlink()
        status, events = self.host.run("take-back")
        self.assertEqual((status, events[-1]["status"]), (0, "taken-back"), events[-1])
        self.assert_served()

    def test_a_mark_that_cannot_be_read(self):
        mark(self.site).write_text(json.dumps([]))
        self.assertEqual(new_place(self.site), "another host")

    def test_only_an_administrator_may(self):
        from release.command_line import remote_words

        for words in ("hand-over --to=192.0.2.20", "take-back"):
            with self.assertRaises(UsageError):
                remote_words([words])
