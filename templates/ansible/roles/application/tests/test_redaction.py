"""Secrets in messages."""

import unittest

from release.redaction import OWN_SECRETS, hide, secret_values


class SecretTest(unittest.TestCase):
    ENVIRONMENT = "\n".join(
        (
            r'SECRET_KEY="quo\"te \\ and \$dollar"',
            'SECRET_KEY_FALLBACKS="old-key-one,old-key-two"',
            'CELERY_BROKER_URL="amqp://shop:p%40ssw%2Ford@127.0.0.1:5672/shop"',
            'STATIC_ROOT="/srv/shop/static"',
            "BARE_TOKEN=without-quotes",
            'TINY_KEY="abc"',
        )
    )

    def test_found(self):
        found = secret_values(self.ENVIRONMENT)
        for value in (
            'quo"te \\ and $dollar', "old-key-one", "old-key-two", "p%40ssw%2Ford", "p@ssw/ord",
            "without-quotes",
        ):  # fmt: skip
            self.assertIn(value, found)
        self.assertNotIn("/srv/shop/static", found)
        self.assertNotIn("abc", found)

    def test_own_secrets_whatever_they_are_called(self):
        own = 'SENTRY_DSN="https://abc@sentry.example/1"\nCERTIFICATE="first line\nsecond \\"line\\""\n'
        found = secret_values(f'{self.ENVIRONMENT}\nLOG_LEVEL="WARNING"\n{OWN_SECRETS} And so on.\n{own}')
        for value in (
            "https://abc@sentry.example/1",
            "first line",
            'second "line"',
            'first line\nsecond "line"',
        ):
            self.assertIn(value, found)
        self.assertNotIn("WARNING", found)

    def test_hidden_in_structures(self):
        entry = {"detail": ["key p@ssw/ord", 3], "message": 'quo"te \\ and $dollar!'}
        hidden = hide(entry, secret_values(self.ENVIRONMENT))
        self.assertEqual(hidden, {"detail": ["key [hidden]", 3], "message": "[hidden]!"})
