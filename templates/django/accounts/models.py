"""The user model."""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """
    A user of the site.

    The same as Django's own for now. A project cannot change to a model of its own later without
    pain, so it has one from its first migration: add fields here.
    """
