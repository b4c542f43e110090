"""Settings of the tests: development's, made fast. The same services as in development."""

from .development import *

DEBUG = False
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# A worker that runs for development must not take the tasks of the tests.
CELERY_TASK_DEFAULT_QUEUE = "test"
# The safe one is slow on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGGING["handlers"]["console"]["level"] = "CRITICAL"
