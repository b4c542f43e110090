"""
Services that are really away: nothing listens on their port.

Each is a context manager.
"""

import socket
from contextlib import contextmanager

from celery import current_app
from django.conf import settings
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from django.test import override_settings


def unused_port() -> int:
    """A port of this computer on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def broken_database():
    """Let the default connection lead nowhere."""
    working = connections["default"]
    connections["default"] = DatabaseWrapper(
        {
            **working.settings_dict,
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "nothing",
            "USER": "nobody",
            "HOST": "127.0.0.1",
            "PORT": unused_port(),
            "OPTIONS": {},
        },
        "default",
    )
    try:
        yield
    finally:
        connections["default"] = working


@contextmanager
def broken_cache():
    """Let the cache lead nowhere, with the options of production."""
    location = f"127.0.0.1:{unused_port()}"
    caches = {
        "default": {
            "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
            "LOCATION": location,
            "OPTIONS": settings.MEMCACHED_OPTIONS,
        }
    }
    with override_settings(CACHES=caches, MEMCACHED_LOCATION=location):
        yield


@contextmanager
def broken_broker():
    """Let the broker lead nowhere."""
    working = current_app.conf.broker_write_url
    current_app.conf.broker_write_url = f"amqp://127.0.0.1:{unused_port()}//"
    try:
        yield
    finally:
        current_app.conf.broker_write_url = working
