"""Talks to the PostgreSQL server of this host through its client programs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import ReleaseError
from .messages import cause, last_lines
from .processes import run
from .site import Site

# Prints bare values, and fails at the first error.
PSQL = ("psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1")
ADMINISTRATOR = "postgres"


def as_site(site: Site) -> dict[str, Any]:
    """How to run a program as the site's user, which PostgreSQL knows as the role of that name."""
    return {
        "user": site.accounts.site_user,
        "group": site.accounts.site_group,
        "extra_groups": [],
        "cwd": "/",
    }


def as_administrator(site: Site) -> dict[str, Any]:
    """How to run a program as PostgreSQL's administrator."""
    return {
        "user": site.accounts.database_user,
        "group": site.accounts.database_group,
        "extra_groups": [] if site.accounts.database_user is not None else None,
        "cwd": "/",
    }


def connection(site: Site, database: str, role: str = "") -> list[str]:
    """The options that connect a client program to a database, as the site's role or another."""
    return [
        f"--host={site.postgresql_sockets}",
        f"--username={role or site.name}",
        "--no-password",
        f"--dbname={database}",
    ]


def query(site: Site, database: str, sql: str) -> Any:
    """What a query for one JSON value answers to the site's role."""
    asked = run([*PSQL, *connection(site, database), "--command", sql], **as_site(site))
    if asked.returncode:
        lines = last_lines(asked.stderr)
        raise ReleaseError(f"the database does not answer: {complaint(lines)}", lines)
    return json.loads(asked.stdout)


def administer(site: Site, sql: str, /, **variables: str) -> str:
    """
    Carries out statements as PostgreSQL's administrator and returns what they print.

    Names and values are given as variables, which psql quotes: :"name" and :'value'.
    """
    settings = [f"--set={name}={value}" for name, value in variables.items()]
    asked = run(
        [*PSQL, *settings, *connection(site, ADMINISTRATOR, ADMINISTRATOR)],
        input=sql,
        **as_administrator(site),
    )
    if asked.returncode:
        lines = last_lines(asked.stderr)
        raise ReleaseError(f"PostgreSQL's administrator cannot do this: {complaint(lines)}", lines)
    return asked.stdout.strip()


def complaint(lines: Sequence[str]) -> str:
    """What a client program says went wrong. Its details follow it."""
    return next((line for line in lines if re.search(r"\b(error|ERROR|FATAL):", line)), cause(lines))


def database_size(site: Site, database: str) -> int:
    """Bytes that a database takes on the disk."""
    return int(query(site, database, "select pg_database_size(current_database())"))


# Whose rows pg_dump writes: not those of extensions, which bring them along themselves.
TABLES = """
select coalesce(json_object_agg(class.oid, format('%I.%I', namespace.nspname, class.relname)), '{}')
from pg_class class join pg_namespace namespace on namespace.oid = class.relnamespace
where class.relkind = 'r' and class.relpersistence <> 't'
  and namespace.nspname !~ '^pg_' and namespace.nspname <> 'information_schema'
  and not exists (
    select from pg_depend
    where classid = 'pg_class'::regclass and objid = class.oid and deptype = 'e'
  )
"""


def tables(site: Site, database: str) -> dict[str, str]:
    """The tables of a database that hold rows: object id and quoted name."""
    return query(site, database, TABLES)


def data_directory(site: Site) -> Path:
    """Where the server keeps databases, or the nearest directory above it."""
    path = site.postgresql_data
    while not path.is_dir():
        path = path.parent
    return path
