"""
Tasks for the Celery worker.

Send one with `task.delay(…)`, or with `task.delay_on_commit(…)` when it needs rows that the running
transaction has written.
"""

from celery import shared_task
from django.core.management import call_command


@shared_task(bind=True)
def echo(self, value: str) -> dict[str, str]:
    """Return the value and the name of the worker, which proves the way there and back."""
    return {"value": value, "worker": self.request.hostname}


@shared_task(ignore_result=True)
def clear_expired_sessions() -> None:
    """Delete sessions that nobody can use any more. Beat sends it every night."""
    call_command("clearsessions")
