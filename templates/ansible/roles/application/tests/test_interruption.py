"""Runs that are stopped or killed."""

import os
import signal
import time
import unittest

from release import commands
from release.steps import DEPLOY

from .host import Host


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
            (tidied,) = [event for event in events if event.get("name") == "tidy"]
            self.assertIn("removed 2 leftovers", tidied["message"])
            self.assertEqual(host.names(), [".upload-fresh.tar", live, host.answers()])
            self.assertEqual(len(list(host.site.virtual_environments.iterdir())), 1)

    def test_killed_after_the_switch(self):
        with Host() as host:
            host.deploy()
            old = host.site.live()
            archive, commit = host.commit()
            child = os.fork()
            if child == 0:
                commands.DEPLOY = [
                    step._replace(run=lambda transaction: os.kill(os.getpid(), signal.SIGKILL))
                    if step.name == "live"
                    else step
                    for step in DEPLOY
                ]
                host.run("deploy", archive=archive, commit=commit)
                os._exit(0)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), -signal.SIGKILL)
            new = host.answers()
            self.assertNotEqual(new, old.id)
            self.assertIn(host.site.web(old.id), host.units())
            status, events = host.run("deploy", archive=archive, commit=commit)
            self.assertEqual((status, events[-1]["release"], host.answers()), (0, new, new))
            self.assertEqual(host.site.live().status, "good")
            self.assertNotIn(host.site.worker(old.id), host.units())
