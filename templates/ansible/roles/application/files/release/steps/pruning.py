"""Removes what no kept release needs."""

from __future__ import annotations

from collections.abc import Sequence

from ..dumps import dumps, release_of_dump
from ..errors import Skipped, UsageError
from ..files import regular_files, remove_tree
from ..messages import counted
from ..processes import release_of, unit_instances
from ..releases import BAD, GOOD, PLAIN_STATIC, RELEASE_ID, Release, rollback_target
from ..site import Site
from ..static_files import prune_static_files, retire_static_files
from ..transaction import Transaction
from .obtaining import find_release


def prune(transaction: Transaction) -> str:
    """
    Removes old releases, and the virtual environments, static files and dumps that only they
    needed.
    """
    site = transaction.site
    live = transaction.previous if transaction.request.command == "prune" else transaction.release
    if live is None:
        raise Skipped("nothing is live yet")
    keep = transaction.request.keep or site.config.keep_releases
    releases = site.kept_releases()
    # A restart makes a second release of a commit. The newer one is enough.
    newest: dict[str, Release] = {}
    for release in releases:
        if release.proven:
            newest.setdefault(release.commit, release)
    stay = {*protected_releases(site, live), *(release.id for release in [*newest.values()][:keep])}
    # The newest that failed, so that somebody can look at it.
    stay.update([release.id for release in releases if release.status == BAD][:1])
    return remove_releases(site, [release for release in releases if release.id not in stay])


def delete(transaction: Transaction) -> str:
    """Removes one release that nobody needs. Raises UsageError for one that is needed."""
    site, live = transaction.site, transaction.previous
    release = find_release(site, transaction.request.release)
    reason = protected_releases(site, live).get(release.id) if live else None
    if reason:
        raise UsageError(f"{release.id} cannot be deleted: it is {reason}")
    return remove_releases(site, [release])


def protected_releases(site: Site, live: Release) -> dict[str, str]:
    """The releases that must stay on the host, and why."""
    releases = site.kept_releases()
    reasons = {release_of(unit): "running" for unit in unit_instances(site)}
    if proven := [r for r in releases if r.status == GOOD and r.id != live.id]:
        reasons[proven[0].id] = "the last one that was proven"
    if target := rollback_target(releases, live):
        reasons[target.id] = "what a rollback would go back to"
    return {**reasons, live.id: "live"}


def remove_releases(site: Site, gone: Sequence[Release]) -> str:
    """Removes releases with everything that only they needed, and says what that was."""
    ids = {release.id for release in gone}
    kept = [release for release in site.kept_releases() if release.id not in ids]
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
    oldest = min(release.id for release in kept if release.proven)
    unused = [
        path for path in dumps(site) if release_of_dump(path) not in stay and release_of_dump(path) < oldest
    ]
    for path in unused:
        path.unlink()
    return len(unused)
