"""Where the backups of a site are, how many are kept, and what opens them."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

from ..configuration import REMEDY, read_settings
from ..errors import ReleaseError
from ..site import Site
from .repository import Repository

FIRST, SECOND = "first", "second"
S3 = re.compile(r"s3:https?://[A-Za-z0-9.-]+(:\d+)?(/[A-Za-z0-9._-]+)+/?")


@dataclasses.dataclass(frozen=True)
class BackupSettings:
    """The contents of /etc/<site>/backup.json."""

    # a path, or an address as restic writes it: s3:https://host/bucket/folder; empty: there is none
    second_place: str = ""
    s3_region: str = ""
    keep_last: int = 3
    keep_daily: int = 7
    keep_weekly: int = 4
    keep_monthly: int = 6
    # a drill reads a repository of at most so many MiB to its end, and one of so many parts of a larger one
    drill_read_all_mib: int = 1024
    drill_parts: int = 8
    # gets mail when a backup or a drill fails
    admin_email: str = ""

    @classmethod
    def read(cls, path: Path) -> BackupSettings:
        """Reads and checks the file. Raises ReleaseError with what is wrong and what to do."""
        values = read_settings(cls, path, may_be_zero=("keep_weekly", "keep_monthly"))
        place = values.get("second_place", "")
        if place and not (S3.fullmatch(place) or Path(place).is_absolute()):
            raise ReleaseError(
                f"{path}: the second place {place!r} is neither a path nor like "
                f"s3:https://s3.example.com/bucket/folder: {REMEDY}"
            )
        return cls(**values)


def credentials(site: Site) -> dict[str, str]:
    """What opens the repositories: variables that restic knows. Raises ReleaseError without a password."""
    path = site.backup_credentials
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ReleaseError(f"cannot read {path}: {error.strerror}: {REMEDY}") from None
    found = re.findall(r'^([A-Z_]+)="((?:[^"\\]|\\.)*)"$', text, re.MULTILINE)
    variables = {name: re.sub(r'\\(["\\$`])', r"\1", value) for name, value in found}
    if not variables.get("RESTIC_PASSWORD"):
        raise ReleaseError(f"{path} holds no RESTIC_PASSWORD: {REMEDY}")
    return variables


def places(site: Site, settings: BackupSettings) -> dict[str, Repository]:
    """The repositories of a site, by the name of their place, the first one first."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        # It reads times as those of its own zone.
        "TZ": "UTC",
        # Memory is worth more than time here.
        "GOGC": "20",
        "RESTIC_CACHE_DIR": str(site.backup_cache),
        "RESTIC_PROGRESS_FPS": "0.01",
        **({"AWS_DEFAULT_REGION": settings.s3_region} if settings.s3_region else {}),
        **credentials(site),
    }
    found = {FIRST: Repository("the repository on this host", str(site.backups / "repository"), environment)}
    if settings.second_place:
        found[SECOND] = Repository("the second place", settings.second_place, environment)
    return found


def require_mounted(site: Site, repository: Repository) -> None:
    """
    Raises ReleaseError when a second place is a directory of the disk that the site itself is on:
    another disk is not mounted there, and nothing would be safer for the copy.
    """
    path = repository.path
    if path is None:
        return
    nearest = path
    while not nearest.exists():
        nearest = nearest.parent
    if nearest.stat().st_dev == site.backups.stat().st_dev:
        raise ReleaseError(
            f"the second place {path} is on the same disk as the site: mount another one there"
        )
