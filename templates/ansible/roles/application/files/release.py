#!/usr/bin/python3 -IB
"""
Puts releases of one site live on this host, and takes them back.

It is installed as /usr/local/sbin/<site>-release and reads /etc/<site>/release.json. It needs
nothing but Python's standard library, systemd and PostgreSQL's client programs.

How a release goes live is the table DEPLOY below. In short: the new release is unpacked and started
beside the one that is live, checked on a socket of its own, and then the symbolic link `current` is
renamed. That one rename switches the code, the traffic and what a reboot starts. Until then nothing
that visitors see has changed; until the last check after it, the old release still runs and a
second rename goes back to it.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import copy
import dataclasses
import datetime
import fcntl
import functools
import getpass
import grp
import hashlib
import http.client
import json
import os
import platform
import pwd
import re
import secrets
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn, TextIO

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_LOCKED = 75  # EX_TEMPFAIL of sysexits.h: worth another try later

MIB = 1024 * 1024

RELEASE_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
SITE_NAME = re.compile(r"[a-z][a-z0-9_]*-[a-z0-9][a-z0-9-]*")
DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")

# Seconds. A new release that does not answer within these is not going to.
PROBE_SECONDS = 15.0
WORKER_SECONDS = 60.0
# Short, because visitors are waiting.
LIVE_SECONDS = 3.0
REQUEST_SECONDS = 10.0
EXAMINE_SECONDS = 5 * 60
BUILD_SECONDS = 30 * 60
# How often in a row a release must answer through nginx before the old one may go.
LIVE_ANSWERS = 3
# Between the switch and the stop of the old release: requests that nginx has passed on but that the
# old release has not accepted yet.
DRAIN_SECONDS = 1.0
# A migration that waits for a lock makes every query behind it wait too, so it gives up and tries
# again.
LOCK_TIMEOUT = "3s"
MIGRATION_ATTEMPTS = 5
MIGRATION_PAUSE_SECONDS = 2.0
# Uploads whose command died before it could remove them.
STALE_UPLOAD_SECONDS = 24 * 60 * 60
DETAIL_LINES = 20
# A tenth of a second apart. `status` takes the lock for a moment to see who holds it.
LOCK_ATTEMPTS = 5

# Raise this when virtual environments are to be built in another way than before.
VIRTUAL_ENVIRONMENT_FORMAT = 1

# The sandbox for commands of the project (manage.py) and for uv: that of the units, as far as it
# makes sense for a command that runs once.
SANDBOX = (
    "CapabilityBoundingSet=",
    "LockPersonality=yes",
    "NoNewPrivileges=yes",
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHome=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "ProtectSystem=strict",
    "RemoveIPC=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "UMask=0027",
)

# Runs in the new release with its own Python. One process for three questions, because importing a
# project takes longer than answering any of them. Static files and their manifest go to a directory
# that the site's user may write; the release itself belongs to root.
EXAMINE = """
import io, json, os, sys

staging, result_file = sys.argv[1:]
os.environ["STATIC_ROOT"] = os.path.join(staging, "static")
sys.path.insert(0, os.getcwd())
result = {"stage": "import"}

def main():
    import django
    django.setup()
    from django.contrib.staticfiles.storage import staticfiles_storage
    from django.core import checks
    from django.core.files.storage import FileSystemStorage
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    result["stage"] = "check --deploy"
    found = checks.run_checks(include_deployment_checks=True, databases=["default"])
    found = [message for message in found if not message.is_silenced()]
    result["errors"] = [str(message) for message in found if message.is_serious()]
    result["warnings"] = [str(message) for message in found if not message.is_serious()]
    if result["errors"]:
        return

    result["stage"] = "collectstatic"
    staticfiles_storage.manifest_storage = FileSystemStorage(location=staging)
    call_command("collectstatic", interactive=False, verbosity=0, stdout=io.StringIO())

    result["stage"] = "pending migrations"
    executor = MigrationExecutor(connection)
    conflicts = executor.loader.detect_conflicts()
    if conflicts:
        names = "; ".join(f"{app}: {', '.join(found)}" for app, found in conflicts.items())
        result["errors"] = [f"conflicting migrations ({names}): run makemigrations --merge"]
        return
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    result["pending"] = [f"{migration.app_label}.{migration.name}" for migration, _ in plan]
    result["stage"] = "done"

try:
    main()
finally:
    with open(result_file, "w") as file:
        json.dump(result, file)
"""

# Waits until the worker of a release answers through the broker. Boots beside the worker, not after
# it.
PING = """
import os, sys, time

project, node, seconds = sys.argv[1:]
sys.path.insert(0, os.getcwd())
from celery.app.utils import find_app

app = find_app(project)
deadline = time.monotonic() + float(seconds)
while time.monotonic() < deadline:
    if app.control.ping(destination=[node], timeout=0.5):
        sys.exit(0)
sys.exit(f"{node} did not answer within {seconds} s")
"""


# --- Errors ---


class ReleaseError(Exception):
    """
    What went wrong, in one line for people. `detail` holds the last lines of a log or an output.
    """

    exit_status = EXIT_FAILED
    status = "failed"

    def __init__(self, message: str, detail: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.detail = list(detail)


class UsageError(ReleaseError):
    """The command was given something that it cannot work with."""

    exit_status = EXIT_USAGE


class NotYetError(ReleaseError):
    """Something does not answer, or not well, and may do so in a moment."""


class LockedError(ReleaseError):
    """Another run changes this site right now."""

    exit_status = EXIT_LOCKED
    status = "locked"


class Skipped(Exception):  # noqa: N818  (not an error)
    """Ends a step that has nothing to do; the message says why."""


# --- Where everything is ---


@dataclasses.dataclass(frozen=True)
class Config:
    """The contents of /etc/<site>/release.json."""

    site: str
    project_name: str
    domain: str
    keep_releases: int = 5
    keep_static_days: int = 30
    archive_limit_mib: int = 512
    python_package_index_url: str = ""
    certificate_authority_bundle: str = ""

    @classmethod
    def read(cls, path: Path) -> Config:
        """Reads and checks the file. Raises ReleaseError with what is wrong and what to do."""
        remedy = "provision the host again"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ReleaseError(f"cannot read {path}: {error.strerror}: {remedy}") from None
        except ValueError as error:
            raise ReleaseError(f"{path} is not valid JSON ({error}): {remedy}") from None
        if not isinstance(values, dict):
            raise ReleaseError(f"{path} does not hold a JSON object: {remedy}")
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name, value in values.items():
            if name not in fields:
                raise ReleaseError(f"{path}: unknown setting {name!r}: {remedy}")
            expected = fields[name].type
            if type(value).__name__ != expected:
                raise ReleaseError(f"{path}: {name} must be {expected}, not {value!r}: {remedy}")
            if isinstance(value, int) and value < 1:
                raise ReleaseError(f"{path}: {name} must be at least 1, not {value}: {remedy}")
        for name in ("site", "project_name", "domain"):
            if name not in values:
                raise ReleaseError(f"{path}: {name} is missing: {remedy}")
        if not SITE_NAME.fullmatch(values["site"]):
            raise ReleaseError(f"{path}: {values['site']!r} is not a name of a site: {remedy}")
        if not values["project_name"].isidentifier():
            raise ReleaseError(f"{path}: {values['project_name']!r} is not a Python package: {remedy}")
        if not DOMAIN.fullmatch(values["domain"]):
            raise ReleaseError(f"{path}: {values['domain']!r} is not a domain: {remedy}")
        return cls(**values)


class Accounts(NamedTuple):
    """Who owns what: code belongs to root, and the site's group may read it."""

    root_user: int
    root_group: int
    site_user: int
    site_group: int


class Site:
    """
    The directories, units and settings of one site. `root` is another directory than / in tests.
    """

    def __init__(self, config: Config, accounts: Accounts, root: Path = Path("/")) -> None:
        name = config.site
        self.config = config
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
        self.runtime = root / "run" / name
        self.lock = root / "run" / f"{name}-release.lock"
        self.backups = root / "var/backups" / name
        self.cache = root / "var/cache" / name
        self.log = root / "var/log" / name / "releases.jsonl"
        self.unit_files = root / "etc/systemd/system"
        self.uv = root / "opt/uv/bin/uv"
        self.python = Path("/usr/bin/python3")
        self.https_port = 443
        self.beat = f"{name}-beat.service"

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
        return cls(config, Accounts(0, 0, user.pw_uid, group.gr_gid))

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
        for path in [self.environment, *(self.unit_files / unit for unit in units)]:
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


RECORD = ".release.json"
PLAIN_STATIC = ".static"
MANIFEST = "staticfiles.json"
BUILT, GOOD, BAD, WITHDRAWN = "built", "good", "bad", "rolled-back"


@dataclasses.dataclass
class Release:
    """A directory below releases/ and what is known about it, kept in a file inside it."""

    path: Path
    commit: str = ""
    created: str = ""
    by: str = ""
    # built: never live; good: was live and answered; bad: failed its checks; rolled-back: withdrawn
    # by a person
    status: str = BUILT
    message: str = ""
    # Site.fingerprint() when its processes were started
    settings: str = ""

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

    def save(self, **changes: str) -> None:
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

    def describe(self) -> dict[str, str]:
        """What `list` and `status` show."""
        names = ("commit", "created", "by", "status", "message")
        return {"release": self.id, **{name: getattr(self, name) for name in names}}


# --- Files ---


def write_atomically(path: Path, text: str, mode: int) -> None:
    """
    Writes a file so that readers, and a host that loses power, see the old or the new contents.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open_new(temporary, mode) as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def open_new(path: Path, mode: int) -> BinaryIO:
    """Opens a file that must not exist yet, with exactly these permissions."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    os.fchmod(descriptor, mode)
    return os.fdopen(descriptor, "wb")


def sync_directory(path: Path) -> None:
    """Makes renames inside a directory survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def point(link: Path, target: str) -> None:
    """Makes a symbolic link name another target in one step: it exists at every moment."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
    sync_directory(link.parent)


def remove_tree(path: Path) -> None:
    """Removes a directory and everything in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def regular_files(directory: Path) -> Iterator[Path]:
    """The files below a directory, relative to it. Symbolic links are left out, not followed."""
    for parent, _, names in os.walk(directory):
        for name in names:
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(directory)


def give_to(path: Path, user: int, group: int) -> None:
    """Hands a tree to an owner. No file in it stays writable for others, or set-user-ID."""

    def hand_over(entry: Path) -> None:
        os.chown(entry, user, group, follow_symlinks=False)
        if not entry.is_symlink():
            entry.chmod(entry.stat().st_mode & 0o755)

    hand_over(path)
    for parent, directories, files in os.walk(path):
        for name in [*directories, *files]:
            hand_over(Path(parent, name))


def megabytes(size: float) -> str:
    """A size in bytes for people."""
    return f"{size / MIB:.1f} MiB"


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# --- Archives ---


class Archive(NamedTuple):
    """What is in an archive that is safe to unpack."""

    members: list[tarfile.TarInfo]
    # bytes when unpacked
    size: int
    # as `git archive` writes it down, or "" for an archive from elsewhere
    commit: str


def read_archive(path: Path, limit: int) -> Archive:
    """
    Lists the members of an archive.

    Raises UsageError when it is not a tar archive, would unpack to more than `limit` bytes, would
    write outside of its directory, or is not a project of this kind.
    """
    try:
        with tarfile.open(path, "r:*") as tar:
            members, size = [], 0
            for member in tar:
                problem = member_problem(member)
                if problem:
                    raise UsageError(f"the archive is refused: {member.name!r} {problem}")
                size += member.size
                if size > limit:
                    raise UsageError(
                        f"the archive is refused: unpacked, it is larger than {megabytes(limit)}"
                    )
                members.append(member)
            commit = tar.pax_headers.get("comment", "")
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise UsageError(f"{path.name} is not a complete tar archive: {error}") from None
    names = {member.name.removeprefix("./") for member in members if member.isreg()}
    for needed in ("manage.py", "pyproject.toml", "uv.lock"):
        if needed not in names:
            raise UsageError(f"the archive has no {needed} at its top: commit it, and send the whole project")
    return Archive(members, size, commit)


def member_problem(member: tarfile.TarInfo) -> str:
    """
    Why a member must not be unpacked, or "". The owner of this program is root, so nothing is let
    pass.
    """
    if not (member.isreg() or member.isdir() or member.issym()):
        return "is neither a file, a directory nor a symbolic link"
    parts = Path(member.name).parts
    if Path(member.name).is_absolute() or ".." in parts:
        return "is not below the project"
    if parts and parts[0] in (RECORD, PLAIN_STATIC, ".venv", "gunicorn.sock", MANIFEST):
        return "has a name that the release command uses itself"
    # Python's own filter knows more tricks. Debian 12's Python 3.11.2 has it only with the security
    # updates.
    if hasattr(tarfile, "data_filter"):
        try:
            tarfile.data_filter(member, "/nonexistent")
        except tarfile.FilterError as error:
            return f"is unsafe: {error}"
    elif member.issym():
        target = os.path.normpath(Path(member.name).parent / member.linkname)
        if member.linkname.startswith("/") or target.startswith(".."):
            return "is a link that leads out of the project"
    return ""


def unpack(path: Path, archive: Archive, directory: Path, accounts: Accounts) -> None:
    """Unpacks an archive into a new directory that the site may read and only root may change."""
    directory.mkdir()
    with tarfile.open(path, "r:*") as tar:
        for member in archive.members:
            # 0751 for directories: nginx has to reach the socket inside, other sites have no
            # business here.
            mode = 0o751 if member.isdir() else 0o750 if member.mode & 0o100 else 0o640
            plain = copy.copy(member)
            plain.mode, plain.uid, plain.gid, plain.uname, plain.gname = mode, 0, 0, "", ""
            tar.extract(plain, directory, set_attrs=not member.issym(), **data_filter())
    directory.chmod(0o751)
    for parent, directories, files in os.walk(directory):
        os.chown(parent, accounts.root_user, accounts.site_group)
        for name in [*directories, *files]:
            entry = Path(parent, name)
            os.chown(entry, accounts.root_user, accounts.site_group, follow_symlinks=False)
            if entry.is_dir() and not entry.is_symlink():
                entry.chmod(0o751)  # git archives with a path list leave parent directories out


def data_filter() -> dict[str, Any]:
    """
    The arguments that make tarfile refuse what member_problem() may have missed, and keep our
    modes.
    """
    if not hasattr(tarfile, "data_filter"):
        return {}

    def keep_mode(member: tarfile.TarInfo, directory: str) -> tarfile.TarInfo:
        safe = tarfile.data_filter(member, directory)
        return safe.replace(mode=member.mode, uid=None, gid=None, uname=None, gname=None, deep=False)

    return {"filter": keep_mode}


def spool(source: BinaryIO, directory: Path, limit: int) -> Path:
    """
    Copies an archive from a stream into a file, so that what follows does not depend on a
    connection.

    Raises UsageError when there are more than `limit` bytes or none. Nothing is left behind then.
    """
    descriptor, name = tempfile.mkstemp(prefix=".upload-", suffix=".tar", dir=directory)
    path = Path(name)
    try:
        size = 0
        with os.fdopen(descriptor, "wb") as file:
            while chunk := source.read(MIB):
                size += len(chunk)
                if size > limit:
                    raise UsageError(f"the archive is refused: it is larger than {megabytes(limit)}")
                file.write(chunk)
        if not size:
            raise UsageError("the archive on standard input is empty")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


# --- Processes ---


def run(argv: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """
    Runs a program to its end, with its output captured. Its exit status is the caller's business.
    """
    try:
        return subprocess.run(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=options.pop("stderr", subprocess.PIPE),
            text=True,
            errors="replace",
            check=False,
            **options,
        )
    except FileNotFoundError:
        raise ReleaseError(f"the program {argv[0]} is not installed: provision the host again") from None


def last_lines(*texts: str | None) -> list[str]:
    """The end of an output, without empty lines."""
    lines = [line.rstrip() for text in texts for line in (text or "").splitlines() if line.strip()]
    return lines[-DETAIL_LINES:]


def systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs systemctl."""
    return run(["systemctl", *words])


def unit_states(*units: str) -> list[str]:
    """The state of each unit: active, inactive, failed…"""
    states = systemctl("is-active", *units).stdout.split()
    return states if len(states) == len(units) else ["unknown"] * len(units)


def unit_instances(site: Site) -> list[str]:
    """
    The web and worker units of this site that systemd runs, starts or stops, whatever their
    release.
    """
    listing = systemctl(
        "list-units",
        "--all",
        "--plain",
        "--no-legend",
        f"{site.name}-web@*",
        f"{site.name}-worker@*",
    ).stdout
    return [line.split()[0] for line in listing.splitlines() if line.split()]


def release_of(unit: str) -> str:
    """The release that a web or worker unit belongs to."""
    return unit.partition("@")[2].removesuffix(".service")


# What systemd itself writes into the journal of a unit, and what helps nobody to find a mistake.
SYSTEMD_SAYS = re.compile(
    r"^(Start(ed|ing)|Stopp(ed|ing)|Failed to start) "
    r"|: (Main process exited|Failed with result|Deactivated|Consumed|Scheduled restart"
    r"|Failed at step|State '.*' timed out|Killing process)"
)


def journal(unit: str, since: float) -> list[str]:
    """The last lines that a unit has written since a time, given in seconds since 1970."""
    shown = run(["journalctl", "--unit", unit, "--since", f"@{since:.0f}", "--output", "cat", "--no-pager"])
    said = [line for line in shown.stdout.splitlines() if not SYSTEMD_SAYS.search(line)]
    return last_lines("\n".join(readable(line) for line in said))


def readable(line: str) -> str:
    """A line of a log in JSON as a person would write it; another line as it is."""
    try:
        entry = json.loads(line)
        text = f"{entry['level']} {entry['message']}"
    except (ValueError, KeyError, TypeError):
        return line
    error = str(entry.get("exc_info") or "").strip().splitlines()
    return f"{text}: {error[-1]}" if error else text


def cause(lines: Sequence[str]) -> str:
    """
    The line of an output that most likely says what went wrong: the last one of a Python traceback.
    """
    errors = [
        line for line in lines if re.match(r"\s*[A-Za-z_][\w.]*(Error|Exception|Improper\w+)\b.*", line)
    ]
    return (errors or list(lines) or ["it said nothing"])[-1].strip()


def without_expansion(words: Sequence[str | Path]) -> list[str]:
    """systemd replaces $NAME in the arguments of a service. These are meant as they are."""
    return [str(word).replace("$", "$$") for word in words]


class Result(NamedTuple):
    """How a command has ended, and the last lines that it has written."""

    ok: bool
    lines: list[str]


def unit_name(site: Site, purpose: str) -> str:
    """A name that no other unit has: two of the same kind may run at once."""
    return f"{site.name}-{purpose}-{secrets.token_hex(4)}.service"


class Command(NamedTuple):
    """A command of the project: what to run, where, with which variables, and what it may write."""

    purpose: str
    argv: Sequence[str | Path]
    directory: Path
    variables: Mapping[str, str] = {}
    writable: Sequence[Path] = ()
    # with the site's settings and secrets
    settings: bool = True
    # what it may take at most, or 0
    seconds: int = 0

    def under_systemd(
        self, site: Site, unit: str, parent: str | None, *, terminal: bool = False
    ) -> list[str]:
        """
        The argument list that runs this in a sandbox, a unit of its own, as the site's user.

        With `parent`, the unit of a release command, it ends when that does.
        """
        options = [
            f"--unit={unit}",
            f"--description={self.purpose} of {site.name}",
            "--wait",
            "--pty" if terminal else "--pipe",
            "--collect",
            "--quiet",
            f"--uid={site.name}",
            f"--gid={site.name}",
            f"--working-directory={self.directory}",
            *(f"--property={setting}" for setting in SANDBOX),
            *(f"--property=ReadWritePaths={path}" for path in self.writable),
            *(f"--setenv={name}={value}" for name, value in self.variables.items()),
        ]
        if self.settings:
            options.append(f"--property=EnvironmentFile={site.environment}")
        else:
            # A package that is being built is not to talk to the database in the site's name.
            options.append("--property=InaccessiblePaths=-/run/postgresql")
        if self.seconds:
            options.append(f"--property=RuntimeMaxSec={self.seconds}")
        if parent:
            options += [f"--property=BindsTo={parent}", f"--property=After={parent}"]
        return ["systemd-run", *options, "--", *without_expansion(self.argv)]


# --- Secrets in messages ---


def secret_values(environment: str) -> list[str]:
    """The values in an environment file that no message may show, the longest first."""
    found = set()
    for name, quoted, bare in re.findall(
        r'^([A-Za-z_]\w*)=(?:"((?:[^"\\]|\\.)*)"|(.*))$', environment, re.MULTILINE | re.DOTALL
    ):
        value = re.sub(r'\\(["\\$`])', r"\1", quoted) if quoted else bare.splitlines()[0] if bare else ""
        if re.search(r"SECRET|PASSWORD|TOKEN|KEY", name):
            found.update([value, *value.split(",")])
        if password := re.match(r"[\w+.-]+://[^/@:]*:([^/@]*)@", value):
            found.update([password[1], urllib.parse.unquote(password[1])])
    return sorted((value for value in found if len(value) >= 6), key=len, reverse=True)


def hide(value: Any, secret_texts: Iterable[str]) -> Any:
    """A text, or a structure of them, without the secrets in it."""
    if isinstance(value, str):
        for secret in secret_texts:
            value = value.replace(secret, "[hidden]")
    elif isinstance(value, list):
        return [hide(item, secret_texts) for item in value]
    elif isinstance(value, dict):
        return {name: hide(item, secret_texts) for name, item in value.items()}
    return value


# --- What a person or a program sees ---


class Reporter:
    """Tells what happens, as text for people or as one JSON object per line for programs."""

    def __init__(self, output: TextIO, *, as_json: bool) -> None:
        self.output = output
        self.as_json = as_json
        self.secrets: list[str] = []

    def write(self, text: str) -> None:
        """Writes a line. A connection that is gone must not stop a deploy."""
        try:
            print(text, file=self.output, flush=True)
        except (OSError, ValueError):
            # What is still buffered would fail again when Python ends.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.output.fileno())

    def event(self, text: str, **fields: Any) -> None:
        """Reports one thing in the form that was asked for. Fields that are None are left out."""
        if self.as_json:
            # Hidden first: in JSON a secret with a quotation mark looks different.
            told = hide({name: value for name, value in fields.items() if value is not None}, self.secrets)
            self.write(json.dumps(told, ensure_ascii=False))
        else:
            self.write(hide(text, self.secrets))

    def step(self, name: str, status: str, seconds: float, message: str, detail: Sequence[str] = ()) -> None:
        """Reports the end of a step: ok, failed or skipped."""
        mark = {"ok": " ", "skipped": "-", "failed": "!"}[status]
        lines = [
            f"{mark} {name:<12} {seconds:7.2f} s  {message}".rstrip(),
            *(f"    | {line}" for line in detail),
        ]
        self.event(
            "\n".join(lines),
            event="step",
            name=name,
            status=status,
            seconds=round(seconds, 3),
            message=message or None,
            detail=list(detail) or None,
        )

    def warning(self, name: str, message: str) -> None:
        """Reports something that a person should look at, and that stops nothing."""
        self.event(f"! warning: {message}", event="warning", name=name, message=message)

    def result(self, status: str, message: str, **fields: Any) -> None:
        """Reports how a run has ended: the last line."""
        self.event(f"{status}: {message}", event="result", status=status, **fields, message=message)


# --- Health ---


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=REQUEST_SECONDS)
        self.path = path

    def connect(self) -> None:
        """Connects to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class LocalTlsConnection(http.client.HTTPConnection):
    """HTTPS to nginx on this host, whatever the domain's DNS says."""

    def __init__(self, domain: str, port: int) -> None:
        super().__init__("127.0.0.1", port, timeout=REQUEST_SECONDS)
        self.domain = domain

    def connect(self) -> None:
        """Connects to this host and asks for the site's certificate."""
        super().connect()
        # The question is whether nginx passes requests to this release. Whether visitors trust the
        # certificate is another one, and a new site starts with a certificate that it signed
        # itself.
        context = ssl._create_unverified_context()
        self.sock = context.wrap_socket(self.sock, server_hostname=self.domain)


def ask_health(connection: http.client.HTTPConnection, path: str, domain: str) -> dict[str, Any]:
    """
    Asks a health page. Raises ReleaseError with what is not well, which includes an answer of
    another kind.
    """
    try:
        connection.request("GET", path, headers={"Host": domain, "X-Forwarded-Proto": "https"})
        response = connection.getresponse()
        body = response.read(MIB)
    except (OSError, http.client.HTTPException) as error:
        raise NotYetError(f"{path} does not answer: {error or type(error).__name__}") from None
    finally:
        connection.close()
    answers = f"{path} answers {response.status} {response.reason}"
    try:
        answer = json.loads(body)
        checks = answer.get("checks", {}).items()
        broken = [f"{name}: {check['detail']}" for name, check in checks if not check["ok"]]
    except (ValueError, AttributeError, KeyError, TypeError):
        answer, broken = {}, []
    if broken:
        raise NotYetError(f"{path} reports {'; '.join(broken)}")
    if response.status in (http.client.BAD_GATEWAY, http.client.SERVICE_UNAVAILABLE):
        raise NotYetError(answers)
    if response.status != http.client.OK or answer.get("status") != "ok":
        raise ReleaseError(answers)
    return answer


def ask_release(connection: http.client.HTTPConnection, path: str, domain: str, release: str) -> None:
    """Asks a health page which release answers. Raises ReleaseError when it is not this one."""
    answering = ask_health(connection, path, domain).get("release")
    if answering != release:
        raise NotYetError(f"{path} is answered by release {answering}, not by {release}")


def persist(
    question: Callable[[], object], seconds: float, give_up: Callable[[], bool] = lambda: False
) -> None:
    """Asks until there is no NotYetError, for so many seconds. Raises the last one."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            question()
            return
        except NotYetError:
            if time.monotonic() >= deadline or give_up():
                raise
        time.sleep(0.1)


def through_nginx(site: Site, release: Release) -> None:
    """Raises ReleaseError unless nginx passes requests to this release."""
    connection = LocalTlsConnection(site.config.domain, site.https_port)
    ask_release(connection, "/health/", site.config.domain, release.id)


def on_its_socket(site: Site, release: Release) -> None:
    """Raises ReleaseError unless this release and every service that it needs are well."""
    ask_release(UnixConnection(site.socket(release.id)), "/health/deep/", site.config.domain, release.id)


def illness(site: Site, release: Release) -> str:
    """What is not well with the live release, or ""."""
    units = [site.web(release.id), site.worker(release.id), site.beat]
    stopped = [
        f"{u} is {state}" for u, state in zip(units, unit_states(*units), strict=True) if state != "active"
    ]
    if stopped:
        return ", ".join(stopped)
    try:
        on_its_socket(site, release)
        through_nginx(site, release)
    except ReleaseError as failure:
        return failure.message
    return ""


# --- The lock ---


@contextlib.contextmanager
def locked(site: Site, by: str, operation: str) -> Iterator[None]:
    """
    Holds the lock of this site. Raises LockedError, with its owner, when another run holds it.

    The kernel keeps the lock, so it ends with the process that holds it, however that ends.
    """
    descriptor = os.open(site.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        for attempt in range(LOCK_ATTEMPTS):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == LOCK_ATTEMPTS - 1:
                    raise LockedError(f"{describe_lock(file.read())}: try again when it is done") from None
                time.sleep(0.1)
        file.truncate(0)
        json.dump({"by": by, "operation": operation, "since": now(), "pid": os.getpid()}, file)
        file.flush()
        yield


def lock_owner(site: Site) -> str:
    """Who holds the lock, for people, or ""."""
    try:
        with site.lock.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return describe_lock(file.read())
    except FileNotFoundError:
        pass
    return ""


def describe_lock(contents: str) -> str:
    """The contents of a lock file as a sentence."""
    try:
        owner = json.loads(contents)
        what = f"a {owner['operation']} by {owner['by']}"
        return f"{what} runs since {owner['since']} (process {owner['pid']})"
    except (ValueError, KeyError, TypeError):
        return "another run has just begun"


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- The transaction ---


class Request(NamedTuple):
    """What a run was asked to do."""

    operation: str
    by: str
    commit: str = ""
    archive: Path | None = None
    # the release to go back to, or "" for the one before
    target: str = ""
    # the fingerprint of the playbooks that the controller would provision with, or ""
    provisioned: str = ""
    # do nothing if the processes already run with the settings of today
    if_changed: bool = False


class Transaction:
    """
    One run that changes which release is live.

    Its steps are functions that take it as their argument. What a step has to take back when a
    later one fails, it pushes on `undo`; settling empties that.
    """

    def __init__(self, site: Site, request: Request, reporter: Reporter, parent: str | None = None) -> None:
        self.site = site
        self.request = request
        self.reporter = reporter
        self.parent = parent
        self.undo = contextlib.ExitStack()
        self.previous = site.live()
        self.steps: list[dict[str, Any]] = []
        self.archive: Archive | None = None
        self.pending: list[str] = []
        self.dump: Path | None = None
        self.switched_at = 0.0
        self.beat_restarted = False
        self._release: Release | None = None

    @property
    def release(self) -> Release:
        """The release that is to be live."""
        if self._release is None:
            raise ReleaseError("no release has been chosen yet")
        return self._release

    @release.setter
    def release(self, release: Release) -> None:
        self._release = release

    def take_back(self, action: Callable[..., object], *arguments: Any) -> None:
        """Registers what to do if a later step fails. It must never hide why that failed."""

        def safely() -> None:
            try:
                action(*arguments)
            except (OSError, ReleaseError) as error:
                self.reporter.warning("undo", f"could not take back a step: {error}")

        self.undo.callback(safely)

    def perform(self, steps: Sequence[Step]) -> None:
        """
        Does steps in order. After a ReleaseError everything is as it was before, and the
        ReleaseError goes on.
        """
        with self.undo:
            for step in steps:
                self.perform_step(step)

    def perform_step(self, step: Step) -> None:
        """Does one step, times it and reports it."""
        started = time.monotonic()
        status, message, failure = "ok", "", None
        try:
            message = step.run(self) or ""
        except Skipped as reason:
            status, message = "skipped", str(reason)
        except ReleaseError as error:
            failure = error
        except Exception as error:
            failure = unexpected(error)
        if failure:
            status, message = "failed", failure.message
        seconds = time.monotonic() - started
        self.steps.append({"name": step.name, "status": status, "seconds": round(seconds, 3)})
        self.reporter.step(step.name, status, seconds, message, failure.detail if failure else ())
        if failure and step.required:
            raise failure

    def command(self, command: Command) -> Result:
        """Runs a command of the project as the site's user and waits for it."""
        unit = unit_name(self.site, command.purpose)
        since = time.time()
        status = -signal.SIGTERM
        try:
            done = run(command.under_systemd(self.site, unit, self.parent))
            status = done.returncode
        finally:
            # Only systemd-run was killed then, and what it waited for may still be writing.
            if status < 0:
                systemctl("stop", unit)
        # A command that could not even start has said nothing itself, but systemd knows why.
        lines = last_lines(done.stdout, done.stderr)
        if done.returncode and not lines:
            lines = journal(unit, since)
        return Result(done.returncode == 0, lines)


class Step(NamedTuple):
    """
    A part of a transaction: its name in reports and what it does. It returns what it has to say.
    """

    name: str
    run: Callable[[Transaction], str | None]
    # a failure of one that is not required is reported, and the rest goes on
    required: bool = True


# --- The steps of a deploy ---


def tidy(transaction: Transaction) -> str:
    """
    Removes what a run that was killed has left: half-made directories, and units that are not live.
    """
    site, live = transaction.site, transaction.previous
    removed = 0
    for directory in (site.home, site.releases, site.virtual_environments, site.static, site.cache):
        directory.mkdir(parents=True, exist_ok=True)
    for path in site.releases.iterdir():
        upload = path.name.startswith(".upload-")
        if upload and time.time() - path.stat().st_mtime < STALE_UPLOAD_SECONDS:
            continue  # another run's, which waits for the lock or is about to be refused
        unfinished = RELEASE_ID.fullmatch(path.name) and Release.load(path).status == BUILT
        if upload or path.name.startswith(".") or (unfinished and (not live or path.name != live.id)):
            remove_tree(path)
            removed += 1
    for path in site.virtual_environments.iterdir():
        if not (path / COMPLETE).is_file():
            remove_tree(path)
            removed += 1
    stray = [unit for unit in unit_instances(site) if not live or release_of(unit) != live.id]
    if stray:
        systemctl("stop", "--no-block", *stray)
    if not removed and not stray:
        raise Skipped("nothing was left behind")
    return f"removed {counted(removed, 'leftover')}, {counted(len(stray), 'unit')} told to stop"


def check_room(transaction: Transaction) -> str:
    """Reads the archive, and makes sure that there is room for what it unpacks to."""
    site, request = transaction.site, transaction.request
    assert request.archive is not None
    limit = site.config.archive_limit_mib * MIB
    archive = read_archive(request.archive, 4 * limit)
    if archive.commit and archive.commit != request.commit:
        raise UsageError(f"the archive is of commit {archive.commit}, not of {request.commit}")
    transaction.archive = archive
    # Twice the code, for its compiled form and its static files, and room to breathe for everything
    # else.
    require_room(site.releases, 2 * archive.size + 256 * MIB, 3 * len(archive.members) + 1000)
    return f"{counted(len(archive.members), 'file')}, {megabytes(archive.size)}"


def require_room(directory: Path, size: int, files: int = 0) -> None:
    """
    Raises ReleaseError unless the file system of a directory has room for so many bytes and files.
    """
    room = os.statvfs(directory)
    free = room.f_bavail * room.f_frsize
    if free < size:
        raise ReleaseError(
            f"{directory}: {megabytes(free)} free, {megabytes(size)} needed: make room on the disk"
        )
    if room.f_files and room.f_favail < files:
        raise ReleaseError(f"{directory}: {room.f_favail} inodes free, {files} needed: remove files")


def unpack_release(transaction: Transaction) -> str:
    """Unpacks the code beside the other releases, and names it only when it is complete."""
    site, request = transaction.site, transaction.request
    assert request.archive is not None
    assert transaction.archive is not None
    release = new_release(site, request)
    temporary = site.releases / f".{release.id}.tmp"
    transaction.take_back(remove_tree, temporary)
    unpack(request.archive, transaction.archive, temporary, site.accounts)
    # The site's user cannot write here, so Python could not keep what it compiles. A file that does
    # not compile is the import's business.
    compileall.compile_dir(temporary, quiet=2, stripdir=temporary, prependdir=release.path)
    for path in temporary.rglob("__pycache__"):
        give_group(path, site.accounts)
    finish_directory(transaction, temporary, release)
    return release.id


def give_group(directory: Path, accounts: Accounts) -> None:
    """Lets the site read what was written into its release."""
    directory.chmod(0o751)
    for path in [directory, *directory.iterdir()]:
        os.chown(path, accounts.root_user, accounts.site_group)


def new_release(site: Site, request: Request) -> Release:
    """A release with a new name. Two of the same commit within a second get different ones."""
    moment = datetime.datetime.now(datetime.UTC)
    while True:
        path = site.releases / f"{moment.strftime('%Y%m%dT%H%M%SZ')}-{request.commit[:8]}"
        if not path.exists():
            return Release(path, commit=request.commit, created=now(), by=request.by)
        moment += datetime.timedelta(seconds=1)


def finish_directory(transaction: Transaction, temporary: Path, release: Release) -> None:
    """
    Gives a complete directory its final name, and everything that a release has besides its code.
    """
    (temporary / "gunicorn.sock").symlink_to(transaction.site.socket(release.id))
    transaction.take_back(discard, release)
    temporary.rename(release.path)
    release.save()
    transaction.release = release


def discard(release: Release) -> None:
    """Removes a release that was never live. A bad one stays, so that somebody can look at it."""
    if Release.load(release.path).status == BUILT:
        remove_tree(release.path)


COMPLETE = ".complete"


def environment_key(release: Release) -> str:
    """The name of the virtual environment that a release needs: what goes into one, hashed."""
    digest = hashlib.sha256((release.path / "uv.lock").read_bytes())
    # The lock file does not say which of its packages are only for development.
    digest.update((release.path / "pyproject.toml").read_bytes())
    digest.update(
        f"{VIRTUAL_ENVIRONMENT_FORMAT} {sys.implementation.cache_tag} {platform.machine()}".encode()
    )
    return digest.hexdigest()[:32]


def build_environment(transaction: Transaction) -> str:
    """
    Gives the release its virtual environment: an existing one with the same packages, or a new one.
    """
    site, release = transaction.site, transaction.release
    directory = site.virtual_environments / environment_key(release)
    link = release.path / ".venv"
    link.symlink_to(f"../../{directory.relative_to(site.home)}")
    if (directory / COMPLETE).is_file():
        return f"reused {directory.name[:12]}"
    require_room(site.virtual_environments, 512 * MIB, 30_000)
    remove_tree(directory)
    transaction.take_back(remove_unfinished, directory)
    install_packages(transaction, directory)
    # Written by the site's user, who is to own nothing that the site executes.
    give_to(directory, site.accounts.root_user, site.accounts.site_group)
    if not (directory / "bin/gunicorn").exists():
        raise ReleaseError("the project does not depend on gunicorn: run `uv add gunicorn` and commit")
    (directory / COMPLETE).touch()
    return f"built {directory.name[:12]}"


def remove_unfinished(directory: Path) -> None:
    """Removes a virtual environment that was not built to its end."""
    if not (directory / COMPLETE).is_file():
        remove_tree(directory)


def install_packages(transaction: Transaction, directory: Path) -> None:
    """
    Lets uv make a virtual environment from the lock file.

    It runs as the site's user, without the site's secrets: a package that is built from source runs
    code of its own. That user may run this code later anyway, root must not.
    """
    site, release = transaction.site, transaction.release
    uv_cache = site.cache / "uv"
    for path in (directory, uv_cache):
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, site.accounts.site_user, site.accounts.site_group)
    variables = {
        "HOME": str(uv_cache),
        "UV_CACHE_DIR": str(uv_cache),
        "UV_COMPILE_BYTECODE": "1",
        # A hard link would make the cache and the environment one file with one owner.
        "UV_LINK_MODE": "copy",
        "UV_NO_PROGRESS": "1",
        "UV_PROJECT_ENVIRONMENT": str(directory),
        "UV_PYTHON": str(site.python),
        "UV_PYTHON_DOWNLOADS": "never",
        # The host's own authorities, as every other program uses them: an administrator may have
        # added that of a proxy.
        "UV_SYSTEM_CERTS": "1",
        "VIRTUAL_ENV": str(directory),
    }
    if site.config.certificate_authority_bundle:
        variables["SSL_CERT_FILE"] = site.config.certificate_authority_bundle
    groups = ("--frozen", "--no-dev", "--no-default-groups")
    if site.config.python_package_index_url:
        # The lock file names the addresses of another index. Its versions and hashes hold for any.
        requirements = uv_cache / "requirements.txt"
        variables["UV_DEFAULT_INDEX"] = site.config.python_package_index_url
        commands = [
            [site.uv, "venv", "--allow-existing", directory],
            [
                site.uv,
                "export",
                *groups,
                "--no-emit-project",
                "--output-file",
                requirements,
                "--quiet",
            ],
            [site.uv, "pip", "sync", "--require-hashes", requirements],
        ]
    else:
        commands = [[site.uv, "sync", *groups, "--no-install-project"]]
    for argv in commands:
        done = transaction.command(
            Command(
                "packages",
                argv,
                release.path,
                variables,
                writable=(directory, uv_cache),
                settings=False,
                seconds=BUILD_SECONDS,
            )
        )
        if not done.ok:
            raise ReleaseError(
                f"uv could not install the packages of uv.lock: {uv_cause(done.lines)}", done.lines
            )


def uv_cause(lines: Sequence[str]) -> str:
    """The innermost cause that uv names."""
    marked = [line.strip() for line in lines if re.match(r"\s*(error:|Caused by:|\u00d7|├─▶|╰─▶)", line)]
    return (marked or list(lines) or ["it said nothing"])[-1].strip()


def examine(transaction: Transaction) -> str:
    """Runs Django's checks, collects the static files, and asks which migrations are pending."""
    site, release = transaction.site, transaction.release
    with tempfile.TemporaryDirectory(prefix=f".{release.id}.", suffix=".tmp", dir=site.releases) as name:
        staging = Path(name)
        os.chown(staging, site.accounts.site_user, site.accounts.site_group)
        result_file = staging / "result.json"
        done = transaction.command(
            Command(
                "check",
                [release.path / ".venv/bin/python", "-c", EXAMINE, staging, result_file],
                release.path,
                {"RELEASE_ID": release.id},
                writable=(staging,),
                seconds=EXAMINE_SECONDS,
            )
        )
        try:
            result = json.loads(result_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise ReleaseError(
                f"the project's Python does not start: {cause(done.lines)}", done.lines
            ) from None
        if result.get("errors"):
            raise ReleaseError(f"{result['stage']}: {first_line(result['errors'][0])}", result["errors"])
        if not done.ok or result["stage"] != "done":
            raise ReleaseError(f"{result['stage']}: {cause(done.lines)}", done.lines)
        for warning in result["warnings"]:
            transaction.reporter.warning("check", first_line(warning))
        transaction.pending = result["pending"]
        count = keep_static_files(site, release, staging)
    pending = counted(len(transaction.pending), "pending migration")
    if transaction.pending:
        more = ", …" if len(transaction.pending) > 3 else ""
        pending += f" ({', '.join(transaction.pending[:3])}{more})"
    return f"{counted(len(result['warnings']), 'warning')}, {counted(count, 'static file')}, {pending}"


def first_line(text: str) -> str:
    """The first line of a text."""
    return text.strip().partition("\n")[0]


def keep_static_files(site: Site, release: Release, staging: Path) -> int:
    """
    Takes over what collectstatic has made, and returns the number of files.

    Files with a hash in their name go to the directory that all releases share: whatever the name
    names is the same for all. The others differ between releases, so each keeps its own until it is
    switched to.
    """
    manifest = staging / MANIFEST
    if manifest.is_file() and not manifest.is_symlink():
        target = release.path / MANIFEST
        shutil.copyfile(manifest, target)
        target.chmod(0o640)
        os.chown(target, site.accounts.root_user, site.accounts.site_group)
    hashed = release.static_names()
    count = 0
    for path in regular_files(staging / "static"):
        shared = path.as_posix() in hashed
        copy_static_file(
            staging / "static" / path,
            (site.static if shared else release.path / PLAIN_STATIC) / path,
        )
        count += 1
    return count


def copy_static_file(source: Path, target: Path) -> None:
    """Copies a file that visitors may read, unless it is there."""
    if target.exists():
        return
    make_public_directory(target.parent)
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.copyfile(source, temporary)
    temporary.chmod(0o644)
    temporary.replace(target)


def make_public_directory(path: Path) -> None:
    """Makes a directory, and its parents, that visitors' requests reach."""
    if not path.exists():
        make_public_directory(path.parent)
        path.mkdir()
        path.chmod(0o755)


def publish_plain_static_files(site: Site, release: Release) -> None:
    """Makes the static files without a hash in their name those of this release."""
    own = release.path / PLAIN_STATIC
    for path in regular_files(own):
        target = site.static / path
        if target.exists() and target.samefile(own / path):
            continue
        make_public_directory(target.parent)
        temporary = target.with_name(f".{target.name}.tmp")
        temporary.unlink(missing_ok=True)
        temporary.hardlink_to(own / path)
        temporary.replace(target)


def back_up(transaction: Transaction) -> str:
    """Dumps the database before it is migrated, and makes sure that the dump can be read."""
    site = transaction.site
    if not transaction.pending:
        raise Skipped("no migration is pending")
    site.backups.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = ("--host=/run/postgresql", f"--username={site.name}", "--no-password")
    as_site = {
        "user": site.accounts.site_user,
        "group": site.accounts.site_group,
        "extra_groups": [],
        "cwd": "/",
    }
    asked = run(
        [
            "psql",
            *database,
            f"--dbname={site.name}",
            "-Atc",
            "select pg_database_size(current_database())",
        ],
        **as_site,
    )
    if asked.returncode:
        lines = last_lines(asked.stderr)
        raise ReleaseError(f"the database does not answer: {cause(lines)}", lines)
    require_room(site.backups, int(asked.stdout) + 64 * MIB)
    path = site.backups / f"before-{transaction.release.id}.dump"
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    try:
        with open_new(temporary, 0o600) as file:
            dumped = run(
                ["pg_dump", *database, f"--dbname={site.name}", "--format=custom", "--compress=1"],
                stdout=file,
                **as_site,
            )
            os.fsync(file.fileno())
        if dumped.returncode:
            lines = last_lines(dumped.stderr)
            raise ReleaseError(f"the database cannot be dumped: {cause(lines)}", lines)
        listed = run(["pg_restore", "--list", temporary])
        if listed.returncode or not temporary.stat().st_size:
            raise ReleaseError("the dump of the database cannot be read back", last_lines(listed.stderr))
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(site.backups)
    transaction.dump = path
    return f"{path} ({megabytes(path.stat().st_size)})"


def migrate(transaction: Transaction) -> str:
    """
    Migrates the database while the old release goes on using it.

    A migration that cannot get its lock soon gives up, because every query would queue up behind
    it, and tries again. Migrations that were applied stay, whatever happens: the old release has to
    be able to live with them.
    """
    site, release = transaction.site, transaction.release
    if not transaction.pending:
        raise Skipped("no migration is pending")
    command = Command(
        "migrate",
        [release.path / ".venv/bin/python", "manage.py", "migrate", "--noinput", "--verbosity=1"],
        release.path,
        {"RELEASE_ID": release.id, "PGOPTIONS": f"-c lock_timeout={LOCK_TIMEOUT}"},
        writable=(site.media,),
    )
    for attempt in range(1, MIGRATION_ATTEMPTS + 1):
        done = transaction.command(command)
        if done.ok:
            tries = "" if attempt == 1 else f" at attempt {attempt}"
            return f"{counted(len(transaction.pending), 'migration')}{tries}"
        if "lock timeout" not in "\n".join(done.lines) or attempt == MIGRATION_ATTEMPTS:
            break
        time.sleep(MIGRATION_PAUSE_SECONDS)
    raise ReleaseError(
        f"a migration failed: {cause(done.lines)} (the dump from before is {transaction.dump})",
        done.lines,
    )


def start_web(transaction: Transaction) -> str:
    """
    Starts the release's Gunicorn beside the live one. It is ready when the project is imported.
    """
    return start_unit(transaction, transaction.site.web(transaction.release.id))


def start_unit(transaction: Transaction, unit: str) -> str:
    """Starts a unit of the new release, which stops again if a later step fails."""
    if unit_states(unit) == ["active"]:
        raise Skipped(f"{unit} runs")
    since = time.time()
    transaction.release.save(settings=transaction.site.fingerprint())
    transaction.take_back(stop_unit, unit)
    started = systemctl("start", unit)
    if started.returncode:
        lines = journal(unit, since) or last_lines(started.stderr)
        raise ReleaseError(f"{unit} does not start: {cause(lines)}", lines)
    return unit


def stop_unit(unit: str) -> None:
    """Stops a unit and forgets that it failed."""
    systemctl("stop", unit)
    systemctl("reset-failed", unit)


def probe(transaction: Transaction) -> str:
    """
    Asks the new release, on its own socket, whether it and every service that it needs are well.
    """
    site, release = transaction.site, transaction.release
    unit, since = site.web(release.id), time.time()
    try:
        persist(
            lambda: on_its_socket(site, release),
            PROBE_SECONDS,
            give_up=lambda: unit_states(unit) != ["active"],
        )
    except ReleaseError as failure:
        raise ReleaseError(f"the new release is not well: {failure.message}", journal(unit, since)) from None
    return "database, cache and broker answer"


def start_worker(transaction: Transaction) -> str:
    """Starts the release's worker, and waits until it takes orders from the broker."""
    site, release = transaction.site, transaction.release
    unit, since = site.worker(release.id), time.time()
    start_unit(transaction, unit)
    node = site.worker_node(release.id)
    answered = transaction.command(
        Command(
            "ping",
            [
                release.path / ".venv/bin/python",
                "-c",
                PING,
                site.config.project_name,
                node,
                f"{WORKER_SECONDS:.0f}",
            ],
            release.path,
            {"RELEASE_ID": release.id},
        )
    )
    if not answered.ok or unit_states(unit) != ["active"]:
        lines = journal(unit, since) or answered.lines
        raise ReleaseError(f"the worker of the new release does not answer: {cause(lines)}", lines)
    return node


def switch(transaction: Transaction) -> str:
    """Makes the new release the live one: one rename."""
    site, release = transaction.site, transaction.release
    transaction.take_back(switch_back, transaction)
    publish_plain_static_files(site, release)
    point(site.current, f"releases/{release.id}")
    transaction.switched_at = time.monotonic()
    return f"{transaction.previous.id if transaction.previous else 'nothing'} -> {release.id}"


def switch_back(transaction: Transaction) -> None:
    """Makes the old release the live one again. It still runs, unless it had stopped before."""
    site, release, previous = transaction.site, transaction.release, transaction.previous
    if release.status != GOOD:
        release.save(status=BAD, message="failed after it was switched to")
    if previous is None:
        site.current.unlink(missing_ok=True)
        systemctl("stop", site.beat)
        return
    point(site.current, f"releases/{previous.id}")
    publish_plain_static_files(site, previous)
    systemctl("start", site.web(previous.id), site.worker(previous.id))
    if transaction.beat_restarted:
        systemctl("restart", site.beat)
    transaction.reporter.warning("switch", f"switched back to {previous.id}")


def check_live(transaction: Transaction) -> str:
    """Asks the site as a visitor would, over HTTPS through nginx."""
    site, release = transaction.site, transaction.release
    for _ in range(LIVE_ANSWERS):
        try:
            persist(lambda: through_nginx(site, release), LIVE_SECONDS)
        except ReleaseError as failure:
            raise ReleaseError(
                f"https://{site.config.domain} is not well after the switch: {failure.message}"
            ) from None
    return f"https://{site.config.domain}/health/ answers"


def restart_beat(transaction: Transaction) -> str:
    """
    Restarts the scheduler, of which there is exactly one. It runs the code that `current` names.
    """
    unit, since = transaction.site.beat, time.time()
    transaction.beat_restarted = True
    restarted = systemctl("restart", unit)
    if restarted.returncode:
        lines = journal(unit, since) or last_lines(restarted.stderr)
        raise ReleaseError(f"{unit} does not start: {cause(lines)}", lines)
    return unit


def settle(transaction: Transaction) -> str:
    """From here on nothing is taken back."""
    transaction.undo.pop_all()
    release, previous = transaction.release, transaction.previous
    release.save(status=GOOD, message="")
    if transaction.request.operation == "rollback" and previous and previous.status == GOOD:
        previous.save(status=WITHDRAWN, message=f"rolled back by {transaction.request.by}")
    sync_directory(transaction.site.home)
    return f"{release.id} is live"


def drain(transaction: Transaction) -> str:
    """
    Lets everything that is not the live release end: requests are answered, running tasks done.

    Not waited for, because a task may take minutes. systemd sees to it.
    """
    site, release = transaction.site, transaction.release
    old = [unit for unit in unit_instances(site) if release_of(unit) != release.id]
    if not old:
        raise Skipped("no other release runs")
    time.sleep(max(0.0, transaction.switched_at + DRAIN_SECONDS - time.monotonic()))
    stopped = systemctl("stop", "--no-block", *old)
    if stopped.returncode:
        raise ReleaseError("the old release does not stop", last_lines(stopped.stderr))
    return ", ".join(old)


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
    dumps = prune_dumps(site)
    for path in site.runtime.glob("*.sock"):
        if RELEASE_ID.fullmatch(path.stem) and not (site.releases / path.stem).exists():
            path.unlink(missing_ok=True)
    if not (gone or environments or static or dumps):
        raise Skipped(f"{counted(len(kept), 'release')} kept")
    return (
        f"{counted(len(gone), 'release')}, {counted(environments, 'virtual environment')}, "
        f"{counted(static, 'static file')}, {counted(dumps, 'dump')} removed"
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


def rollback_target(releases: Sequence[Release], live: Release) -> Release | None:
    """
    The release to go back to: the newest good one of another commit that is older than the live
    one.
    """
    for release in releases:
        if release.id < live.id and release.status == GOOD and release.commit != live.commit:
            return release
    return None


def prune_virtual_environments(site: Site) -> int:
    """Removes the virtual environments that no release uses, and returns their number."""
    links = [path / ".venv" for path in site.releases.iterdir()]
    used = {link.readlink().name for link in links if link.is_symlink()}
    unused = [path for path in site.virtual_environments.iterdir() if path.name not in used]
    for path in unused:
        remove_tree(path)
    return len(unused)


def retire_static_files(site: Site, names: Iterable[str]) -> None:
    """Starts the time after which static files that no kept release needs are removed."""
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            os.utime(site.static / name)


def prune_static_files(site: Site, needed: set[str]) -> int:
    """
    Removes static files that no kept release needs and that have been retired for long enough.

    Pages that visitors still have open, and search engines, ask for the files of releases that are
    gone.
    """
    oldest = time.time() - site.config.keep_static_days * 24 * 60 * 60
    removed = 0
    for path in list(regular_files(site.static)):
        if path.as_posix() not in needed and (site.static / path).stat().st_mtime < oldest:
            (site.static / path).unlink()
            removed += 1
    return removed


def prune_dumps(site: Site) -> int:
    """Removes the oldest dumps that were made before migrations, and returns their number."""
    dumps = sorted(site.backups.glob("before-*.dump"), reverse=True)
    for path in dumps[site.config.keep_releases :]:
        path.unlink()
    return len(dumps[site.config.keep_releases :])


def copy_live_release(transaction: Transaction) -> str:
    """
    Makes a second release of the live code, so that new processes can be started beside the old
    ones.
    """
    site, live = transaction.site, transaction.previous
    assert live is not None
    release = new_release(site, transaction.request)
    temporary = site.releases / f".{release.id}.tmp"
    transaction.take_back(remove_tree, temporary)
    shutil.copytree(
        live.path, temporary, symlinks=True, ignore=shutil.ignore_patterns("gunicorn.sock", RECORD)
    )
    for original in [live.path, *live.path.rglob("*")]:
        copied = temporary / original.relative_to(live.path)
        if copied.is_symlink() or copied.exists():
            owner = original.lstat()
            os.chown(copied, owner.st_uid, owner.st_gid, follow_symlinks=False)
    finish_directory(transaction, temporary, release)
    return release.id


def choose_target(transaction: Transaction) -> str:
    """Finds the release to go back to."""
    live, wanted = transaction.previous, transaction.request.target
    releases = transaction.site.kept_releases()
    if live is None:
        raise ReleaseError("nothing is live yet, so there is nothing to go back from: deploy first")
    if not wanted:
        target = rollback_target(releases, live)
        if target is None:
            raise ReleaseError(
                f"no good release older than {live.id} is kept, so there is none to go back to"
            )
    else:
        found = [r for r in releases if r.id == wanted or (len(wanted) >= 7 and r.commit.startswith(wanted))]
        if not found:
            known = ", ".join(release.id for release in releases if release.id != live.id) or "none"
            raise UsageError(f"there is no release {wanted!r}; kept are: {known}")
        target = found[0]
    if target.id == live.id:
        raise UsageError(f"{target.id} is live already")
    if target.status not in (GOOD, WITHDRAWN):
        raise UsageError(f"{target.id} never was live and well ({target.message or target.status})")
    transaction.release = target
    return target.id


TIDY = Step("tidy", tidy)
# What is left to do when `current` names the new release.
FINISH = (
    Step("live", check_live),
    Step("beat", restart_beat),
    Step("settle", settle),
    Step("drain", drain, required=False),
    Step("prune", prune, required=False),
)
# What makes a release live, however it came to be there.
GO_LIVE = (
    Step("start", start_web),
    Step("probe", probe),
    Step("worker", start_worker),
    Step("switch", switch),
    *FINISH,
)
DEPLOY = (
    TIDY,
    Step("room", check_room),
    Step("unpack", unpack_release),
    Step("environment", build_environment),
    Step("check", examine),
    Step("backup", back_up),
    Step("migrate", migrate),
    *GO_LIVE,
)
ROLLBACK = (Step("target", choose_target), *GO_LIVE)
RESTART = (TIDY, Step("copy", copy_live_release), *GO_LIVE)


# --- Commands ---


class Outcome(NamedTuple):
    """How a command has ended."""

    status: str
    message: str
    release: str | None = None
    previous: str | None = None


def deploy(transaction: Transaction) -> Outcome:
    """Puts the commit in the archive live, unless it is live and well."""
    site, request, live = transaction.site, transaction.request, transaction.previous
    warn_if_stale(transaction)
    if live and live.commit == request.commit:
        problem = illness(site, live)
        if live.settings != site.fingerprint():
            problem = problem or "its processes run with settings that have changed since"
        if not problem and live.status == BUILT:
            # The run that switched to it was killed before it could do the rest.
            transaction.release = live
            transaction.perform(FINISH)
            message = f"commit {live.commit[:8]} was live already, but not to the end"
            return Outcome("deployed", message, live.id, live.id)
        if not problem:
            transaction.perform([TIDY])
            return Outcome("unchanged", f"commit {live.commit[:8]} is live and well", live.id, live.id)
        transaction.reporter.warning("unchanged", f"commit {live.commit[:8]} is deployed again: {problem}")
    transaction.perform(DEPLOY)
    message = f"https://{site.config.domain} serves commit {request.commit[:8]}"
    return Outcome("deployed", message, transaction.release.id, live.id if live else None)


def warn_if_stale(transaction: Transaction) -> None:
    """Says when the host was provisioned with other playbooks than the project has now."""
    wanted = transaction.request.provisioned
    if not wanted:
        return
    try:
        found = transaction.site.provisioned.read_text(encoding="utf-8").strip()
    except OSError:
        found = ""
    if found != wanted:
        transaction.reporter.warning(
            "provisioned",
            "the host was provisioned with other playbooks than this commit's: provision it again",
        )


def rollback(transaction: Transaction) -> Outcome:
    """Goes back to a release that was live before."""
    live = transaction.previous
    transaction.perform(ROLLBACK)
    release = transaction.release
    message = f"https://{transaction.site.config.domain} serves commit {release.commit[:8]} again"
    return Outcome("rolled-back", message, release.id, live.id if live else None)


def restart(transaction: Transaction) -> Outcome:
    """
    Starts the live code anew beside itself, so that it reads changed settings without an outage.
    """
    site, live = transaction.site, transaction.previous
    if live is None:
        return Outcome("unchanged", "nothing is live yet")
    if transaction.request.if_changed and live.settings == site.fingerprint():
        return Outcome("unchanged", "the settings have not changed since the start", live.id, live.id)
    transaction.request = transaction.request._replace(commit=live.commit)
    transaction.perform(RESTART)
    message = f"{live.commit[:8]} runs with the settings of now"
    return Outcome("restarted", message, transaction.release.id, live.id)


TRANSACTIONS: dict[str, Callable[[Transaction], Outcome]] = {
    "deploy": deploy,
    "rollback": rollback,
    "restart": restart,
}


def transact(site: Site, request: Request, reporter: Reporter, parent: str | None = None) -> int:
    """
    Does one transaction under the lock, reports and records how it ended, and returns the exit
    status.
    """
    started = time.monotonic()
    transaction: Transaction | None = None
    status, detail = 0, []
    with contextlib.suppress(OSError):
        reporter.secrets = secret_values(site.environment.read_text(encoding="utf-8"))
    try:
        with locked(site, request.by, request.operation), stopped_by_signals():
            transaction = Transaction(site, request, reporter, parent)
            outcome = TRANSACTIONS[request.operation](transaction)
    except Exception as error:  # whatever it is: it is reported and recorded, and perform() has cleaned up
        failure = error if isinstance(error, ReleaseError) else unexpected(error)
        status, detail = failure.exit_status, failure.detail
        live = site.live()
        consequence = f"; {live.id} stays live" if live and transaction else ""
        outcome = Outcome(failure.status, failure.message + consequence, None, live.id if live else None)
    seconds = round(time.monotonic() - started, 3)
    if transaction and outcome.status != "unchanged":
        try:
            record(site, transaction, outcome, seconds, detail, reporter.secrets)
        except OSError as error:
            reporter.warning("log", f"cannot write {site.log}: {error.strerror}")
    reporter.result(
        outcome.status,
        outcome.message,
        release=outcome.release,
        previous=outcome.previous,
        seconds=seconds,
    )
    return status


def unexpected(error: Exception) -> ReleaseError:
    """An error that no step expected, as one line. Where it came from goes to the history."""
    if isinstance(error, OSError):
        return ReleaseError(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
    return ReleaseError(
        f"unexpected {type(error).__name__}: {error}",
        last_lines(*traceback.format_exception(error)),
    )


def record(
    site: Site,
    transaction: Transaction,
    outcome: Outcome,
    seconds: float,
    detail: Sequence[str],
    secret_texts: Sequence[str],
) -> None:
    """Adds a line to the history: who did what, when, how long each step took and how it ended."""
    request = transaction.request
    entry = {
        "time": now(),
        "operation": request.operation,
        "by": request.by,
        "commit": request.commit or None,
        **outcome._asdict(),
        "seconds": seconds,
        "steps": transaction.steps,
        "dump": str(transaction.dump) if transaction.dump else None,
        "detail": list(detail),
    }
    site.log.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    descriptor = os.open(site.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(hide(entry, secret_texts), ensure_ascii=False) + "\n")


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Turns a request to stop into a ReleaseError, so that what was half done is taken back."""

    def stop(number: int, _frame: object) -> NoReturn:
        # A second signal must not interrupt what the first one made necessary.
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_number, signal.SIG_IGN)
        raise ReleaseError(f"stopped by {signal.Signals(number).name}")

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    # A reader that is gone is no reason to stop: Reporter copes.
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show_list(site: Site, reporter: Reporter) -> int:
    """Shows the releases on disk, newest first."""
    live = site.live()
    releases = site.kept_releases()
    for release in releases:
        is_live = bool(live and live.id == release.id)
        mark = "*" if is_live else " "
        reporter.event(
            f"{mark} {release.id}  {release.status:<11} {release.by}  {release.message}".rstrip(),
            event="release",
            **release.describe(),
            live=is_live,
        )
    if not releases:
        reporter.event("nothing has been deployed yet", event="result", status="empty", message="no release")
    return 0


def show_status(site: Site, reporter: Reporter) -> int:
    """Shows what is live, whether it is well, and who changes it right now."""
    live, owner = site.live(), lock_owner(site)
    problem = illness(site, live) if live else "nothing is live yet"
    target = rollback_target(site.kept_releases(), live) if live else None
    provisioned = None
    with contextlib.suppress(OSError):
        provisioned = site.provisioned.read_text(encoding="utf-8").strip()
    lines = [f"site      {site.name} (https://{site.config.domain})"]
    if live:
        lines.append(f"live      {live.id}, commit {live.commit}, deployed {live.created} by {live.by}")
    lines.append(f"health    {problem or 'well'}")
    lines.append(f"rollback  {f'would go to {target.id}' if target else 'nothing to go back to'}")
    if owner:
        lines.append(f"locked    {owner}")
    reporter.event(
        "\n".join(lines),
        event="status",
        site=site.name,
        domain=site.config.domain,
        **(live.describe() if live else {"release": None}),
        healthy=not problem,
        problem=problem or None,
        previous=target.id if target else None,
        provisioned=provisioned,
        locked=owner or None,
    )
    return 0


def manage(site: Site, words: Sequence[str]) -> int:
    """
    Runs manage.py of the live release as the site's user, with its settings, and returns its exit
    status.
    """
    live = site.live()
    if live is None:
        raise ReleaseError("nothing is live yet: deploy first")
    command = Command(
        "manage",
        [live.path / ".venv/bin/python", "manage.py", *words],
        live.path,
        {"RELEASE_ID": live.id, "PYTHONUNBUFFERED": "1"},
        writable=(site.media,),
    )
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    return subprocess.call(command.under_systemd(site, unit_name(site, "manage"), None, terminal=terminal))


def start(site: Site) -> int:
    """Starts what `current` names: what the boot unit does."""
    live = site.live()
    if live is None:
        return 0
    return subprocess.call(["systemctl", "start", site.web(live.id), site.worker(live.id), site.beat])


# --- The command line ---


class Parser(argparse.ArgumentParser):
    """Reports wrong usage as every other error is reported."""

    def error(self, message: str) -> NoReturn:
        """Raises UsageError."""
        raise UsageError(f"{message} (see {self.prog} --help)")


def parser() -> Parser:
    """Describes the command line."""
    top = Parser(
        prog=Path(sys.argv[0]).name,
        description="Puts releases of one site live on this host, and takes them back.",
        epilog="Exit status: 0 done or unchanged, 1 failed, 2 wrong usage, 75 another run is busy.",
        allow_abbrev=False,
    )
    top.add_argument("--config", type=Path, metavar="FILE", help="default: /etc/<site>/release.json")
    top.add_argument("--in-unit", help=argparse.SUPPRESS)
    commands = top.add_subparsers(
        dest="command", required=True, parser_class=functools.partial(Parser, allow_abbrev=False)
    )

    def add(name: str, text: str, *, as_json: bool = True, by: bool = False) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        if by:
            command.add_argument("--by", type=person, metavar="WHO", help="who does this, for the history")
        if as_json:
            command.add_argument("--json", action="store_true", help="report one JSON object per line")
        return command

    command = add("deploy", "put a commit live", by=True)
    command.add_argument(
        "--archive", required=True, metavar="FILE", help="tar archive of the commit, - for stdin"
    )
    command.add_argument("--commit", required=True, type=commit, metavar="SHA")
    command.add_argument(
        "--provisioned",
        type=fingerprint,
        default="",
        metavar="FINGERPRINT",
        help="of the playbooks",
    )
    command = add("rollback", "go back to a release that was live before", by=True)
    command.add_argument("release", nargs="?", type=token, metavar="RELEASE", help="id or commit")
    command = add(
        "restart",
        "start the live release anew, without an outage, after its settings changed",
        by=True,
    )
    command.add_argument("--if-changed", action="store_true", help="only if it runs with other settings")
    add("list", "show the releases on disk")
    add("status", "show what is live and whether it is well")
    add("start", "start what is to be live (at boot)", as_json=False)
    command = add("manage", "run manage.py of the live release: manage -- ARGS", as_json=False)
    command.add_argument("words", nargs="*", metavar="ARGS")
    return top


def commit(text: str) -> str:
    """A full commit id."""
    if not COMMIT.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a full commit id (git rev-parse HEAD prints it)")
    return text


def token(text: str) -> str:
    """A word of letters, digits and hyphens."""
    if not re.fullmatch(r"[0-9A-Za-z-]{1,100}", text):
        raise argparse.ArgumentTypeError(f"{text!r} has other characters than letters, digits and hyphens")
    return text


def fingerprint(text: str) -> str:
    """A fingerprint of playbooks, or nothing."""
    return token(text) if text else ""


def person(text: str) -> str:
    """A name in one short line."""
    if not text.strip() or len(text) > 100 or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is not a name of at most 100 printable characters")
    return text.strip()


REMOTE_COMMANDS = ("deploy", "rollback", "list", "status")


def remote_words(words: Sequence[str]) -> list[str]:
    """
    The command that a client of the deploy account asked for, as a list of words.

    Raises UsageError for everything that is not a plain release command. What stands here is what
    the key of a continuous integration server can do on this host.
    """
    if len(words) != 1:
        raise UsageError("--ssh-command takes one argument and stands alone")
    try:
        asked = shlex.split(words[0])
    except ValueError as error:
        raise UsageError(f"cannot read the command {words[0]!r}: {error}") from None
    allowed = f"this account runs only: {', '.join(REMOTE_COMMANDS)}"
    if not asked:
        raise UsageError(f"there is no shell here; {allowed}")
    if asked[0] not in REMOTE_COMMANDS:
        raise UsageError(f"{asked[0]!r} is refused; {allowed}")
    return asked


def refuse_local_options(arguments: argparse.Namespace) -> None:
    """Raises UsageError for what only root may say: which files are read."""
    if arguments.config or arguments.in_unit:
        raise UsageError("--config and --in-unit are refused here")
    if arguments.command == "deploy" and arguments.archive != "-":
        raise UsageError("--archive must be - here: send the archive on standard input")


def in_unit_of_its_own(site: Site, config: Path, arguments: argparse.Namespace) -> int:
    """
    Runs a transaction in a systemd unit, so that a connection that breaks cannot cut it in half.

    The archive on standard input is read to its end first: until then nothing has happened.
    """
    upload: Path | None = None
    options = [f"--by={arguments.by or os.environ.get('SUDO_USER') or getpass.getuser()}"]
    if arguments.json:
        options.append("--json")
    if arguments.command == "deploy":
        archive = Path(arguments.archive).absolute()
        if arguments.archive == "-":
            archive = upload = store_upload(site)
        elif not archive.is_file():
            raise UsageError(f"there is no archive {arguments.archive}")
        options += [
            f"--archive={archive}",
            f"--commit={arguments.commit}",
            f"--provisioned={arguments.provisioned}",
        ]
    elif arguments.command == "rollback":
        options += [arguments.release] if arguments.release else []
    elif arguments.if_changed:
        options.append("--if-changed")
    unit = unit_name(site, "release")
    program = [
        sys.executable,
        "-IB",
        Path(sys.argv[0]).absolute(),
        f"--config={config}",
        f"--in-unit={unit}",
    ]
    argv = without_expansion([*program, arguments.command, *options])
    # Building must not slow down the visitors' requests.
    how = ["--wait", "--pipe", "--collect", "--quiet", f"--unit={unit}", "--property=Nice=5"]
    try:
        status = subprocess.call(["systemd-run", *how, "--", *argv])
    except FileNotFoundError:
        raise ReleaseError("systemd-run is not installed: this host does not run systemd") from None
    finally:
        # The unit removes it too, for when this process is gone by then.
        if upload:
            upload.unlink(missing_ok=True)
    if status not in (0, EXIT_FAILED, EXIT_USAGE, EXIT_LOCKED):
        raise ReleaseError(f"{unit} was killed: ask for the status, then do the same again")
    return status


def store_upload(site: Site) -> Path:
    """
    Reads the archive on standard input into a file. Raises ReleaseError when there is no room for
    it.
    """
    try:
        site.releases.mkdir(parents=True, exist_ok=True)
        return spool(sys.stdin.buffer, site.releases, site.config.archive_limit_mib * MIB)
    except OSError as error:
        raise ReleaseError(f"cannot store the archive in {site.releases}: {error.strerror}") from None


def config_path(arguments: argparse.Namespace) -> Path:
    """
    The configuration file: as given, or that of the site whose name this program was started by.
    """
    if arguments.config:
        return arguments.config.absolute()
    site = Path(sys.argv[0]).name.removesuffix("-release")
    if not SITE_NAME.fullmatch(site):
        raise UsageError(f"started as {Path(sys.argv[0]).name}, not as <site>-release: give --config FILE")
    return Path("/etc", site, "release.json")


def execute(words: Sequence[str], reporter: Reporter) -> int:
    """Does what the command line asks for and returns the exit status."""
    remote = bool(words) and words[0] == "--ssh-command"
    if remote:
        words = remote_words(words[1:])
        reporter.as_json = "--json" in words
    arguments = parser().parse_args(words)
    if remote:
        refuse_local_options(arguments)
    if os.geteuid() != 0:
        raise ReleaseError(f"{Path(sys.argv[0]).name} must be run as root: use sudo")
    path = config_path(arguments)
    site = Site.on_this_host(Config.read(path))
    if arguments.command == "list":
        return show_list(site, reporter)
    if arguments.command == "status":
        return show_status(site, reporter)
    if arguments.command == "manage":
        return manage(site, arguments.words)
    if arguments.command == "start":
        return start(site)
    if not arguments.in_unit:
        return in_unit_of_its_own(site, path, arguments)
    request = Request(
        operation=arguments.command,
        by=arguments.by,
        commit=getattr(arguments, "commit", ""),
        archive=Path(arguments.archive) if arguments.command == "deploy" else None,
        target=getattr(arguments, "release", None) or "",
        provisioned=getattr(arguments, "provisioned", ""),
        if_changed=getattr(arguments, "if_changed", False),
    )
    try:
        return transact(site, request, reporter, arguments.in_unit)
    finally:
        if request.archive and request.archive.parent == site.releases:
            request.archive.unlink(missing_ok=True)


def main(words: Sequence[str]) -> int:
    """The whole program. Errors become one line and an exit status."""
    reporter = Reporter(sys.stdout, as_json="--json" in words)
    try:
        return execute(words, reporter)
    except ReleaseError as failure:
        error = failure
    except OSError as failure:
        error = unexpected(failure)
    except KeyboardInterrupt:
        error = ReleaseError("stopped; a transaction that had begun goes on: see status")
    if reporter.as_json:
        reporter.result(error.status, error.message)
    else:
        print(f"{Path(sys.argv[0]).name}: {error.message}", file=sys.stderr)
    return error.exit_status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
