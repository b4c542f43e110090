import json
import os
import subprocess
import sys
from io import StringIO

from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import SimpleTestCase, TestCase

from .broken_services import broken_cache, unused_port
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


class BrokenServicesTests(SimpleTestCase):
    """In a process of its own, as Celery keeps its connections for good."""

    def test_all_that_are_away_are_named(self):
        away = f"127.0.0.1:{unused_port()}"
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE,
            "DATABASE_URL": f"postgresql://nobody@{away}/nothing",
            "MEMCACHED_LOCATION": away,
            "CELERY_BROKER_URL": f"amqp://{away}//",
        }

        result = subprocess.run(
            [sys.executable, "manage.py", "check_services", "--json"],
            cwd=settings.BASE_DIR,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

        self.assertEqual(result.returncode, 1)
        self.assertIn("failed: database, cache, tasks", result.stderr)
        self.assertNotIn("Traceback", result.stderr)
        results = json.loads(result.stdout)
        self.assertIn("Connection refused", results["database"]["detail"])
        self.assertIn(away, results["cache"]["detail"])
        self.assertIn("Connection refused", results["tasks"]["detail"])
