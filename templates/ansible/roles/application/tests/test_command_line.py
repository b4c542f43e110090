"""What the command line takes and refuses."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout

from release.main import main

from .host import SITE

NOBODY = 65534


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
                    status = main(words)
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
            "rollback --with-db",
            "rollback --with-db --accept-loss",
            "rollback --accept-loss",
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
            f"deploy --archive - --commit {'a' * 40} --allow-incompatible-migrations",
            "rollback",
        ):
            with self.subTest(asked):
                done = self.program("--ssh-command", asked)
                self.assertIn("must be run as root", done.stderr + done.stdout)
