"""The URLs of the project."""

from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import include, path

admin.site.site_header = admin.site.site_title = settings.SITE_NAME

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("pages.urls")),
    # Only with DEBUG: in production nginx serves uploaded files.
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
]
