import os
import time

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST, require_safe

from . import tasks
from .models import Entry
from .revision import REVISION

def answer(**values) -> JsonResponse:
    """Say who answers."""
    # Gunicorn's main process: the same for all its workers, and another one after each start.
    return JsonResponse({"release": settings.RELEASE_ID, "process": str(os.getppid()), **values})


@never_cache
@require_safe
@ensure_csrf_cookie
def page(request: HttpRequest) -> HttpResponse:
    """Show a page with a form and a static file, after a query."""
    return render(
        request,
        "probe/page.html",
        {"release": settings.RELEASE_ID, "revision": REVISION, "found": Entry.objects.filter(key="").count()},
    )


@never_cache
@require_safe
def who(request: HttpRequest) -> JsonResponse:
    """Say which release and which process answers."""
    return answer(revision=REVISION)


@never_cache
@require_safe
def slow(request: HttpRequest) -> JsonResponse:
    """Answer after ten seconds."""
    time.sleep(10)
    return answer()


@require_POST
def entries(request: HttpRequest) -> JsonResponse:
    """Write a row."""
    entry = Entry.objects.create(key=request.POST["key"], release=settings.RELEASE_ID)
    return answer(key=entry.key)


@require_POST
def runs(request: HttpRequest) -> JsonResponse:
    """Send a task."""
    key = request.POST["key"]
    tasks.current.delay(key, float(request.POST["seconds"]))
    return answer(key=key)
