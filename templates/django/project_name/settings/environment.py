"""Reads settings from environment variables."""

import environ
from django.core.exceptions import ImproperlyConfigured


class Environment(environ.Env):
    """django-environ, with errors that name the variable and keep secrets to themselves."""

    def get_value(self, var, *args, **kwargs):
        """Read a variable. Raises ImproperlyConfigured when it is missing or of the wrong type."""
        try:
            return super().get_value(var, *args, **kwargs)
        except ValueError as error:
            raise ImproperlyConfigured(f"the environment variable {var} is wrong: {error}") from error

    def database(self, var: str) -> dict:
        """Read a database's URL. Raises ImproperlyConfigured when it is not one."""
        url = self.str(var)
        try:
            if url.partition("://")[0] not in self.DB_SCHEMES:
                raise ValueError("unknown scheme")
            return self.db_url_config(url)
        except ValueError:
            # The original error may quote a part of the password.
            raise ImproperlyConfigured(
                f"the environment variable {var} is not a URL like postgresql://user:password@host/name "
                "(special characters in the password have to be percent-encoded)"
            ) from None
