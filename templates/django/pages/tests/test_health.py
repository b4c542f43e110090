import tempfile
from pathlib import Path

from django.test import TestCase, override_settings
from django.urls import reverse

from .broken_services import broken_broker, broken_cache, broken_database


class HealthTests(TestCase):
    url = reverse("pages:health")

    @override_settings(RELEASE_ID="20260102T030405Z-0123abcd")
    def test_says_which_release_runs(self):
        response = self.client.get(self.url)

        self.assertEqual(response.status_code, 200)
        self.assertEqual(response.json(), {"status": "ok", "release": "20260102T030405Z-0123abcd"})
        self.assertIn("no-store", response.headers["Cache-Control"])

    def test_touches_no_service(self):
        with broken_database(), broken_cache(), broken_broker():
            self.assertEqual(self.client.get(self.url).status_code, 200)

    def test_answers_reading_requests_only(self):
        self.assertEqual(self.client.head(self.url).status_code, 200)
        self.assertEqual(self.client.post(self.url).status_code, 405)


class DeepHealthTests(TestCase):
    url = reverse("pages:health_deep")

    def setUp(self):
        media = tempfile.TemporaryDirectory()
        self.addCleanup(media.cleanup)
        self.media = Path(media.name)
        self.enterContext(override_settings(MEDIA_ROOT=media.name))

    def assert_only_failure(self, name: str):
        response = self.client.get(self.url)
        data = response.json()
        self.assertEqual(response.status_code, 503)
        self.assertEqual(data["status"], "failed")
        failed = {check: result for check, result in data["checks"].items() if not result["ok"]}
        self.assertEqual(list(failed), [name], data)
        self.assertNotEqual(failed[name]["detail"], "")

    def test_all_services_work(self):
        response = self.client.get(self.url)

        data = response.json()
        self.assertEqual(response.status_code, 200, data)
        self.assertEqual(data["status"], "ok")
        self.assertEqual(list(data["checks"]), ["database", "cache", "broker", "media"])
        self.assertTrue(all(result["ok"] for result in data["checks"].values()))

    def test_database_is_away(self):
        with broken_database():
            self.assert_only_failure("database")

    def test_cache_is_away(self):
        with broken_cache():
            self.assert_only_failure("cache")

    def test_broker_is_away(self):
        with broken_broker():
            self.assert_only_failure("broker")

    def test_uploads_cannot_be_written(self):
        file = self.media / "file"
        file.write_text("a file is no directory")
        with override_settings(MEDIA_ROOT=file):
            self.assert_only_failure("media")

    def test_leaves_no_file_behind(self):
        self.client.get(self.url)
        self.assertEqual(list(self.media.iterdir()), [])

    def test_page_survives_without_cache(self):
        with broken_cache():
            self.assertEqual(self.client.get(reverse("pages:home")).status_code, 200)
