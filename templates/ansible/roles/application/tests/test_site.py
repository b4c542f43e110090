"""The configuration of a site."""

import json
from typing import ClassVar

from release.errors import ReleaseError
from release.site import Config

from .host import SITE, Temporary


class ConfigTest(Temporary):
    GOOD: ClassVar = {"site": SITE, "project_name": "shop", "domain": "shop.example.com"}

    def read(self, text):
        path = self.directory / "release.json"
        path.write_text(text)
        return Config.read(path)

    def test_defaults(self):
        self.assertEqual(self.read(json.dumps(self.GOOD)).keep_releases, 5)

    def test_refused(self):
        for changes, message in (
            ({"site": "Shop"}, "'Shop' is not a name of a site"),
            ({"site": "../etc"}, "'../etc' is not a name of a site"),
            ({"project_name": "my-shop"}, "'my-shop' is not a Python package"),
            ({"domain": "a b"}, "'a b' is not a domain"),
            ({"keep_releases": 0}, "keep_releases must be at least 1, not 0"),
            ({"keep_releases": "5"}, "keep_releases must be int, not '5'"),
            ({"keep_releases": True}, "keep_releases must be int, not True"),
            ({"keep": 3}, "unknown setting 'keep'"),
        ):
            with self.subTest(changes), self.assertRaisesRegex(ReleaseError, message):
                self.read(json.dumps({**self.GOOD, **changes}))

    def test_broken_file(self):
        for text, message in (
            ("{", "not valid JSON"),
            ("[]", "not hold a JSON object"),
            ("{}", "missing"),
        ):
            with self.subTest(text), self.assertRaisesRegex(ReleaseError, message):
                self.read(text)

    def test_missing_file(self):
        with self.assertRaisesRegex(ReleaseError, "cannot read .*provision"):
            Config.read(self.directory / "nothing.json")
