"""
Counts what a backup holds, so that a drill can tell whether all of it comes back: rows at the very
moment of the dump, and uploads.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ..errors import ReleaseError
from ..files import regular_files
from ..messages import last_lines
from ..postgresql import PSQL, TABLES, as_site, complaint, connection, query
from ..site import Site

# As long as pg_dump waits: somebody who works on a whole table keeps the count from its rows.
LOCK_WAIT = "15s"
MIGRATIONS = "select coalesce(json_agg(app || '.' || name), '[]') from django_migrations"


class Moment:
    """The contents of a database at one moment, as long as the session that holds it is open."""

    def __init__(self, process: subprocess.Popen[str], errors: IO[str]) -> None:
        self.process = process
        self.errors = errors

    def ask(self, sql: str) -> str:
        """The one line that a query answers. Raises ReleaseError when it fails."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{sql};\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            said = last_lines(self.errors.read())
            raise ReleaseError(f"the rows cannot be counted: {complaint(said)}", said)
        return line.rstrip("\n")


@contextlib.contextmanager
def one_moment(site: Site, database: str) -> Iterator[Moment]:
    """Holds on to the contents of a database as they are now."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [*PSQL, *connection(site, database)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            **as_site(site),
        )
        try:
            moment = Moment(process, errors)
            assert process.stdin is not None
            process.stdin.write(
                f"set lock_timeout = '{LOCK_WAIT}';\n"
                "begin transaction isolation level repeatable read read only;\n"
            )
            yield moment
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    stream.close()


def exported_name(moment: Moment) -> str:
    """A name by which pg_dump can look at the same moment."""
    return moment.ask("select pg_export_snapshot()")


def tables_at(moment: Moment) -> dict[str, str]:
    """The tables that hold rows: object id and quoted name."""
    return json.loads(moment.ask(one_line(TABLES)))


def one_line(sql: str) -> str:
    """A query without line breaks: psql's answer is awaited line by line, not its prompt."""
    return " ".join(sql.split())


def rows_at(moment: Moment, tables: Mapping[str, str]) -> dict[str, int]:
    """How many rows each table has, by its name."""
    return {name: int(moment.ask(f"select count(*) from {name}")) for name in sorted(tables.values())}


def applied_migrations(site: Site, database: str, tables: Mapping[str, Any]) -> list[str]:
    """The migrations that a database knows; none if Django has not been there yet."""
    if "public.django_migrations" not in tables.values():
        return []
    return query(site, database, MIGRATIONS)


def uploads(directory: Path) -> tuple[int, int]:
    """How many files are below a directory, and their bytes."""
    files = size = 0
    for path in regular_files(directory):
        with contextlib.suppress(FileNotFoundError):
            size += (directory / path).stat().st_size
            files += 1
    return files, size
