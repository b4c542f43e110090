"""Where the release comes from: an archive, the live release, or one that was kept."""

from __future__ import annotations

import compileall
import datetime
import os
import shutil
from pathlib import Path

from ..archives import unpack
from ..errors import ReleaseError, UsageError
from ..files import remove_tree
from ..hot_fixes import record_files
from ..messages import now
from ..releases import BUILT, RECORD, UNDONE, Release, rollback_target
from ..site import Accounts, Site
from ..transaction import Request, Transaction


def unpack_release(transaction: Transaction) -> str:
    """Unpacks the code beside the other releases, and names it only when it is complete."""
    site, request = transaction.site, transaction.request
    assert request.archive is not None
    assert transaction.archive is not None
    release = new_release(site, request)
    temporary = site.releases / f".{release.id}.tmp"
    transaction.take_back(remove_tree, temporary)
    unpack(request.archive, transaction.archive, temporary, site.accounts)
    record_files(temporary, site.accounts)
    # The site's user cannot write here, so Python could not keep what it compiles. A file that does
    # not compile is the import's business.
    compileall.compile_dir(temporary, quiet=2, stripdir=temporary, prependdir=release.path)
    for path in temporary.rglob("__pycache__"):
        give_group(path, site.accounts)
    finish_directory(transaction, temporary, release)
    return release.id


def give_group(directory: Path, accounts: Accounts) -> None:
    """Lets the site read what was written into its release."""
    directory.chmod(0o751)
    for path in [directory, *directory.iterdir()]:
        os.chown(path, accounts.root_user, accounts.site_group)


def new_release(site: Site, request: Request) -> Release:
    """A release with a new name. Two of the same commit within a second get different ones."""
    moment = datetime.datetime.now(datetime.UTC)
    while True:
        path = site.releases / f"{moment.strftime('%Y%m%dT%H%M%SZ')}-{request.commit[:8]}"
        if not path.exists():
            return Release(path, commit=request.commit, created=now(), by=request.by)
        moment += datetime.timedelta(seconds=1)


def finish_directory(transaction: Transaction, temporary: Path, release: Release) -> None:
    """
    Gives a complete directory its final name, and everything that a release has besides its code.
    """
    (temporary / "gunicorn.sock").symlink_to(transaction.site.socket(release.id))
    transaction.take_back(discard, release)
    temporary.rename(release.path)
    release.save()
    transaction.release = release


def discard(release: Release) -> None:
    """Removes a release that was never live. A bad one stays, so that somebody can look at it."""
    if Release.load(release.path).status == BUILT:
        remove_tree(release.path)


def copy_live_release(transaction: Transaction) -> str:
    """
    Makes a second release of the live code, so that new processes can be started beside the old
    ones.
    """
    site, live = transaction.site, transaction.previous
    assert live is not None
    release = new_release(site, transaction.request)
    temporary = site.releases / f".{release.id}.tmp"
    transaction.take_back(remove_tree, temporary)
    shutil.copytree(
        live.path, temporary, symlinks=True, ignore=shutil.ignore_patterns("gunicorn.sock", RECORD)
    )
    for original in [live.path, *live.path.rglob("*")]:
        copied = temporary / original.relative_to(live.path)
        if copied.is_symlink() or copied.exists():
            owner = original.lstat()
            os.chown(copied, owner.st_uid, owner.st_gid, follow_symlinks=False)
    finish_directory(transaction, temporary, release)
    return release.id


def find_release(site: Site, wanted: str) -> Release:
    """The release of a name or commit. Raises UsageError when none is kept."""
    releases = site.kept_releases()
    for release in releases:
        if release.id == wanted or (len(wanted) >= 7 and release.commit.startswith(wanted)):
            return release
    known = ", ".join(release.id for release in releases) or "none"
    raise UsageError(f"there is no release {wanted!r}; kept are: {known}")


def choose_target(transaction: Transaction) -> str:
    """Finds the release to go back to."""
    live, wanted = transaction.previous, transaction.request.release
    releases = transaction.site.kept_releases()
    if live is None:
        raise ReleaseError("nothing is live yet, so there is nothing to go back from: deploy first")
    if not wanted:
        target = rollback_target(releases, live)
        if target is None:
            raise ReleaseError(
                f"no good release older than {live.id} is kept, so there is none to go back to"
            )
    else:
        target = find_release(transaction.site, wanted)
    if target.id == live.id:
        raise UsageError(f"{target.id} is live already")
    if target.status == UNDONE:
        raise UsageError(f"{target.id} cannot be gone back to: {target.message}")
    if not target.proven:
        raise UsageError(f"{target.id} never was live and well ({target.message or target.status})")
    transaction.release = target
    return target.id
