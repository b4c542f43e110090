from django.db import models


class Entry(models.Model):
    """A row that a visitor's form wrote. Keys are not unique here, so that one written twice is seen."""

    key = models.CharField(max_length=100)
    release = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.key


class Run(models.Model):
    """One start of a task. A task that starts twice leaves two rows."""

    key = models.CharField(max_length=100)
    release = models.CharField(max_length=100)
    started = models.DateTimeField(auto_now_add=True)
    ended = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.key
