"""A release on disk, and what is known about it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .files import TEMPORARY, write_atomically

RELEASE_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
RECORD = ".release.json"
PLAIN_STATIC = ".static"
MANIFEST = "staticfiles.json"
FILES = ".files.json"
# What a release holds besides the files of its commit.
OWN_NAMES = (RECORD, f".{RECORD}{TEMPORARY}", FILES, MANIFEST, PLAIN_STATIC, ".venv", "gunicorn.sock")
BUILT, GOOD, BAD, WITHDRAWN, UNDONE = "built", "good", "bad", "rolled-back", "undone"


@dataclasses.dataclass
class Release:
    """A directory below releases/ and what is known about it, kept in a file inside it."""

    path: Path
    commit: str = ""
    created: str = ""
    by: str = ""
    # built: never live; good: was live and answered; bad: failed its checks; rolled-back: withdrawn
    # by a person; undone: withdrawn together with its migrations
    status: str = BUILT
    message: str = ""
    # Site.fingerprint() when its processes were started
    settings: str = ""
    # The migrations that this release applied, and the dump from before them with its size in bytes.
    migrations: list[str] = dataclasses.field(default_factory=list)
    dump: str = ""
    dump_size: int = 0

    @property
    def id(self) -> str:
        """Time and commit: the name of the directory, of the unit instances and of the socket."""
        return self.path.name

    @classmethod
    def load(cls, path: Path) -> Release:
        """Reads a release. One whose record is missing or broken was never finished."""
        try:
            record = json.loads((path / RECORD).read_text(encoding="utf-8"))
            return cls(path, **record)
        except (OSError, ValueError, TypeError):
            return cls(path)

    def save(self, **changes: Any) -> None:
        """Changes fields and writes the record in one piece."""
        for name, value in changes.items():
            setattr(self, name, value)
        record = {k: v for k, v in dataclasses.asdict(self).items() if k != "path"}
        write_atomically(self.path / RECORD, json.dumps(record, indent=2) + "\n", 0o644)

    def static_names(self) -> set[str]:
        """The hashed static files that this release's pages refer to, relative to STATIC_ROOT."""
        try:
            names = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))["paths"].values()
            # The project's code wrote them, and root follows them.
            return {name for name in names if ".." not in Path(name).parts and not Path(name).is_absolute()}
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            return set()

    @property
    def proven(self) -> bool:
        """Whether it was live and well."""
        return self.status in (GOOD, WITHDRAWN)

    def describe(self) -> dict[str, Any]:
        """What `list` and `status` show."""
        names = (
            *("commit", "created", "by", "status", "message", "proven"),
            *("migrations", "dump", "dump_size"),
        )
        return {"release": self.id, **{name: getattr(self, name) for name in names}}


def rollback_target(releases: Sequence[Release], live: Release) -> Release | None:
    """
    The release to go back to: the newest good one of another commit that is older than the live
    one.
    """
    for release in releases:
        if release.id < live.id and release.status == GOOD and release.commit != live.commit:
            return release
    return None
