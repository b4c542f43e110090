"""Removes what no kept release needs."""

from __future__ import annotations

from collections.abc import Sequence

from ..dumps import dumps, release_of_dump
from ..errors import Skipped
from ..files import regular_files, remove_tree
from ..messages import counted
from ..processes import release_of, unit_instances
from ..releases import BAD, GOOD, PLAIN_STATIC, RELEASE_ID, WITHDRAWN, Release, rollback_target
from ..site import Site
from ..static_files import prune_static_files, retire_static_files
from ..transaction import Transaction


def prune(transaction: Transaction) -> str:
    """
    Removes old releases, and the virtual environments, static files and dumps that only they
    needed.
    """
    site = transaction.site
    kept, gone = releases_to_keep(
        site, transaction.release, {release_of(unit) for unit in unit_instances(site)}
    )
    names = set().union(*(release.static_names() for release in kept))
    retire_static_files(site, set().union(*(release.static_names() for release in gone)) - names)
    for release in gone:
        remove_tree(release.path)
    environments = prune_virtual_environments(site)
    plain = {path.as_posix() for release in kept for path in regular_files(release.path / PLAIN_STATIC)}
    static = prune_static_files(site, names | plain)
    removed_dumps = prune_dumps(site, kept)
    for path in site.runtime.glob("*.sock"):
        if RELEASE_ID.fullmatch(path.stem) and not (site.releases / path.stem).exists():
            path.unlink(missing_ok=True)
    if not (gone or environments or static or removed_dumps):
        raise Skipped(f"{counted(len(kept), 'release')} kept")
    return (
        f"{counted(len(gone), 'release')}, {counted(environments, 'virtual environment')}, "
        f"{counted(static, 'static file')}, {counted(removed_dumps, 'dump')} removed"
    )


def releases_to_keep(site: Site, live: Release, running: set[str]) -> tuple[list[Release], list[Release]]:
    """Divides the releases on disk into those that stay and those that go."""
    releases = site.kept_releases()
    proven = [release for release in releases if release.status in (GOOD, WITHDRAWN)]
    # A restart makes a second release of a commit. The newer one is enough.
    newest: dict[str, Release] = {}
    for release in proven:
        newest.setdefault(release.commit, release)
    proven = list(newest.values())
    failed = [release for release in releases if release.status == BAD]
    stay = {live.id, *running, *(release.id for release in proven[: site.config.keep_releases])}
    stay.update(release.id for release in failed[:1])
    if target := rollback_target(releases, live):
        stay.add(target.id)
    kept = [release for release in releases if release.id in stay]
    return kept, [release for release in releases if release.id not in stay]


def prune_virtual_environments(site: Site) -> int:
    """Removes the virtual environments that no release uses, and returns their number."""
    links = [path / ".venv" for path in site.releases.iterdir()]
    used = {link.readlink().name for link in links if link.is_symlink()}
    unused = [path for path in site.virtual_environments.iterdir() if path.name not in used]
    for path in unused:
        remove_tree(path)
    return len(unused)


def prune_dumps(site: Site, kept: Sequence[Release]) -> int:
    """
    Removes the dumps whose releases are gone, and returns their number.

    One of a release that failed after it had migrated stays as long as there is an older release to
    go back to: its migrations are in the database.
    """
    stay = {release.id for release in kept}
    oldest = min(release.id for release in kept if release.status in (GOOD, WITHDRAWN))
    unused = [
        path for path in dumps(site) if release_of_dump(path) not in stay and release_of_dump(path) < oldest
    ]
    for path in unused:
        path.unlink()
    return len(unused)
