"""A Celery worker for tests."""

from unittest import skipIf

from celery import current_app
from celery.contrib.testing.worker import start_worker
from django.conf import settings
from django.test import TransactionTestCase


@skipIf(settings.CELERY_TASK_ALWAYS_EAGER, "needs a broker: set CELERY_BROKER_URL")
class WorkerTestCase(TransactionTestCase):
    """Runs a real worker, in a thread, with the broker that CELERY_BROKER_URL names."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Celery's event loop looks for the end of the tests only when a message arrives.
        worker = start_worker(current_app, pool="solo", perform_ping_check=False, use_eventloop=False)
        cls.enterClassContext(worker)
