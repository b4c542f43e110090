"""
A release stays warm for a while: its Gunicorn goes on running beside the live one, without visitors,
so that a rollback has nothing to wait for.
"""

from __future__ import annotations

from .processes import unit_states
from .releases import Release, rollback_target
from .site import Site


def warm_release(site: Site, live: Release | None) -> Release | None:
    """The release that a rollback would go to, if it still runs with the settings of now."""
    target = rollback_target(site.kept_releases(), live) if live else None
    return target if target and is_warm(site, target) else None


def warm_unit(site: Site, live: Release | None) -> str:
    """The unit of the warm release, or ""."""
    release = warm_release(site, live)
    return site.web(release.id) if release else ""


def is_warm(site: Site, release: Release) -> bool:
    """Whether a release's Gunicorn runs, with the settings of now."""
    return unit_states(site.web(release.id)) == ["active"] and release.settings == site.fingerprint()
