import json
import logging
import uuid
from logging.config import DictConfigurator

from django.conf import settings
from django.test import SimpleTestCase, override_settings
from django.urls import reverse

from pages.logs import AccessLogFilter


class Recorder(logging.Handler):
    """Keeps the lines that production would print."""

    def __init__(self):
        super().__init__()
        configurator = DictConfigurator(settings.LOGGING)
        self.setFormatter(configurator.configure_formatter(settings.LOGGING["formatters"]["json"]))
        self.addFilter(configurator.configure_filter(settings.LOGGING["filters"]["request_id"]))
        self.lines = []

    def emit(self, record):
        self.lines.append(json.loads(self.format(record)))


class RequestIdTests(SimpleTestCase):
    def request_id(self, **headers) -> str:
        return self.client.get(reverse("pages:health"), headers=headers).headers["X-Request-ID"]

    def test_every_response_has_one_of_its_own(self):
        first, second = self.request_id(), self.request_id()

        self.assertEqual(uuid.UUID(first).hex, first)
        self.assertNotEqual(first, second)

    def test_keeps_the_one_of_the_web_server(self):
        given = uuid.uuid4().hex

        self.assertEqual(self.request_id(**{"X-Request-ID": given}), given)

    def test_refuses_anything_else(self):
        for given in ["", "1", "x" * 32, f"{uuid.uuid4().hex} forged", "<b>" + "0" * 29]:
            with self.subTest(given=given):
                answer = self.request_id(**{"X-Request-ID": given})
                self.assertNotEqual(answer, given)
                self.assertEqual(uuid.UUID(answer).hex, answer)

    @override_settings(ROOT_URLCONF="pages.tests.broken_urls")
    def test_log_lines_carry_it(self):
        recorder = Recorder()
        logger = logging.getLogger("django.request")
        logger.addHandler(recorder)
        self.addCleanup(logger.removeHandler, recorder)
        self.client.raise_request_exception = False

        response = self.client.get("/breaks/")

        (line,) = recorder.lines
        self.assertEqual(line["request_id"], response.headers["X-Request-ID"])
        self.assertEqual(line["level"], "ERROR")
        self.assertEqual(line["logger"], "django.request")
        self.assertEqual(line["release"], settings.RELEASE_ID)
        self.assertIn("RuntimeError: this page is broken", line["exc_info"])
        self.assertIn("timestamp", line)


class AccessLogTests(SimpleTestCase):
    def record(self, *args) -> logging.LogRecord:
        return logging.LogRecord("gunicorn.access", logging.INFO, "", 0, "%(r)s", args, None)

    def test_access_becomes_fields(self):
        record = self.record(
            {
                "m": "GET",
                "U": "/health/",
                "s": "200",
                "M": 12,
                "B": 34,
                "a": "a browser",
                "{x-request-id}o": "0123",
            }
        )

        self.assertTrue(AccessLogFilter().filter(record))

        self.assertEqual(record.getMessage(), "GET /health/ 200")
        self.assertEqual((record.status, record.duration_ms), (200, 12))
        self.assertEqual(record.request_id, "0123")

    def test_other_lines_pass_unchanged(self):
        record = self.record()

        self.assertTrue(AccessLogFilter().filter(record))
        self.assertFalse(hasattr(record, "status"))
