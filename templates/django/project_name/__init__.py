"""The project: settings, URLs and the entry points of the web server and of Celery."""

# Celery's shared tasks bind to the application that is imported with the project.
from .celery import app as celery_app

__all__ = ["celery_app"]
