import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings
from django.test import SimpleTestCase

PACKAGE = settings.ROOT_URLCONF.partition(".")[0]


class ProductionSettingsTests(SimpleTestCase):
    """Each test starts a process of its own, as settings are read once in a process."""

    def setUp(self):
        directory = self.enterContext(TemporaryDirectory())
        self.environment = {
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": f"{PACKAGE}.settings.production",
            "SECRET_KEY": "jDp3sVq8Xw2ZkTf7LrYb5NcHm9GaEu4Ri6Uo1Qe0BxWzKvPtMy",
            "ALLOWED_HOSTS": "www.example.com",
            "DATABASE_URL": "postgresql://site@/site?host=/run/postgresql",
            "MEMCACHED_LOCATION": "unix:/run/site/memcached.sock",
            "CELERY_BROKER_URL": "amqp://site:secret@127.0.0.1:5672/site",
            "EMAIL_URL": "smtp://127.0.0.1:25",
            "DEFAULT_FROM_EMAIL": "site@example.com",
            "ADMIN_EMAIL": "admin@example.com",
            "STATIC_ROOT": str(Path(directory, "static")),
            "MEDIA_ROOT": str(Path(directory, "media")),
        }

    def manage(
        self, *args: str, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *args],
            cwd=settings.BASE_DIR,
            env=environment or self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def test_check_deploy_is_clean(self):
        result = self.manage("check", "--deploy", "--fail-level", "WARNING")

        self.assertEqual(result.returncode, 0, result.stderr)

    def test_missing_variable_is_named(self):
        del self.environment["CELERY_BROKER_URL"]

        result = self.manage("check")

        self.assertNotEqual(result.returncode, 0)
        self.assertIn("set the environment variable CELERY_BROKER_URL ", result.stderr)
        self.assertNotIn("Traceback", result.stderr)

    def test_all_missing_variables_are_named_at_once(self):
        for name in ["SECRET_KEY", "ADMIN_EMAIL"]:
            self.environment[name] = " "

        result = self.manage("check_services")

        self.assertNotEqual(result.returncode, 0)
        self.assertIn("set the environment variables SECRET_KEY, ADMIN_EMAIL ", result.stderr)
        self.assertNotIn("Traceback", result.stderr)

    def test_wrong_value_is_named(self):
        for name, value in [
            ("DATABASE_URL", "nonsense"),
            ("DATABASE_URL", "postgresql://site:hush/hush@localhost/site"),
            ("DATABASE_CONN_MAX_AGE", "long"),
        ]:
            with self.subTest(name=name, value=value):
                environment = {**self.environment, name: value}

                result = self.manage("check", environment=environment)

                self.assertNotEqual(result.returncode, 0)
                self.assertIn(f"the environment variable {name} is ", result.stderr)
                self.assertNotIn("Traceback", result.stderr)
                self.assertNotIn("hush", result.stderr)

    def evaluate(self, code: str) -> object:
        """Run code in the project's shell, and return what it has printed as JSON."""
        result = self.manage("shell", "--no-imports", "--command", code)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def test_database_is_reached_through_the_socket(self):
        parameters = self.evaluate(
            "import json; from django.db import connection;"
            "parameters = connection.get_connection_params();"
            "print(json.dumps([parameters[name] for name in ('dbname', 'user', 'host')]))"
        )

        self.assertEqual(parameters, ["site", "site", "/run/postgresql"])

    def test_any_character_may_be_in_a_key(self):
        key = "$5Kj#q%2'w\"Z\\x&8Tn Vb=7Lr(Yc)9Hm*Ga+4Ri-6Uo!1Qe@0Bx^Wz"
        self.environment |= {"SECRET_KEY": key, "SECRET_KEY_FALLBACKS": "$old,older"}

        keys = self.evaluate(
            "import json; from django.conf import settings;"
            "print(json.dumps([settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]))"
        )

        self.assertEqual(keys, [key, "$old", "older"])

    def test_hosts_may_be_separated_by_comma_and_space(self):
        self.environment["ALLOWED_HOSTS"] = "example.com, www.example.com"

        hosts = self.evaluate(
            "import json; from django.conf import settings; print(json.dumps(settings.ALLOWED_HOSTS))"
        )

        self.assertEqual(hosts, ["example.com", "www.example.com"])


class ModelsTests(SimpleTestCase):
    def test_no_migration_is_missing(self):
        result = subprocess.run(
            [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"],
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            check=False,
        )

        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
