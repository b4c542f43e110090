"""The password of the backups, while it is rotated. The repositories are real."""

import io
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from release.backups.passwords import add_password, opens, read_password, remove_other_passwords
from release.backups.repository import Repository
from release.errors import ReleaseError

from .repositories import templates

OLD, NEW = 'pass"word $with \\ everything', "the new one"


class PasswordTest(unittest.TestCase):
    def setUp(self):
        directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, directory)
        self.places = []
        for name, template in zip(("first", "second"), templates(OLD), strict=True):
            shutil.copytree(template, directory / name)
            self.places.append(str(directory / name))

    def repositories(self, password):
        variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", "RESTIC_PASSWORD": password}
        cache = {"RESTIC_CACHE_DIR": str(Path(self.places[0]).parent / "cache")}
        return [Repository(place, place, {**variables, **cache}) for place in self.places]

    def test_both_open_the_repositories_until_the_old_one_is_removed(self):
        old, new = self.repositories(OLD), self.repositories(NEW)
        self.assertEqual(add_password(old, NEW), 2)
        # Once more, as after a run that was cut off.
        self.assertEqual(add_password(old, NEW), 0)
        self.assertTrue(opens(old[0], NEW) and opens(old[1], OLD))
        self.assertEqual(remove_other_passwords(new), "2 old passwords removed")
        self.assertEqual(remove_other_passwords(new), "no other password opens them")
        self.assertFalse(any(opens(place, OLD) for place in new))

    def test_a_place_that_cannot_be_opened_is_named(self):
        gone = self.repositories(OLD)[1]
        shutil.rmtree(gone.location)
        with self.assertRaisesRegex(ReleaseError, gone.location):
            add_password([gone], NEW)

    def test_a_password_is_one_line_of_standard_input(self):
        with mock.patch("sys.stdin", io.StringIO("the new one\n")):
            self.assertEqual(read_password(), NEW)
        with mock.patch("sys.stdin", io.StringIO("\n")), self.assertRaises(ReleaseError):
            read_password()
