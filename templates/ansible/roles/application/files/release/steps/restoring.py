"""
Going back with the data: the dump from before the migrations that followed a release, restored into
a database of its own and put in the place of the live one.

Everything that takes time happens while the site is served. Then it closes: nobody may write to a
database that is about to be replaced. Two databases swap their names in one step of PostgreSQL, so
whatever happens, the site has one of them.

A file says that this is under way. A run that finds it knows that another one was killed.
"""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path
from typing import NamedTuple

from .. import databases
from ..differences import Difference, differences
from ..dumps import BEFORE, RESTORED, SUFFIX, dumps, release_of_dump
from ..errors import ConfirmationNeededError, ReleaseError, UsageError
from ..files import require_room, sync_directory, write_atomically
from ..messages import MIB, counted, last_lines, megabytes
from ..postgresql import data_directory, database_size
from ..processes import systemctl, unit_instances
from ..releases import UNDONE, Release
from ..site import Site
from ..transaction import Transaction
from .switching import switch


class Restoring(NamedTuple):
    """What is under way: the release and the dump to go back to, and names of databases."""

    release: str
    previous: str
    dump: str
    # what the live database is called when it has been replaced
    replaced: str

    @classmethod
    def under_way(cls, site: Site) -> Restoring | None:
        """What a run has begun and not ended, or None."""
        try:
            return cls(**json.loads(mark(site).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def mark(site: Site) -> Path:
    """The file that says what is under way."""
    return site.backups / "restoring.json"


def choose_dump(transaction: Transaction) -> str:
    """Finds the dump of the database as the release to go back to has left it."""
    site, release, live = transaction.site, transaction.release, transaction.previous
    assert live is not None
    # By their names, because a release that failed after it had migrated is not there any more.
    later = [path for path in dumps(site) if release_of_dump(path) > release.id]
    if not later:
        raise UsageError(
            f"no migration has been applied since {release.id}, so the database needs no restoring: use "
            "rollback without --with-db"
        )
    migrated = [
        each.id for each in site.kept_releases() if release.id < each.id <= live.id and each.migrations
    ]
    if migrated and min(migrated) < release_of_dump(later[0]):
        raise ReleaseError(
            f"the dump from before the migrations of {min(migrated)} is gone from {site.backups}"
        )
    transaction.dump = later[0]
    size = later[0].stat().st_size
    return f"{later[0]} ({megabytes(size)}, made {made_at(later[0])})"


def made_at(path: Path) -> str:
    """When a dump was made, for people."""
    moment = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def restore_beside(transaction: Transaction) -> str:
    """Restores the dump into a new database, while the live one goes on."""
    site, previous, dump = transaction.site, transaction.previous, transaction.dump
    assert previous is not None
    assert dump is not None
    require_room(data_directory(site), database_size(site, site.name) + 256 * MIB)
    restoring = Restoring(transaction.release.id, previous.id, str(dump), databases.replaced_name(site))
    write_atomically(mark(site), json.dumps(restoring._asdict()) + "\n", 0o600)
    sync_directory(site.backups)
    transaction.restoring = restoring
    transaction.take_back(remove_scratch, site)
    name = databases.scratch_name(site)
    databases.remove(site, name)
    databases.create_beside(site, name)
    databases.restore(site, dump, name)
    return f"{name} ({megabytes(database_size(site, name))})"


def remove_scratch(site: Site) -> None:
    """Removes the database that is not needed, and with it what says that something is under way."""
    databases.remove(site, databases.scratch_name(site))
    mark(site).unlink(missing_ok=True)


def require_acceptance(transaction: Transaction) -> str:
    """Says what would be lost, and stops unless a person has accepted that."""
    site, dump = transaction.site, transaction.dump
    assert dump is not None
    found = differences(site, site.name, databases.scratch_name(site))
    for difference in found:
        transaction.reporter.event(f"    {difference.describe()}", event="difference", **difference._asdict())
    summary = summarize(found)
    if transaction.request.accept_loss:
        return f"accepted: {summary}"
    raise ConfirmationNeededError(
        f"going back to {transaction.release.id} restores the dump made {made_at(dump)}: {summary}. "
        "Nothing has been changed. To lose that, give --accept-loss too"
    )


def summarize(found: list[Difference]) -> str:
    """How much all differences are together. Each of them has been reported."""
    if not found:
        return "no row would be lost"
    lost, returning = (sum(getattr(each, name) for each in found) for name in ("lost", "returning"))
    return (
        f"{counted(lost, 'row')} of now would be lost and {counted(returning, 'row')} of then would come "
        f"back, in {counted(len(found), 'table')}"
    )


def close_site(transaction: Transaction) -> str:
    """
    Stops everything that writes to the database. Visitors get the page that says so last: until
    then the scheduler has stopped and the worker has ended its tasks.
    """
    site, previous = transaction.site, transaction.previous
    assert previous is not None
    transaction.take_back(open_again, transaction)
    writers = [unit for unit in unit_instances(site) if unit != site.web(transaction.release.id)]
    web = [unit for unit in writers if "-web@" in unit]
    stop(site.beat, *(unit for unit in writers if unit not in web))
    transaction.closed_at = time.monotonic()
    stop(*web)
    return f"{previous.id} has stopped"


def stop(*units: str) -> None:
    """Stops units, and waits until they have."""
    stopped = systemctl("stop", *units)
    if stopped.returncode:
        raise ReleaseError(f"{', '.join(units)} cannot be stopped", last_lines(stopped.stderr))


def open_again(transaction: Transaction) -> None:
    """Starts the release that was live."""
    start(transaction.site, transaction.previous)


def start(site: Site, release: Release | None) -> None:
    """Starts all units of a release."""
    if release:
        systemctl("start", site.web(release.id), site.worker(release.id), site.beat)


def swap(transaction: Transaction) -> str:
    """Puts the restored database in the place of the live one."""
    site, restoring = transaction.site, transaction.restoring
    transaction.take_back(swap_back, site, restoring)
    databases.swap(site, databases.scratch_name(site), restoring.replaced)
    return f"{site.name} is the restored one, {restoring.replaced} was replaced"


def swap_back(site: Site, restoring: Restoring) -> None:
    """Puts the live database back in its place, if it was replaced."""
    if databases.exists(site, restoring.replaced):
        # Whoever runs by now would write to the wrong one, and keep it from being renamed.
        systemctl("stop", site.beat, *unit_instances(site))
        databases.swap(site, restoring.replaced, databases.scratch_name(site))


def switch_over(transaction: Transaction) -> str:
    """Switches to the release. Taken back, the database goes first: the old release must not see another."""
    message = switch(transaction)
    transaction.take_back(swap_back, transaction.site, transaction.restoring)
    return message


def conclude(transaction: Transaction) -> str:
    """Notes that what followed the release is undone, and keeps one replaced database."""
    site = transaction.site
    kept = finish(site, transaction.restoring)
    return f"{kept} is kept"


def finish(site: Site, restoring: Restoring) -> str:
    """
    Writes down what a restored database means for releases and dumps. Returns the name of the
    replaced database. Can be repeated.
    """
    dump = Path(restoring.dump)
    migrated_first = release_of_dump(dump)
    for release in site.kept_releases():
        if release.id >= migrated_first and release.proven:
            release.save(status=UNDONE, message="its migrations were undone: deploy its commit again")
    # They are of a past that did not happen: a later rollback must not choose them.
    for path in dumps(site):
        if release_of_dump(path) > migrated_first:
            path.unlink()
    if dump.exists():
        for path in site.backups.glob(f"{RESTORED}*{SUFFIX}"):
            path.unlink()
        dump.rename(dump.with_name(dump.name.replace(BEFORE, RESTORED, 1)))
    for name in databases.replaced_databases(site):
        if name != restoring.replaced:
            databases.remove(site, name)
    mark(site).unlink(missing_ok=True)
    return restoring.replaced


def end_restoring(site: Site, live: Release | None) -> str:
    """
    Ends what a run that was killed has begun to restore, and says how, or "": forward if the
    release that it goes back to is live already, back otherwise.
    """
    restoring = Restoring.under_way(site)
    if restoring is None:
        mark(site).unlink(missing_ok=True)
        return ""
    if live and live.id == restoring.release and databases.exists(site, restoring.replaced):
        start(site, live)
        systemctl("restart", site.beat)
        return f"the restored database stays: {finish(site, restoring)} is kept"
    swap_back(site, restoring)
    start(site, live)
    remove_scratch(site)
    return "the database is the one from before a rollback that was killed"
