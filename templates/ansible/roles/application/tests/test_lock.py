"""One run at a time."""

import fcntl
import json
import subprocess
import sys
import threading
import unittest

from release.lock import lock_owner

from .host import Host


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
            self.assertIn("alice", lock_owner(host.site))
            holder.kill()
            holder.communicate()
            self.assertEqual(lock_owner(host.site), "")
            self.assertEqual(host.run("deploy", archive=archive, commit=commit)[0], 0)

    def test_waits_for_the_run_before_and_says_so(self):
        with Host() as host, host.site.lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            threading.Timer(1, lambda: fcntl.flock(file, fcntl.LOCK_UN)).start()
            archive, commit = host.commit()
            status, events = host.run("deploy", archive=archive, commit=commit, wait=30)
            self.assertEqual(status, 0)
            self.assertIn("waiting up to 30 s", events[0]["message"])

    def test_a_glance_at_the_lock_is_no_obstacle(self):
        with Host() as host, host.site.lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            threading.Timer(0.15, lambda: fcntl.flock(file, fcntl.LOCK_UN)).start()
            self.assertEqual(host.deploy()[0], 0)
