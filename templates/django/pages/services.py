"""Checks of the services that the site needs: database, cache and broker."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

from celery import current_app
from celery.exceptions import TimeoutError as TaskTimeoutError
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection
from django.utils import timezone
from django.utils.crypto import get_random_string

from .tasks import echo


class ServiceError(Exception):
    """A service answered, but not with what it was given."""


@dataclass
class Result:
    """What one check has found, and how long it took."""

    ok: bool
    detail: str
    seconds: float

    def as_dict(self) -> dict[str, bool | str | float]:
        """The result as JSON can hold it."""
        return asdict(self)


def measure(check: Callable[[], str]) -> Result:
    """Run a check, which returns a detail or raises. Never raises itself."""
    started = time.monotonic()
    try:
        ok, detail = True, check()
    except Exception as error:  # Each service has errors of its own, and all of them mean "broken".
        message = " ".join(str(error).split())
        ok, detail = False, f"{type(error).__name__}: {message}" if message else type(error).__name__
    return Result(ok, detail, round(time.monotonic() - started, 3))


def database_answers() -> str:
    """Ask the database for its version."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SHOW server_version")
        else:
            cursor.execute("SELECT sqlite_version()")
        (version,) = cursor.fetchone()
    return f"{connection.display_name} {version}"


def database_keeps_a_row() -> str:
    """Write a row, read it back and delete it."""
    version = database_answers()
    # A table that every Django site has, and whose forgotten rows are cleared anyway.
    session = Session(
        session_key=get_random_string(32),
        session_data=get_random_string(32),
        expire_date=timezone.now() + timedelta(minutes=1),
    )
    session.save(force_insert=True)
    try:
        stored = Session.objects.get(pk=session.pk)
        if stored.session_data != session.session_data:
            raise ServiceError("the row that was read is not the one that was written")
    finally:
        session.delete()
    return version


def cache_keeps_a_value() -> str:
    """Write a value, read it back and delete it."""
    name = settings.MEMCACHED_LOCATION or "the memory of this process"
    key, value = f"service-check-{get_random_string(16)}", get_random_string(32)
    cache.set(key, value, timeout=60)
    if cache.get(key) != value:
        # The cache hides its errors from the pages, so a value that is gone is all that can be seen.
        raise ServiceError(f"a value that was written to {name} cannot be read back")
    cache.delete(key)
    return name


def media_keeps_a_file() -> str:
    """Write a file where uploads go, down to the disk: a full one is noticed there first."""
    directory = Path(settings.MEDIA_ROOT)
    directory.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=directory, prefix=".service-check-") as file:
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())
    return str(directory)


def broker_answers() -> str:
    """Open a connection to the broker and close it again."""
    with current_app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=2)
        return f"{broker.transport.driver_name} at {broker.as_uri()}"


def task_comes_back(timeout: float) -> str:
    """Send a task through the broker and wait for its result, at most `timeout` seconds."""
    value = get_random_string(32)
    result = echo.delay(value)
    try:
        answer = result.get(timeout=timeout, interval=0.1)
    except TaskTimeoutError:
        raise ServiceError(f"no worker has done the task within {timeout:g} seconds") from None
    finally:
        result.forget()
    if answer["value"] != value:
        raise ServiceError("the task returned something else than it was given")
    where = "at once, without a worker" if settings.CELERY_TASK_ALWAYS_EAGER else answer["worker"]
    return f"done by {where}"
