"""
Programs of a new release that wait: they have imported the project and go on when told so.

What they do meanwhile is in launch.py, which the units start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .files import open_new
from .releases import RELEASE_ID
from .site import Site

WEB, WORKER = "web", "worker"


def hold_file(site: Site, release: str, kind: str) -> Path:
    """The file that makes a unit of a release wait."""
    return site.runtime / f"{release}.{kind}.hold"


def hold(site: Site, release: str, kind: str, job: Mapping[str, Any]) -> None:
    """Makes a unit wait when it starts, and do a job first."""
    path = hold_file(site, release, kind)
    # The site's user may write in this directory, so what is there is not followed.
    path.unlink(missing_ok=True)
    with open_new(path, 0o640) as file:
        os.fchown(file.fileno(), site.accounts.root_user, site.accounts.site_group)
        file.write(json.dumps(job).encode())


def is_held(site: Site, release: str, kind: str) -> bool:
    """Whether a unit waits."""
    return hold_file(site, release, kind).exists()


def let_go(site: Site, release: str) -> None:
    """Lets all units of a release go on."""
    for kind in (WEB, WORKER):
        hold_file(site, release, kind).unlink(missing_ok=True)


def forget_holds(site: Site) -> int:
    """Removes what a run that was killed has left, and returns how much that was."""
    left = [path for path in site.runtime.glob("*.hold") if RELEASE_ID.fullmatch(path.name.split(".")[0])]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)
