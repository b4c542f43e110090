import json
from io import StringIO

from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import TestCase

from .broken_services import broken_broker, broken_cache
from .worker import WorkerTestCase


class CheckServicesChecks:
    """What holds with a worker and without one."""

    def check(self, *args: str) -> str:
        output = StringIO()
        call_command("check_services", *args, stdout=output)
        return output.getvalue()

    def test_all_services_work(self):
        results = json.loads(self.check("--json"))

        self.assertEqual(list(results), ["database", "cache", "tasks"])
        for result in results.values():
            self.assertIs(result["ok"], True, results)
            self.assertIsInstance(result["seconds"], float)
            self.assertNotEqual(result["detail"], "")

    def test_prints_a_line_for_each_service(self):
        lines = self.check().splitlines()

        self.assertEqual([line.split()[:2] for line in lines[:1]], [["database", "ok"]])
        self.assertEqual(len(lines), 3)

    def test_leaves_nothing_behind(self):
        self.check()

        self.assertFalse(Session.objects.exists())

    def test_broken_cache_is_named(self):
        output = StringIO()
        with broken_cache(), self.assertRaisesMessage(CommandError, "failed: cache"):
            call_command("check_services", "--json", stdout=output)

        results = json.loads(output.getvalue())
        self.assertEqual([name for name in results if not results[name]["ok"]], ["cache"])


class CheckServicesWithWorkerTests(CheckServicesChecks, WorkerTestCase):
    pass


if settings.CELERY_TASK_ALWAYS_EAGER:

    class CheckServicesTests(CheckServicesChecks, TestCase):
        pass

else:

    class CheckServicesWithoutWorkerTests(TestCase):
        def test_waits_no_longer_than_told(self):
            with self.assertRaisesMessage(CommandError, "failed: tasks"):
                call_command("check_services", "--timeout", "0.5", stdout=StringIO())

        def test_broken_broker_is_named(self):
            with broken_broker(), self.assertRaisesMessage(CommandError, "failed: tasks"):
                call_command("check_services", stdout=StringIO())
