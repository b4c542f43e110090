"""What `converge` does to files. Units need a host with systemd: each provisioning uses them."""

import contextlib
import grp
import io
import json
import os
import pwd
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from ansible.module_utils import basic

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "modules"))

import converge


class ConvergeTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.path = self.directory / "file"

    def converge(self, *files, check=None, check_mode=False):
        defaults = {name: option.get("default") for name, option in converge.FILE_OPTIONS.items()}
        mine = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}
        wanted = [{**defaults, **mine, "path": str(self.path), **file} for file in files]
        outcome = converge.Outcome(check_mode)
        converge.converge({"files": wanted, "check": check, "units": []}, outcome)
        return outcome

    def test_tells_the_journal_of_the_host_nothing(self):
        mine = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}
        file = {**mine, "path": str(self.path), "secret_content": 'PASSWORD="of several\nlines"\n'}
        arguments = json.dumps({"ANSIBLE_MODULE_ARGS": {"files": [file], "_ansible_no_log": False}})
        with (
            mock.patch.object(basic, "_ANSIBLE_ARGS", arguments.encode()),
            mock.patch.object(basic, "_ANSIBLE_PROFILE", "legacy", create=True),
            mock.patch.object(basic.AnsibleModule, "log") as log,
            contextlib.redirect_stdout(io.StringIO()),
            self.assertRaises(SystemExit) as ended,
        ):
            converge.main()
        self.assertEqual((ended.exception.code, log.call_args_list), (0, []))
        self.assertIn("several", self.path.read_text())

    def test_writes_a_file_once(self):
        self.assertEqual(self.converge({"content": "a\n"}).actions, [f"write {self.path}"])
        self.assertEqual(self.path.read_text(), "a\n")
        self.assertEqual(self.converge({"content": "a\n"}).actions, [])

    def test_repairs_content_and_mode(self):
        self.converge({"content": "a\n", "mode": "0640"})
        self.path.write_text("damaged\n")
        self.path.chmod(0o666)
        self.converge({"content": "a\n", "mode": "0640"})
        self.assertEqual(self.path.read_text(), "a\n")
        self.assertEqual(self.path.stat().st_mode & 0o7777, 0o640)
        self.path.chmod(0o666)
        before = self.path.stat().st_mtime_ns
        self.converge({"content": "a\n", "mode": "0640"})
        self.assertEqual(self.path.stat().st_mode & 0o7777, 0o640)
        # Nothing has to be restarted for a mode.
        self.assertEqual(self.path.stat().st_mtime_ns, before)

    def test_changes_nothing_in_check_mode(self):
        outcome = self.converge({"content": "a\n"}, check_mode=True)
        self.assertEqual(outcome.actions, [f"write {self.path}"])
        self.assertEqual(outcome.diffs[0]["after"], "a\n")
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_shows_no_secret(self):
        self.path.write_text("old secret")
        outcome = self.converge({"secret_content": "new secret"})
        self.assertNotIn("secret", repr(outcome.diffs) + repr(outcome.actions))
        self.assertEqual(self.path.read_text(), "new secret")

    def test_puts_everything_back_when_the_check_fails(self):
        self.path.write_text("works\n")
        os.utime(self.path, ns=(1, 1))
        new, link = self.directory / "new", self.directory / "link"
        link.symlink_to("before")
        with self.assertRaisesRegex(converge.ConvergeError, "grep"):
            self.converge(
                {"content": "broken\n"},
                {"path": str(new), "content": "new\n"},
                {"path": str(link), "link": "after"},
                check=["grep", "-q", "works", str(self.path)],
            )
        self.assertEqual((self.path.read_text(), self.path.stat().st_mtime_ns), ("works\n", 1))
        self.assertFalse(new.exists())
        self.assertEqual(str(link.readlink()), "before")

    def test_leaves_the_file_when_its_own_validation_fails(self):
        self.path.write_text("old\n")
        with self.assertRaises(converge.ConvergeError):
            self.converge({"content": "new\n", "validate": ["grep", "-q", "old", "%s"]})
        self.assertEqual(self.path.read_text(), "old\n")
        self.assertEqual([path.name for path in self.directory.iterdir()], ["file"])

    def test_keeps_a_block_among_the_lines_of_others(self):
        self.path.write_text("theirs\n")
        self.converge({"block": "mine", "marker": "shop", "prepend": True})
        self.assertEqual(self.path.read_text(), "# BEGIN shop\nmine\n# END shop\ntheirs\n")
        self.converge({"block": "other", "marker": "shop"})
        self.assertEqual(self.path.read_text(), "# BEGIN shop\nother\n# END shop\ntheirs\n")
        self.converge({"block": "", "marker": "shop"})
        self.assertEqual(self.path.read_text(), "theirs\n")

    def test_makes_directories_and_links_and_removes(self):
        inner, link = self.directory / "a", self.directory / "link"
        files = (
            {"path": str(inner), "directory": True, "mode": "2750"},
            {"path": str(link), "link": "a"},
            {"absent": True},
        )
        self.path.write_text("unwanted")
        self.assertEqual(len(self.converge(*files).actions), 3)
        self.assertEqual(inner.stat().st_mode & 0o7777, 0o2750)
        self.assertEqual(self.converge(*files).actions, [])

    def test_has_a_missing_file_made_by_its_command(self):
        file = {"created_by": ["sh", "-c", f"echo made > {self.path}"]}
        self.converge(file)
        self.assertEqual(self.path.read_text(), "made\n")
        self.assertEqual(self.converge(file).actions, [])

    def test_refuses_a_file_of_two_kinds(self):
        with self.assertRaisesRegex(converge.ConvergeError, "exactly one of"):
            self.converge({"content": "a", "link": "b"})


if __name__ == "__main__":
    unittest.main()
