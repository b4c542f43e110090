"""The URLs of the site, and one page that breaks."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.urls import include, path


def breaks(request: HttpRequest):
    """Raise what a defect would raise."""
    raise RuntimeError("this page is broken")


def forbids(request: HttpRequest):
    """Refuse the visitor."""
    raise PermissionDenied


urlpatterns = [
    path("breaks/", breaks),
    path("forbids/", forbids),
    path("", include("pages.urls")),
]
