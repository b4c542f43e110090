"""The steps that make a backup and take it to the second place."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from ..dumps import dump
from ..errors import ReleaseError, Skipped
from ..files import directory_size, remove_tree, require_room, write_atomically
from ..messages import MIB, counted, megabytes
from ..postgresql import database_size
from .catalogue import (
    COMPLETE,
    UNFINISHED,
    backups_in,
    complete,
    identifier_of,
    new_identifier,
    restic_time,
    tags_of,
)
from .counting import applied_migrations, exported_name, one_moment, rows_at, tables_at, uploads
from .job import DUMP, MANIFEST, Contents, Job
from .repository import Repository, UnreadableError
from .settings import FIRST, SECOND, require_mounted

OTHER = {FIRST: SECOND, SECOND: FIRST}
# Files may come and go while they are stored.
ATTEMPTS = 3


def open_first(job: Job) -> str:
    """Opens the repository on this host, or makes it, and removes what a run that was killed has left."""
    left = job.staging.exists()
    remove_tree(job.staging)
    if not job.first.unlock():
        job.first.create(known(job.repositories.get(SECOND)))
        return f"made {job.first.location}"
    snapshots = job.first.snapshots()
    job.here = complete(FIRST, snapshots)
    unfinished = unfinished_in(snapshots)
    job.first.forget(unfinished)
    if not left and not unfinished:
        raise Skipped("nothing was left behind")
    return f"removed what was left of {counted(max(1, len(unfinished)), 'unfinished backup')}"


def known(repository: Repository | None) -> Repository | None:
    """A repository that another one is to be made like, if it is there."""
    # What cannot be reached must not keep the other one from being made.
    with contextlib.suppress(ReleaseError):
        return repository if repository and repository.exists() else None
    return None


def unfinished_in(snapshots: Iterable[Mapping[str, Any]]) -> list[str]:
    """The snapshots that are no backups."""
    return [each["id"] for each in snapshots if UNFINISHED in (each.get("tags") or [])]


def make_if_missing(job: Job, place: str) -> bool:
    """Makes the repository of a place unless it is there, and says whether it had to."""
    repository = job.repositories[place]
    if repository.exists():
        return False
    repository.create(known(job.repositories.get(OTHER[place])))
    return True


def check_room(job: Job) -> str:
    """Makes sure that there is room for the dump, and for what the repository grows by."""
    site = job.site
    if not site.media.is_dir():
        raise ReleaseError(f"{site.media} is not there: provision the host again")
    files, size = uploads(site.media)
    growth = max(0, size - (job.here[0].size if job.here else 0))
    # The dump is not compressed, and the repository takes it in before it goes.
    database = 2 * database_size(site, site.name)
    require_room(site.backups, database + growth + 64 * MIB)
    return f"{counted(files, 'upload')}, {megabytes(size)}"


def dump_database(job: Job) -> str:
    """
    Dumps the database, makes sure that the dump is complete, and counts the rows of the same moment.
    """
    site = job.site
    job.staging.mkdir(mode=0o700)
    job.take_back(remove_tree, job.staging)
    path = job.staged(DUMP)
    with one_moment(site, site.name) as moment:
        name = exported_name(moment)
        identifier = new_identifier()
        tables = tables_at(moment)
        # Not compressed: restic does that, and stores pieces that it has already only once.
        dump(site, path, f"--snapshot={name}", "--compress=0", expected=tables)
        rows = rows_at(moment, tables)
    live = job.previous
    files, size = uploads(site.media)
    job.contents = Contents(
        site=site.name,
        backup=identifier,
        domain=site.config.domain,
        host=socket.gethostname(),
        release=live.id if live else "",
        commit=live.commit if live else "",
        migrations=applied_migrations(site, site.name, tables),
        tables=rows,
        files=files,
        size=size,
        dump_size=path.stat().st_size,
    )
    text = json.dumps(dataclasses.asdict(job.contents), indent=2) + "\n"
    write_atomically(job.staged(MANIFEST), text, 0o600)
    return f"{megabytes(job.contents.dump_size)}, {counted(sum(rows.values()), 'row')}"


def store(job: Job) -> str:
    """
    Stores the dump and the uploads as one snapshot. The uploads come after the dump: every file that
    the database knows of is there.

    The snapshot counts as a backup only when all of it is stored.
    """
    contents, site = job.contents, job.site
    assert contents is not None
    tags = [UNFINISHED, *tags_of(contents.notes())]
    paths = [job.staging, site.media]
    for attempt in range(1, ATTEMPTS + 1):
        try:
            snapshot = job.first.add(site.name, restic_time(contents.backup), tags, paths)
            job.first.tag(snapshot, remove=UNFINISHED, add=COMPLETE)
            return contents.backup
        except BaseException as failure:
            forget_unfinished(job)
            # What is gone by the second time was deleted; what cannot be read stays so.
            if not isinstance(failure, UnreadableError) or attempt == ATTEMPTS:
                raise
    raise AssertionError("it returns or raises")


def forget_unfinished(job: Job) -> None:
    """Removes the snapshots that are no backups. If it cannot, the next run does."""
    with contextlib.suppress(ReleaseError):
        job.first.forget(unfinished_in(job.first.snapshots()))


def rules(job: Job) -> dict[str, int]:
    """How many backups stay: the newest, and the last one of each of so many days, weeks and months."""
    settings = job.settings
    return {
        "last": settings.keep_last,
        "daily": settings.keep_daily,
        "weekly": settings.keep_weekly,
        "monthly": settings.keep_monthly,
    }


def rotate(job: Job) -> str:
    """Removes backups that no rule keeps. All rules keep the newest: it must be there."""
    snapshots, removed = job.source.rotate(COMPLETE, rules(job))
    there = complete(job.place, snapshots)
    wanted = job.contents.backup if job.contents else job.here[0].id if job.here else ""
    found = [backup for backup in there if backup.id == wanted]
    if wanted and not found:
        raise ReleaseError(f"the backup {wanted} is not in {job.source.location}")
    if job.place == FIRST:
        job.here = there
    if found:
        job.chosen = found[0]
    return f"{len(there)} kept, {removed} removed"


def open_second(job: Job) -> str:
    """Opens the repository in the second place, or makes it."""
    require_mounted(job.site, job.second)
    job.here = backups_in(FIRST, job.first)
    if not job.second.unlock():
        job.second.create(job.first)
        return f"made {job.second.location}"
    raise Skipped("it is there")


def copy(job: Job) -> str:
    """Takes to the second place what is only on this host."""
    there = {identifier_of(each) for each in job.second.snapshots()}
    if not job.here:
        raise Skipped("there is no backup on this host yet")
    missing = [backup for backup in job.here if backup.id not in there]
    if not missing:
        raise Skipped(f"{job.here[0].id} is there already")
    if path := job.second.path:
        grows = directory_size(job.first.path or path) - directory_size(path)
        require_room(path, max(0, grows) + 64 * MIB)
    job.second.copy(job.first, [backup.snapshots[FIRST] for backup in missing])
    return f"{counted(len(missing), 'backup')} to {job.second.location}"
