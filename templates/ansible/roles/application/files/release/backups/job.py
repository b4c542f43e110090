"""A run that makes, checks or restores backups: what its steps share."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from ..errors import ReleaseError
from ..reporting import Reporter
from ..site import Site
from ..transaction import Request, Transaction
from .catalogue import Backup
from .repository import Repository
from .settings import FIRST, SECOND, BackupSettings, places

DUMP = "database.dump"
MANIFEST = "backup.json"


@dataclasses.dataclass
class Contents:
    """What is in a backup, as it says itself: its file backup.json."""

    site: str
    backup: str
    domain: str
    host: str
    release: str
    commit: str
    migrations: list[str]
    # rows by table
    tables: dict[str, int]
    files: int
    size: int
    dump_size: int

    @classmethod
    def of(cls, text: str) -> Contents:
        """Reads the file. Raises ReleaseError when it is not one."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise ReleaseError(f"the backup's {MANIFEST} cannot be read: {error}") from None

    def notes(self) -> dict[str, Any]:
        """What is written on the snapshot."""
        return {
            "release": self.release,
            "commit": self.commit,
            "host": self.host,
            "rows": sum(self.tables.values()),
            "tables": len(self.tables),
            "files": self.files,
            "size": self.size,
            "dump_size": self.dump_size,
        }


class Job(Transaction):
    """One run. Its steps are functions that take it as their argument."""

    def __init__(
        self,
        site: Site,
        settings: BackupSettings,
        request: Request,
        reporter: Reporter,
        parent: str | None = None,
    ) -> None:
        super().__init__(site, request, reporter, parent)
        self.settings = settings
        self.repositories = places(site, settings)
        # the directory whose files become part of a snapshot, and where those of a backup come back to
        self.staging = site.backups / "backup"
        self.scratch = site.backups / "drill"
        self.contents: Contents | None = None
        self.chosen: Backup | None = None
        # the backups on this host, newest first
        self.here: list[Backup] = []
        # where it is taken from, and its snapshot there
        self.place = FIRST
        self.snapshot = ""
        # what restoring.py has under way
        self.replacing: Any = None

    @property
    def first(self) -> Repository:
        """The repository on this host."""
        return self.repositories[FIRST]

    @property
    def second(self) -> Repository:
        """The second place. Raises ReleaseError when there is none."""
        if SECOND not in self.repositories:
            raise ReleaseError("there is no second place: set backups_second_place and provision the host")
        return self.repositories[SECOND]

    @property
    def source(self) -> Repository:
        """The repository that the chosen backup is taken from."""
        return self.repositories[self.place]

    @property
    def backup(self) -> Backup:
        """The backup that was chosen."""
        if self.chosen is None:
            raise ReleaseError("no backup has been chosen yet")
        return self.chosen

    def staged(self, name: str) -> Path:
        """Where a file is that belongs to a backup."""
        return self.staging / name
