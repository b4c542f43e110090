"""Where everything of a site is: its configuration, directories, units and accounts."""

from __future__ import annotations

import contextlib
import dataclasses
import grp
import hashlib
import pwd
import re
from pathlib import Path
from typing import NamedTuple

from .configuration import REMEDY, read_settings
from .errors import ReleaseError
from .releases import RELEASE_ID, Release

SITE_NAME = re.compile(r"[a-z][a-z0-9_]*-[a-z0-9][a-z0-9-]*")
DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
# When programs may ask a site again that is closed for maintenance.
RETRY_AFTER_SECONDS = 600


@dataclasses.dataclass(frozen=True)
class Config:
    """The contents of /etc/<site>/release.json."""

    site: str
    project_name: str
    domain: str
    keep_releases: int = 5
    keep_static_days: int = 30
    archive_limit_mib: int = 512
    keep_warm_seconds: int = 300
    python_package_index_url: str = ""
    certificate_authority_bundle: str = ""

    @classmethod
    def read(cls, path: Path) -> Config:
        """Reads and checks the file. Raises ReleaseError with what is wrong and what to do."""
        values = read_settings(cls, path, may_be_zero=("keep_warm_seconds",))
        if not SITE_NAME.fullmatch(values["site"]):
            raise ReleaseError(f"{path}: {values['site']!r} is not a name of a site: {REMEDY}")
        if not values["project_name"].isidentifier():
            raise ReleaseError(f"{path}: {values['project_name']!r} is not a Python package: {REMEDY}")
        if not DOMAIN.fullmatch(values["domain"]):
            raise ReleaseError(f"{path}: {values['domain']!r} is not a domain: {REMEDY}")
        return cls(**values)


class Accounts(NamedTuple):
    """Who owns what: code belongs to root, and the site's group may read it."""

    root_user: int
    root_group: int
    site_user: int
    site_group: int
    # PostgreSQL's administrator; None if the user that runs this is one
    database_user: int | None = None
    database_group: int | None = None


class Site:
    """
    The directories, units and settings of one site. `root` is another directory than / in tests.
    """

    def __init__(self, config: Config, accounts: Accounts, root: Path = Path("/")) -> None:
        name = config.site
        self.config = config
        self.root = root
        self.name = name
        self.accounts = accounts
        self.home = root / "srv" / name
        self.releases = self.home / "releases"
        self.virtual_environments = self.home / "venvs"
        self.current = self.home / "current"
        self.static = self.home / "static"
        self.media = self.home / "media"
        self.settings = root / "etc" / name
        self.environment = self.settings / "environment"
        self.provisioned = self.settings / "provisioned"
        self.staging = self.home / "staging"
        self.launcher = root / "usr/local/lib" / name / "launch.py"
        self.runtime = root / "run" / name
        self.lock = root / "run" / f"{name}-release.lock"
        self.postgresql_sockets = root / "run/postgresql"
        self.postgresql_data = root / "var/lib/postgresql"
        self.maintenance = self.settings / "maintenance.conf"
        self.maintenance_lock = root / "run" / f"{name}-maintenance.lock"
        self.backups = root / "var/backups" / name
        self.backup_settings = self.settings / "backup.json"
        self.backup_credentials = self.settings / "backup.env"
        self.backup_lock = root / "run" / f"{name}-backup.lock"
        self.backup_cache = root / "var/cache" / f"{name}-backup"
        self.cache = root / "var/cache" / name
        self.log = root / "var/log" / name / "releases.jsonl"
        self.unit_files = root / "etc/systemd/system"
        self.uv = root / "opt/uv/bin/uv"
        self.python = Path("/usr/bin/python3")
        self.https_port = 443
        self.beat = f"{name}-beat.service"
        self.retire_timer = f"{name}-retire.timer"
        self.memcached = f"{name}-memcached.service"

    @classmethod
    def on_this_host(cls, config: Config) -> Site:
        """The site of a configuration. Raises ReleaseError when its system user does not exist."""
        try:
            user = pwd.getpwnam(config.site)
            group = grp.getgrnam(config.site)
        except KeyError:
            raise ReleaseError(
                f"the system user and group {config.site} do not exist: provision the host again"
            ) from None
        accounts = Accounts(0, 0, user.pw_uid, group.gr_gid)
        with contextlib.suppress(KeyError):
            administrator = pwd.getpwnam("postgres")
            accounts = accounts._replace(
                database_user=administrator.pw_uid, database_group=administrator.pw_gid
            )
        return cls(config, accounts)

    def web(self, release: str) -> str:
        """The unit of a release's Gunicorn."""
        return f"{self.name}-web@{release}.service"

    def worker(self, release: str) -> str:
        """The unit of a release's Celery worker."""
        return f"{self.name}-worker@{release}.service"

    def worker_node(self, release: str) -> str:
        """
        The name of a release's worker among its peers: unique, so that two releases can run at
        once.
        """
        return f"{release}@{self.name}"

    def socket(self, release: str) -> Path:
        """Where a release's Gunicorn listens."""
        return self.runtime / f"{release}.sock"

    def fingerprint(self) -> str:
        """A hash of everything outside of a release that its processes read when they start."""
        digest = hashlib.sha256()
        units = [f"{self.name}-{kind}.service" for kind in ("web@", "worker@", "beat")]
        for path in [self.environment, self.launcher, *(self.unit_files / unit for unit in units)]:
            with contextlib.suppress(FileNotFoundError):
                digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def live(self) -> Release | None:
        """The release that `current` names, or None before the first deploy."""
        try:
            target = self.current.readlink()
        except (FileNotFoundError, OSError):
            return None
        path = self.releases / target.name
        return Release.load(path) if path.is_dir() else None

    def kept_releases(self) -> list[Release]:
        """All releases on disk, newest first."""
        if not self.releases.is_dir():
            return []
        paths = [path for path in self.releases.iterdir() if RELEASE_ID.fullmatch(path.name)]
        return [Release.load(path) for path in sorted(paths, reverse=True)]
