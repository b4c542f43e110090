from django.apps import AppConfig


class ProbeConfig(AppConfig):
    """What a load generator uses to see whether a deploy loses anything."""

    name = "probe"
    default_auto_field = "django.db.models.BigAutoField"
