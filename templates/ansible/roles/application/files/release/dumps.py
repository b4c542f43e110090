"""
Dumps of a site's database: made before migrations, kept with the release that they were made for.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from .blockers import APPLICATION, describe_blocker, watched
from .errors import ReleaseError
from .files import open_new, sync_directory
from .messages import counted, last_lines, megabytes
from .postgresql import as_site, complaint, connection, tables
from .processes import run
from .site import Site

BEFORE = "before-"
RESTORED = "restored-"
SUFFIX = ".dump"
UNFINISHED = (".tmp", ".schema")
# A dump needs the weakest of locks, which only work on a whole table keeps from it.
LOCK_WAIT = "15s"


def dump_path(site: Site, release_id: str) -> Path:
    """Where the dump is that was made before the migrations of a release."""
    return site.backups / f"{BEFORE}{release_id}{SUFFIX}"


def release_of_dump(path: Path) -> str:
    """The release whose migrations a dump was made before."""
    return path.name.removeprefix(BEFORE).removesuffix(SUFFIX)


def dumps(site: Site) -> list[Path]:
    """All dumps that were made before migrations, oldest first."""
    return sorted(site.backups.glob(f"{BEFORE}*{SUFFIX}"))


def dump(site: Site, path: Path, *options: str, expected: dict[str, str] | None = None) -> None:
    """
    Writes a dump of the site's database that is known to be complete, or nothing. `options` are
    pg_dump's; `expected` are the tables that it must hold, those of now unless they are given.
    """
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    try:
        # Side by side, because none of them keeps more than one processor busy.
        with explained(site), concurrent.futures.ThreadPoolExecutor() as pool:
            smallest = pool.submit(size_of_schema, site, path.with_suffix(".schema"))
            expected = tables(site, site.name) if expected is None else expected
            write_dump(site, temporary, *options)
            smallest.result()
        verify(temporary, expected, smallest.result())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


@contextlib.contextmanager
def explained(site: Site) -> Iterator[None]:
    """Says who keeps a dump waiting, if that is why it fails."""
    failure: ReleaseError | None = None
    with watched(site) as waits:
        try:
            yield
        except ReleaseError as error:
            failure = error
    # pg_dump lets PostgreSQL take this for a statement that takes too long.
    if failure and waits and any("timeout" in line for line in failure.detail):
        reason = describe_blocker(waits[-1])
        raise ReleaseError(f"the database cannot be dumped within {LOCK_WAIT}: {reason}", failure.detail)
    if failure:
        raise failure


def remove_unfinished(site: Site) -> int:
    """Removes what a run that was killed has left of a dump, and returns how much that was."""
    left = [path for path in site.backups.glob(f"{BEFORE}*") if path.suffix in UNFINISHED]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)


def write_dump(site: Site, path: Path, *options: str) -> None:
    """Lets pg_dump write a file in the format that pg_restore can read in parts."""
    with open_new(path, 0o600) as file:
        dumped = run(
            [
                "pg_dump",
                *connection(site, site.name),
                "--format=custom",
                "--compress=1",
                f"--lock-wait-timeout={LOCK_WAIT}",
                *options,
            ],
            stdout=file,
            env={**os.environ, "PGAPPNAME": APPLICATION},
            **as_site(site),
        )
        os.fsync(file.fileno())
    if dumped.returncode:
        lines = last_lines(dumped.stderr)
        raise ReleaseError(f"the database cannot be dumped: {complaint(lines)}", lines)


def verify(path: Path, expected: dict[str, str], smallest: int) -> None:
    """
    Raises ReleaseError unless a dump holds the rows of all expected tables, can be read to its end,
    and has at least the size of one without any row.

    Listing its contents is not enough: they stand at its beginning, and the rows after them.
    """
    listed = run(["pg_restore", "--list", path])
    read = run(["pg_restore", f"--file={os.devnull}", path])
    if read.returncode or listed.returncode or not path.stat().st_size:
        lines = last_lines(read.stderr or listed.stderr)
        raise ReleaseError(f"the dump of the database cannot be read back: {complaint(lines)}", lines)
    # "3437; 0 16390 TABLE DATA public shop_item shop-production"
    words = [line.split() for line in listed.stdout.splitlines()]
    held = {word[2] for word in words if word[3:5] == ["TABLE", "DATA"]}
    if missing := [name for number, name in expected.items() if number not in held]:
        raise ReleaseError(
            f"the dump of the database lacks the rows of {counted(len(missing), 'table')}: "
            f"{', '.join(sorted(missing))}"
        )
    if path.stat().st_size < smallest:
        raise ReleaseError(
            f"the dump of the database has {megabytes(path.stat().st_size)}, less than its tables "
            f"without any row ({megabytes(smallest)})"
        )


def size_of_schema(site: Site, path: Path) -> int:
    """How large a dump of the site's database is without any row. `path` is there for a moment."""
    try:
        write_dump(site, path, "--schema-only")
        return path.stat().st_size
    finally:
        path.unlink(missing_ok=True)
