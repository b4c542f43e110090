"""Before anything is made: leftovers go, and there must be room."""

from __future__ import annotations

import time

from ..archives import read_archive
from ..dumps import remove_unfinished
from ..errors import ReleaseError, Skipped, UsageError
from ..files import remove_tree, require_room
from ..holding import forget_holds
from ..hot_fixes import hot_fixes
from ..messages import MIB, counted, megabytes
from ..processes import release_of, systemctl, unit_instances
from ..releases import BUILT, RELEASE_ID, Release
from ..transaction import Transaction
from ..warmth import warm_unit
from .repairing import end_what_was_begun
from .virtual_environment import COMPLETE

# Uploads whose command died before it could remove them.
STALE_UPLOAD_SECONDS = 24 * 60 * 60


def tidy(transaction: Transaction) -> str:
    """
    Removes what a run that was killed has left: half-made directories, and units that are not live.
    """
    site, live = transaction.site, transaction.previous
    removed = 0
    repaired = end_what_was_begun(site, live)
    for directory in (site.home, site.releases, site.virtual_environments, site.static, site.cache):
        directory.mkdir(parents=True, exist_ok=True)
    for path in site.releases.iterdir():
        upload = path.name.startswith(".upload-")
        if upload and time.time() - path.stat().st_mtime < STALE_UPLOAD_SECONDS:
            continue  # another run's, which waits for the lock or is about to be refused
        unfinished = RELEASE_ID.fullmatch(path.name) and Release.load(path).status == BUILT
        if upload or path.name.startswith(".") or (unfinished and (not live or path.name != live.id)):
            remove_tree(path)
            removed += 1
    for path in (*site.backups.glob("*.tmp"), *site.backups.glob("*.schema")):
        path.unlink()
        removed += 1
    for path in site.virtual_environments.iterdir():
        if not (path / COMPLETE).is_file():
            remove_tree(path)
            removed += 1
    removed += forget_holds(site) + remove_unfinished(site)
    if site.staging.exists():
        remove_tree(site.staging)
        removed += 1
    warm = warm_unit(site, live)
    stray = [
        unit for unit in unit_instances(site) if unit != warm and (not live or release_of(unit) != live.id)
    ]
    if stray:
        systemctl("stop", "--no-block", *stray)
    if not removed and not stray and not repaired:
        raise Skipped("nothing was left behind")
    tidied = f"removed {counted(removed, 'leftover')}, {counted(len(stray), 'unit')} told to stop"
    return "; ".join(part for part in (repaired, tidied) if part)


def check_hot_fixes(transaction: Transaction) -> str:
    """Stops when somebody has changed the live release on the server: a deploy would undo that."""
    live = transaction.previous
    changes = hot_fixes(live) if live else []
    if not changes:
        raise Skipped("the live release is as it was deployed")
    assert live is not None
    listed = ", ".join(changes[:5]) + (f" and {len(changes) - 5} more" if len(changes) > 5 else "")
    if not transaction.request.discard_hot_fix:
        raise ReleaseError(
            f"the live release was changed on the server: {listed} in {live.path}. "
            "Commit the same change, or deploy with --discard-hot-fix"
        )
    transaction.reporter.warning("hot-fix", f"changes made on the server are not in this commit: {listed}")
    return f"{counted(len(changes), 'changed file')} left behind in {live.id}"


def check_room(transaction: Transaction) -> str:
    """Reads the archive, and makes sure that there is room for what it unpacks to."""
    site, request = transaction.site, transaction.request
    assert request.archive is not None
    limit = site.config.archive_limit_mib * MIB
    archive = read_archive(request.archive, 4 * limit)
    if archive.commit and archive.commit != request.commit:
        raise UsageError(f"the archive is of commit {archive.commit}, not of {request.commit}")
    transaction.archive = archive
    # Twice the code, for its compiled form and its static files, and room to breathe for everything
    # else.
    require_room(site.releases, 2 * archive.size + 256 * MIB, 3 * len(archive.members) + 1000)
    return f"{counted(len(archive.members), 'file')}, {megabytes(archive.size)}"
