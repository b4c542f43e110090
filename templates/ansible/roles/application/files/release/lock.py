"""One run at a time changes a site."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import LockedError
from .messages import now
from .site import Site

# A tenth of a second apart. `status` takes the lock for a moment to see who holds it.
LOCK_ATTEMPTS = 5


@contextlib.contextmanager
def locked(site: Site, by: str, operation: str, lock: Path | None = None) -> Iterator[None]:
    """
    Holds a lock of this site, the one of its releases unless another is named. Raises LockedError,
    with its owner, when another run holds it.

    The kernel keeps the lock, so it ends with the process that holds it, however that ends.
    """
    descriptor = os.open(lock or site.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        for attempt in range(LOCK_ATTEMPTS):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == LOCK_ATTEMPTS - 1:
                    raise LockedError(f"{describe_lock(file.read())}: try again when it is done") from None
                time.sleep(0.1)
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
