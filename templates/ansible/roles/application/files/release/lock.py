"""One run at a time changes a site."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import LockedError
from .messages import now
from .site import Site

# `status` takes the lock for a moment to see who holds it.
SHORTEST_WAIT_SECONDS = 0.5


@contextlib.contextmanager
def locked(
    site: Site,
    by: str,
    operation: str,
    wait: float = 0,
    when_busy: Callable[[str], object] = lambda owner: None,
    lock: Path | None = None,
) -> Iterator[None]:
    """
    Holds a lock of this site, the one of its releases unless another is named. Raises LockedError,
    with its owner, when another run still holds it after so many seconds; `when_busy` is told who
    that is at the first attempt.

    The kernel keeps the lock, so it ends with the process that holds it, however that ends.
    """
    descriptor = os.open(lock or site.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        started, told = time.monotonic(), False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - started
                file.seek(0)
                owner = describe_lock(file.read())
                if waited >= max(wait, SHORTEST_WAIT_SECONDS):
                    raise LockedError(f"{owner}: try again when it is done, or wait: --wait 600") from None
                if wait and waited >= SHORTEST_WAIT_SECONDS and not told:
                    when_busy(owner)
                    told = True
                time.sleep(0.1)
        file.seek(0)
        file.truncate(0)
        json.dump({"by": by, "operation": operation, "since": now(), "pid": os.getpid()}, file)
        file.flush()
        yield


def lock_owner(site: Site) -> str:
    """Who holds the lock, for people, or ""."""
    try:
        with site.lock.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return describe_lock(file.read())
    except FileNotFoundError:
        pass
    return ""


def describe_lock(contents: str) -> str:
    """The contents of a lock file as a sentence."""
    try:
        owner = json.loads(contents)
        what = f"a {owner['operation']} by {owner['by']}"
        return f"{what} runs since {owner['since']} (process {owner['pid']})"
    except (ValueError, KeyError, TypeError):
        return "another run has just begun"
