"""Values that every template can use."""

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, str | bool]:
    """The name of the site, and whether this is a developer's computer."""
    return {"site_name": settings.SITE_NAME, "debug": settings.DEBUG}
