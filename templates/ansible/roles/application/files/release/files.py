"""Writes, links, removes and measures files so that a crash in between does no harm."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import ReleaseError
from .messages import megabytes

# The end of the names of files that are not finished.
TEMPORARY = ".tmp"


def write_atomically(path: Path, text: str, mode: int) -> None:
    """
    Writes a file so that readers, and a host that loses power, see the old or the new contents.
    """
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    # A run that was killed may have left it. There is one run at a time.
    temporary.unlink(missing_ok=True)
    try:
        with open_new(temporary, mode) as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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


def begin_flush(directory: Path) -> subprocess.Popen[bytes]:
    """
    Begins to write to the disk whatever of a file system is only in memory, and does not wait for
    its end.
    """
    return subprocess.Popen(["sync", "--file-system", directory], stdin=subprocess.DEVNULL)


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


def directory_size(directory: Path) -> int:
    """The bytes that the files below a directory hold. What they link to is not counted."""
    return sum((directory / path).stat().st_size for path in regular_files(directory))


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
