"""Where the static files of a release go."""

from django.conf import settings
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage
from django.core.files.storage import FileSystemStorage


class ReleaseStaticFilesStorage(ManifestStaticFilesStorage):
    """
    Hashed files in STATIC_ROOT, their manifest with the code in BASE_DIR.

    Several releases share one STATIC_ROOT that only grows. A page that was served by the old release
    still finds its files while the new one is live, and each release knows only its own names.
    """

    def __init__(self, *args, **kwargs):
        manifest_storage = FileSystemStorage(location=settings.BASE_DIR)
        super().__init__(*args, manifest_storage=manifest_storage, **kwargs)
