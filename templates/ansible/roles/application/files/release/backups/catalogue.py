"""The backups that there are, in all places."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..errors import ReleaseError, UsageError
from ..messages import counted, megabytes
from ..reporting import Reporter
from .repository import NotThereError, Repository

# A snapshot is a backup only if all of it is there and it has this tag; until then it has the other.
COMPLETE, UNFINISHED = "complete", "unfinished"
IDENTIFIER = re.compile(r"\d{8}T\d{6}Z")


class Backup(NamedTuple):
    """One backup: when it was made, what it holds, and where it is."""

    # the second when the database was dumped, UTC: 20260131T031500Z
    id: str
    # of the release that was live, or ""
    release: str
    commit: str
    # the machine that it was made on
    host: str
    rows: int
    tables: int
    # of uploads
    files: int
    size: int
    # of its database's dump
    dump_size: int
    # the id of its snapshot, by the name of the place
    snapshots: dict[str, str]

    @property
    def when(self) -> str:
        """When it was made, for people."""
        return moment_of(self.id).strftime("%Y-%m-%d %H:%M:%S UTC")

    def describe(self) -> dict[str, Any]:
        """For programs."""
        told = {name: value for name, value in self._asdict().items() if name not in ("id", "snapshots")}
        return {"backup": self.id, "time": iso(self.id), **told, "places": list(self.snapshots)}

    def summary(self) -> str:
        """For people."""
        return (
            f"{counted(self.rows, 'row')} in {counted(self.tables, 'table')}, "
            f"{counted(self.files, 'upload')} ({megabytes(self.size)})"
        )


def new_identifier() -> str:
    """An id for a backup that is made now."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")


def moment_of(identifier: str) -> datetime.datetime:
    """The time that an id stands for."""
    return datetime.datetime.strptime(identifier, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)


def iso(identifier: str) -> str:
    """The time that an id stands for, ISO 8601."""
    return moment_of(identifier).strftime("%Y-%m-%dT%H:%M:%SZ")


def restic_time(identifier: str) -> str:
    """The same as restic takes it."""
    return moment_of(identifier).strftime("%Y-%m-%d %H:%M:%S")


def microseconds_of(text: str) -> int:
    """A time as restic writes it here, 2026-01-31T03:15:00.123456789Z, since 1970."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    moment = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.UTC)
    return int(moment.timestamp()) * 1_000_000 + int(fraction[:6].ljust(6, "0"))


def tags_of(contents: Mapping[str, Any]) -> list[str]:
    """What is written on a snapshot of what it holds, so that a list need not open it."""
    return [f"{name}={value}" for name, value in contents.items()]


def identifier_of(snapshot: Mapping[str, Any]) -> str:
    """The id of the backup that a snapshot is of."""
    moment = datetime.datetime.fromisoformat(str(snapshot["time"])[:19]).replace(tzinfo=datetime.UTC)
    return moment.strftime("%Y%m%dT%H%M%SZ")


def backups_in(place: str, repository: Repository) -> list[Backup]:
    """The complete backups in a place, newest first."""
    return complete(place, repository.snapshots())


def complete(place: str, snapshots: Iterable[Mapping[str, Any]]) -> list[Backup]:
    """Those of some snapshots in a place that are complete backups, newest first."""
    found = []
    for snapshot in snapshots:
        tags = snapshot.get("tags") or []
        if COMPLETE not in tags:
            continue
        notes = dict(tag.split("=", 1) for tag in tags if "=" in tag)
        numbers = {name: int(notes.get(name) or 0) for name in NUMBERS}
        texts = {name: notes.get(name, "") for name in TEXTS}
        found.append(Backup(identifier_of(snapshot), **texts, **numbers, snapshots={place: snapshot["id"]}))
    return sorted(found, key=lambda backup: backup.id, reverse=True)


NUMBERS = ("rows", "tables", "files", "size", "dump_size")
TEXTS = ("release", "commit", "host")


def catalogue(repositories: Mapping[str, Repository], reporter: Reporter) -> list[Backup]:
    """
    The backups in all places, newest first. A place that cannot be read is a warning.

    Raises ReleaseError when no place can be read.
    """
    merged: dict[str, Backup] = {}
    failures = []
    for place, repository in repositories.items():
        try:
            found = backups_in(place, repository)
        except NotThereError:
            continue
        except ReleaseError as failure:
            failures.append(failure)
            reporter.warning(place, failure.message)
            continue
        for backup in found:
            known = merged.get(backup.id)
            snapshots = {**known.snapshots, **backup.snapshots} if known else backup.snapshots
            merged[backup.id] = backup._replace(snapshots=snapshots)
    if failures and len(failures) == len(repositories):
        raise failures[0]
    return sorted(merged.values(), key=lambda backup: backup.id, reverse=True)


def choose(backups: list[Backup], asked: str, place: str) -> Backup:
    """
    The backup that was asked for, or the newest; from one place if that is named. Raises UsageError
    when there is none.
    """
    where = f" in the {place} place" if place else ""
    there = [backup for backup in backups if not place or place in backup.snapshots]
    if not there:
        raise UsageError(f"there is no backup{where}")
    if not asked:
        return there[0]
    for backup in there:
        if backup.id == asked:
            return backup
    newest = ", ".join(backup.id for backup in there[:3])
    raise UsageError(f"there is no backup {asked}{where}; the newest are {newest}")
