"""
The steps of a drill: the newest backup is restored where it disturbs nobody, and compared with what it
says of itself.
"""

from __future__ import annotations

import datetime
import random
from pathlib import Path
from typing import Any

from .. import databases
from ..errors import ReleaseError
from ..files import remove_tree, require_room
from ..messages import MIB, counted, megabytes
from ..postgresql import data_directory, database_size
from ..site import Site
from .catalogue import backups_in, choose
from .counting import one_moment, rows_at, tables_at
from .job import DUMP, MANIFEST, Contents, Job
from .settings import SECOND, require_mounted

# Of the uploads, so many are restored, of at most so many bytes each.
SAMPLE_FILES = 10
SAMPLE_BYTES = 64 * MIB


def drill_name(site: Site) -> str:
    """The database that a drill restores into."""
    return f"{site.name}_drill"


def choose_newest(job: Job) -> str:
    """Finds the newest backup of a place, and reads what is in it."""
    repository, place = job.source, job.place
    if place == SECOND:
        require_mounted(job.site, repository)
    if not repository.unlock():
        raise ReleaseError(f"{repository.name} ({repository.location}) is not there: make a backup first")
    job.chosen = choose(backups_in(place, repository), "", place)
    job.snapshot = job.backup.snapshots[place]
    manifest = repository.read_file(job.snapshot, job.staged(MANIFEST))
    job.contents = Contents.of(manifest)
    if job.contents.backup != job.backup.id or job.contents.site != job.site.name:
        raise ReleaseError(f"{job.backup.id} says that it is {job.contents.backup} of {job.contents.site}")
    remove_tree(job.scratch)
    job.scratch.mkdir(mode=0o700)
    job.take_back(remove_tree, job.scratch)
    return f"{job.backup.id}: {job.backup.summary()}"


def check(job: Job) -> str:
    """Reads a repository: to its end if it is small, otherwise one part, another one in each week."""
    repository, settings = job.source, job.settings
    size = repository.size()
    parts = settings.drill_parts
    if size <= settings.drill_read_all_mib * MIB or parts == 1:
        repository.check("")
        return f"all of {megabytes(size)} read"
    week = datetime.datetime.now(datetime.UTC).toordinal() // 7
    part = week % parts + 1
    repository.check(f"{part}/{parts}")
    return f"part {part} of {parts} of {megabytes(size)} read"


def fetch(job: Job) -> str:
    """Takes the dump out of a backup: restic compares it with its checksums."""
    assert job.contents is not None
    require_room(job.scratch, job.contents.dump_size + 64 * MIB)
    path = job.scratch / DUMP
    job.source.write_file(job.snapshot, job.staged(DUMP), path)
    if path.stat().st_size != job.contents.dump_size:
        raise ReleaseError(
            f"the dump of {job.backup.id} has {path.stat().st_size} bytes, not {job.contents.dump_size}"
        )
    return megabytes(path.stat().st_size)


def restore_dump(job: Job) -> str:
    """Restores the dump into a database of its own."""
    site, name = job.site, drill_name(job.site)
    require_room(data_directory(site), 2 * database_size(site, site.name) + 256 * MIB)
    job.take_back(databases.remove, site, name)
    databases.remove(site, name)
    databases.create_beside(site, name)
    databases.restore(site, job.scratch / DUMP, name)
    return name


def compare_rows(job: Job) -> str:
    """Raises ReleaseError unless every table has as many rows as when the backup was made."""
    assert job.contents is not None
    expected = job.contents.tables
    with one_moment(job.site, drill_name(job.site)) as moment:
        found = rows_at(moment, tables_at(moment))
    wrong = [
        f"{table}: {found.get(table, 'no table')} instead of {rows}"
        for table, rows in sorted(expected.items())
        if found.get(table) != rows
    ]
    wrong += [f"{table}: not in the backup's list" for table in sorted(found.keys() - expected.keys())]
    if wrong:
        raise ReleaseError(f"the rows of {job.backup.id} do not all come back: {', '.join(wrong[:5])}", wrong)
    return f"{counted(sum(found.values()), 'row')} in {counted(len(found), 'table')}, as when it was made"


def sample(job: Job) -> str:
    """Restores some uploads of a backup: restic compares them with their checksums."""
    repository = job.source
    files = [node for node in repository.files(job.snapshot, job.site.media) if node["type"] == "file"]
    small = [node for node in files if node.get("size", 0) <= SAMPLE_BYTES]
    chosen: list[dict[str, Any]] = random.sample(small, min(SAMPLE_FILES, len(small)))
    target = job.scratch / "upload"
    for node in chosen:
        repository.write_file(job.snapshot, Path(node["path"]), target)
        size = target.stat().st_size
        target.unlink()
        if size != node.get("size", 0):
            raise ReleaseError(
                f"{node['path']} of {job.backup.id} has {size} bytes, not {node.get('size', 0)}"
            )
    return f"{len(chosen)} of {counted(len(files), 'upload')} restored"
