"""What the command line takes and refuses."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout

from release.command_line import network
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
            (["maintenance"], "required: action"),
            (["maintenance", "up"], "invalid choice: 'up'"),
            (["maintenance", "off", "--allow", "::1"], "unrecognized arguments"),
            (["maintenance", "on", "--allow", ""], "'' is neither an address nor a network"),
            (["maintenance", "on", "--allow", "office"], "'office' is neither an address"),
            (["maintenance", "on", "--allow", "10.0.0.256"], "'10.0.0.256' is neither"),
            (["maintenance", "on", "--allow", "10.0.0.0/33"], "'10.0.0.0/33' is neither"),
            (["maintenance", "on", "--allow", "fe80::1%eth0"], "'fe80::1%eth0' is neither"),
            (["maintenance", "on", "--allow", "10.0.0.5/8"], "write 10.0.0.0/8, or 10.0.0.5 for"),
            (["maintenance", "on", "--allow", "2001:db8::5/32"], "write 2001:db8::/32, or 2001:db8::5"),
            (["maintenance", "on", "--allow", "::ffff:10.0.0.5/104"], "write 10.0.0.0/8, or 10.0.0.5"),
            (["maintenance", "on", "--allow", "0.0.0.0/0"], "'0.0.0.0/0' would let everybody in"),
            (["maintenance", "on", "--retry-after", "0"], "'0' is not a number of seconds from 1"),
            (["maintenance", "on", "--retry-after", "1h"], "'1h' is not a number of seconds"),
            (["maintenance", "on", "--message", "a\nb"], "printable characters in one line"),
            (["maintenance", "on", "--message", "a" * 501], "at most 500 printable"),
        ):
            with self.subTest(words):
                done = self.program(*words)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(message, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1)

    def test_addresses_have_one_form(self):
        for text, expected in (
            ("203.0.113.7", "203.0.113.7"),
            (" 203.0.113.7 ", "203.0.113.7"),
            ("203.0.113.7/32", "203.0.113.7"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
            ("2001:DB8:0::7", "2001:db8::7"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ):
            with self.subTest(text):
                self.assertEqual(network(text), expected)

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
            "maintenance on --config=/tmp/x",
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
            "maintenance on --allow 203.0.113.7 --message 'Back at noon'",
            "maintenance off --by ada",
            "maintenance status --json",
        ):
            with self.subTest(asked):
                done = self.program("--ssh-command", asked)
                self.assertIn("must be run as root", done.stderr + done.stdout)
