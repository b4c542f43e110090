"""Settings of every server, staging too. Behind nginx, which ends TLS."""

import os

from django.core.exceptions import ImproperlyConfigured

from .base import *

REQUIRED = [
    "SECRET_KEY",
    "ALLOWED_HOSTS",
    "DATABASE_URL",
    "MEMCACHED_LOCATION",
    "CELERY_BROKER_URL",
    "EMAIL_URL",
    "DEFAULT_FROM_EMAIL",
    "ADMIN_EMAIL",
    "STATIC_ROOT",
    "MEDIA_ROOT",
]
# All at once: who has to set several should not learn of them one by one. An empty value is no value.
missing = [name for name in REQUIRED if not os.environ.get(name, "").strip()]
if missing:
    noun = "environment variable" if len(missing) == 1 else "environment variables"
    raise ImproperlyConfigured(f"set the {noun} {', '.join(missing)} (.env.example explains each)")

DEBUG = False
# Not read with env, for which a value that starts with a dollar sign is the name of another variable.
SECRET_KEY = os.environ["SECRET_KEY"]
# Old keys, while a key is rotated: what they signed stays valid.
SECRET_KEY_FALLBACKS = [key for key in os.environ.get("SECRET_KEY_FALLBACKS", "").split(",") if key]
ALLOWED_HOSTS = [host.strip() for host in env.list("ALLOWED_HOSTS")]

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": f"{ROOT_URLCONF.partition('.')[0]}.staticfiles.ReleaseStaticFilesStorage"},
}

# nginx sets this header itself on every request, so a visitor cannot forge it.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=2 * 365 * 24 * 60 * 60)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", default=False)
# Both are promises for hosts that this project knows nothing of, so they are for the domain's owner to
# make: W005 asks for all subdomains, W021 for the list that browsers ship.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
CSRF_COOKIE_SECURE = True
SESSION_COOKIE_SECURE = True
# With this prefix browsers refuse a cookie that another host of the same domain has set.
SESSION_COOKIE_NAME = "__Host-sessionid"

LOGGING["handlers"]["console"]["formatter"] = "json"
LOGGING["handlers"]["mail_admins"] = {
    "class": "django.utils.log.AdminEmailHandler",
    "level": "ERROR",
}
LOGGING["root"]["handlers"] = ["console", "mail_admins"]
# Anybody can send a request with a wrong host: worth a line in the log, not a message.
LOGGING["loggers"]["django.security.DisallowedHost"] = {
    "handlers": ["console"],
    "propagate": False,
}
