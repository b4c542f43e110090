"""Health checks. The other pages are plain templates, see urls.py."""

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from . import services


@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Say that the application runs. Touches no service, so that it stays cheap."""
    return JsonResponse({"status": "ok", "release": settings.RELEASE_ID})


@never_cache
@require_safe
def health_deep(request: HttpRequest) -> JsonResponse:
    """Check database, cache, broker and uploads: status 200, or 503 when one of them fails."""
    checks = {
        "database": services.measure(services.database_answers),
        "cache": services.measure(services.cache_keeps_a_value),
        "broker": services.measure(services.broker_answers),
        "media": services.measure(services.media_keeps_a_file),
    }
    ok = all(result.ok for result in checks.values())
    return JsonResponse(
        {
            "status": "ok" if ok else "failed",
            "release": settings.RELEASE_ID,
            "checks": {name: result.as_dict() for name, result in checks.items()},
        },
        status=200 if ok else 503,
    )
