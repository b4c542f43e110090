"""
What two databases of a site hold differently: counted per table by comparing hashes of rows. No
row's contents leave the server.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from typing import IO, NamedTuple

from .errors import ReleaseError
from .messages import counted, last_lines
from .postgresql import PSQL, as_site, complaint, connection, query
from .site import Site

# The columns of each table, by quoted names.
COLUMNS = """
select coalesce(json_object_agg(name, columns), '{}') from (
  select format('%I.%I', namespace.nspname, class.relname) as name,
    json_agg(quote_ident(attribute.attname) order by attribute.attname)
      filter (where attribute.attnum > 0 and not attribute.attisdropped) as columns
  from pg_class class
  join pg_namespace namespace on namespace.oid = class.relnamespace
  join pg_attribute attribute on attribute.attrelid = class.oid
  where class.relkind = 'r' and class.relpersistence <> 't'
    and namespace.nspname !~ '^pg_' and namespace.nspname <> 'information_schema'
    and not exists (
      select from pg_depend
      where classid = 'pg_class'::regclass and objid = class.oid and deptype = 'e'
    )
  group by 1
) tables
"""
# No hash looks like this.
END = "end of table"


class Difference(NamedTuple):
    """How many rows of a table are only in the one or only in the other database."""

    table: str
    # rows that are only in the live database: written since the dump
    lost: int
    # rows that are only in the dump: changed or removed since
    returning: int
    # "", "now" or "dump": a table that only one of them has
    only: str = ""

    def describe(self) -> str:
        """As a line for people."""
        if self.only == "now":
            return f"{self.table}: exists only now, with {counted(self.lost, 'row')}"
        if self.only == "dump":
            return f"{self.table}: exists only in the dump, with {counted(self.returning, 'row')}"
        return (
            f"{self.table}: {counted(self.lost, 'row')} added or changed since, "
            f"{counted(self.returning, 'row')} changed or deleted since"
        )


def differences(site: Site, live: str, restored: str) -> list[Difference]:
    """The tables whose rows differ, by name. Rows are compared over the columns that both have."""
    now, then = query(site, live, COLUMNS), query(site, restored, COLUMNS)
    both = sorted(now.keys() & then.keys())
    common = {table: [name for name in now[table] or [] if name in (then[table] or [])] for table in both}
    found = []
    with hashes(site, live, common) as left, hashes(site, restored, common) as right:
        for table in both:
            lost, returning = compare(left, right)
            if lost or returning:
                found.append(Difference(table, lost, returning))
    found += [Difference(table, count(site, live, table), 0, "now") for table in now if table not in then]
    found += [
        Difference(table, 0, count(site, restored, table), "dump") for table in then if table not in now
    ]
    return sorted(found)


def count(site: Site, database: str, table: str) -> int:
    """The rows of a table."""
    return int(query(site, database, f"select count(*) from {table}"))


@contextlib.contextmanager
def hashes(site: Site, database: str, columns: dict[str, list[str]]) -> Iterator[Iterator[str]]:
    """
    The hashes of all rows, sorted within each table, with END after each table.

    The server sorts, on its disk if need be, and nothing is kept here.
    """
    questions = ["begin transaction isolation level repeatable read read only;"]
    for table, names in columns.items():
        questions.append(
            f'copy (select md5(row({", ".join(names)})::text) collate "C" from {table} order by 1) to stdout;'
        )
        questions.append(f"\\echo {END}")
    with tempfile.TemporaryFile("w+") as script, tempfile.TemporaryFile("w+") as errors:
        script.write("\n".join([*questions, "commit;", ""]))
        script.seek(0)
        process = subprocess.Popen(
            [*PSQL, *connection(site, database)],
            stdin=script,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            **as_site(site),
        )
        try:
            yield lines(process, errors)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def lines(process: subprocess.Popen[str], errors: IO[str]) -> Iterator[str]:
    """The lines that a process writes. Raises ReleaseError when it ends without the last of them."""
    for line in process.stdout:
        yield line.rstrip("\n")
    process.wait()
    errors.seek(0)
    said = last_lines(errors.read())
    raise ReleaseError(f"the databases cannot be compared: {complaint(said)}", said)


def compare(left: Iterator[str], right: Iterator[str]) -> tuple[int, int]:
    """How many lines only the one and only the other of two sorted streams has, up to END."""
    only_left = only_right = 0
    mine, other = next(left), next(right)
    while mine != END or other != END:
        if mine == other:
            mine, other = next(left), next(right)
        elif other == END or (mine != END and mine < other):
            only_left += 1
            mine = next(left)
        else:
            only_right += 1
            other = next(right)
    return only_left, only_right
