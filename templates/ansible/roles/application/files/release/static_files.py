"""The static files of all releases, in the directory that nginx serves."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from .files import regular_files
from .releases import MANIFEST, PLAIN_STATIC, Release
from .site import Site


def keep_static_files(site: Site, release: Release, staging: Path) -> int:
    """
    Takes over what collectstatic has made, and returns the number of files.

    Files with a hash in their name go to the directory that all releases share: whatever the name
    names is the same for all. The others differ between releases, so each keeps its own until it is
    switched to.
    """
    manifest = staging / MANIFEST
    if manifest.is_file() and not manifest.is_symlink():
        target = release.path / MANIFEST
        shutil.copyfile(manifest, target)
        target.chmod(0o640)
        os.chown(target, site.accounts.root_user, site.accounts.site_group)
    hashed = release.static_names()
    count = 0
    for path in regular_files(staging / "static"):
        shared = path.as_posix() in hashed
        copy_static_file(
            staging / "static" / path,
            (site.static if shared else release.path / PLAIN_STATIC) / path,
        )
        count += 1
    return count


def copy_static_file(source: Path, target: Path) -> None:
    """Copies a file that visitors may read, unless it is there."""
    if target.exists():
        return
    make_public_directory(target.parent)
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.copyfile(source, temporary)
    temporary.chmod(0o644)
    temporary.replace(target)


def make_public_directory(path: Path) -> None:
    """Makes a directory, and its parents, that visitors' requests reach."""
    if not path.exists():
        make_public_directory(path.parent)
        path.mkdir()
        path.chmod(0o755)


def publish_plain_static_files(site: Site, release: Release) -> None:
    """Makes the static files without a hash in their name those of this release."""
    own = release.path / PLAIN_STATIC
    for path in regular_files(own):
        target = site.static / path
        if target.exists() and target.samefile(own / path):
            continue
        make_public_directory(target.parent)
        temporary = target.with_name(f".{target.name}.tmp")
        temporary.unlink(missing_ok=True)
        temporary.hardlink_to(own / path)
        temporary.replace(target)


def retire_static_files(site: Site, names: Iterable[str]) -> None:
    """Starts the time after which static files that no kept release needs are removed."""
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            os.utime(site.static / name)


def prune_static_files(site: Site, needed: set[str]) -> int:
    """
    Removes static files that no kept release needs and that have been retired for long enough.

    Pages that visitors still have open, and search engines, ask for the files of releases that are
    gone.
    """
    oldest = time.time() - site.config.keep_static_days * 24 * 60 * 60
    removed = 0
    for path in list(regular_files(site.static)):
        if path.as_posix() not in needed and (site.static / path).stat().st_mtime < oldest:
            (site.static / path).unlink()
            removed += 1
    return removed
