import json
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.test import SimpleTestCase, override_settings

STORAGE = f"{settings.ROOT_URLCONF.partition('.')[0]}.staticfiles.ReleaseStaticFilesStorage"


class ReleaseStaticFilesStorageTests(SimpleTestCase):
    def setUp(self):
        self.directory = Path(self.enterContext(TemporaryDirectory()))
        self.static_root = self.directory / "static"

    def collect(self, release: str, style: str) -> str:
        """Collect a release's static files, and return the name of its style sheet."""
        base = self.directory / release
        (base / "assets").mkdir(parents=True)
        (base / "assets" / "style.css").write_text(style)
        with override_settings(
            BASE_DIR=base,
            STATIC_ROOT=self.static_root,
            STATICFILES_DIRS=[base / "assets"],
            STORAGES={**settings.STORAGES, "staticfiles": {"BACKEND": STORAGE}},
        ):
            call_command("collectstatic", interactive=False, stdout=StringIO())
            self.assertTrue((base / "staticfiles.json").is_file())
            self.assertFalse((self.static_root / "staticfiles.json").exists())
            manifest = json.loads((base / "staticfiles.json").read_text())
            name = manifest["paths"]["style.css"]
            self.assertEqual(staticfiles_storage.url("style.css"), f"/static/{name}")
            return name

    def test_releases_share_one_directory(self):
        old = self.collect("old", "body { color: red }")
        new = self.collect("new", "body { color: green }")

        self.assertNotEqual(old, new)
        self.assertEqual((self.static_root / old).read_text(), "body { color: red }")
        self.assertEqual((self.static_root / new).read_text(), "body { color: green }")
