from datetime import timedelta

from celery import current_app
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import SimpleTestCase, TestCase
from django.utils import timezone

from pages.tasks import clear_expired_sessions, echo

from .worker import WorkerTestCase


class EchoTests(SimpleTestCase):
    def test_returns_what_it_is_given(self):
        self.assertEqual(echo.apply(args=["hello"]).get()["value"], "hello")


class WorkerTests(WorkerTestCase):
    def test_task_goes_through_the_broker_and_back(self):
        self.assertEqual(echo.delay("hello").get(timeout=10, interval=0.1)["value"], "hello")


class ClearExpiredSessionsTests(TestCase):
    def test_deletes_expired_sessions_only(self):
        for key, hours in [("old", -1), ("new", 1)]:
            Session.objects.create(session_key=key, expire_date=timezone.now() + timedelta(hours=hours))

        clear_expired_sessions()

        self.assertEqual([session.pk for session in Session.objects.all()], ["new"])


class ScheduleTests(SimpleTestCase):
    def test_every_scheduled_task_exists(self):
        current_app.loader.import_default_modules()
        for name, entry in settings.CELERY_BEAT_SCHEDULE.items():
            with self.subTest(name):
                self.assertIn(entry["task"], current_app.tasks)
