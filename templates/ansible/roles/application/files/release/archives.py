"""Receives, checks and unpacks the archive of a commit. Nothing in it is trusted."""

from __future__ import annotations

import copy
import os
import tarfile
import tempfile
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from .errors import UsageError
from .messages import MIB, megabytes
from .releases import OWN_NAMES
from .site import Accounts


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
    if parts and parts[0] in OWN_NAMES:
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
