"""
The databases beside that of a site: one that a dump is restored into, and those that were replaced.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from .errors import ReleaseError
from .messages import last_lines
from .postgresql import ADMINISTRATOR, administer, as_site, complaint, connection
from .processes import run
from .site import Site

RENAME_ATTEMPTS = 5

# As the playbooks create the site's own one, with what that has besides: the administrator may have
# granted something or changed a setting.
CREATE = r"""
select format(
  'create database %I owner %I template template0 encoding %L lc_collate %L lc_ctype %L connection limit %s',
  :'name', pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit
) from pg_database where datname = :'site' \gexec

select format('revoke all on database %I from public', :'name') \gexec

select format(
  'grant %s on database %I to %s%s', privilege_type, :'name',
  case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
  case when is_grantable then ' with grant option' else '' end
)
from pg_database, aclexplode(datacl)
where datname = :'site' and grantee <> datdba \gexec

select format(
  'alter database %I set %I to %s', :'name', split_part(setting, '=', 1),
  case
    when split_part(setting, '=', 1) in ('search_path', 'temp_tablespaces', 'session_preload_libraries')
    then substr(setting, strpos(setting, '=') + 1)
    else quote_literal(substr(setting, strpos(setting, '=') + 1))
  end
)
from pg_database
join pg_db_role_setting on setdatabase = pg_database.oid and setrole = 0
cross join lateral unnest(setconfig) setting
where datname = :'site' \gexec
"""

TERMINATE = """
select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity
where datname in (:'site', :'other', :'name') and pid <> pg_backend_pid();
"""

# Both or none, whatever happens in between.
SWAP = """
begin;
alter database :"site" rename to :"other";
alter database :"name" rename to :"site";
commit;
"""


def scratch_name(site: Site) -> str:
    """The database that a dump is restored into. The site's role may connect to it."""
    return f"{site.name}_restored"


def replaced_name(site: Site) -> str:
    """A name for the database that is replaced now."""
    moment = datetime.datetime.now(datetime.UTC)
    return f"{site.name}_replaced_{moment.strftime('%Y%m%dT%H%M%SZ')}"


def replaced_databases(site: Site) -> list[str]:
    """The databases that were replaced, oldest first."""
    sql = "select datname from pg_database where starts_with(datname, :'prefix') order by 1"
    return administer(site, sql, prefix=f"{site.name}_replaced_").split()


def exists(site: Site, name: str) -> bool:
    """Whether there is a database of this name."""
    return (
        administer(site, "select from pg_database where datname = :'name'; select :ROW_COUNT", name=name)
        == "1"
    )


def create_beside(site: Site, name: str) -> None:
    """Creates an empty database like the site's own one."""
    administer(site, CREATE, site=site.name, name=name)


def remove(site: Site, name: str) -> None:
    """Removes a database, also while somebody looks at it."""
    administer(site, 'drop database if exists :"name" with (force)', name=name)


def restore(site: Site, path: Path, name: str) -> None:
    """
    Restores a dump into a database.

    As the site's own role: what is in a dump can run code, and the administrator's session would let
    it do anything, even under another role.
    """
    with path.open("rb") as file:
        restored = run(
            ["pg_restore", *connection(site, name), "--no-owner", "--exit-on-error"],
            stdin=file,
            **as_site(site),
        )
    if restored.returncode:
        lines = last_lines(restored.stderr)
        raise ReleaseError(f"the dump {path} cannot be restored: {complaint(lines)}", lines)
    # Without statistics the first queries of visitors would take long.
    analyzed = run([*PSQL_ANALYZE, *connection(site, name)], **as_site(site))
    if analyzed.returncode:
        lines = last_lines(analyzed.stderr)
        raise ReleaseError(f"the restored database cannot be analyzed: {complaint(lines)}", lines)


PSQL_ANALYZE = ("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command=analyze")


def swap(site: Site, name: str, other: str) -> None:
    """
    Gives the site's database the name `other`, and the database `name` that of the site.

    A database cannot be renamed while somebody is connected to it, and who was may come again.
    """
    for attempt in range(1, RENAME_ATTEMPTS + 1):
        try:
            administer(site, TERMINATE + SWAP, site=site.name, name=name, other=other)
            return
        except ReleaseError as failure:
            if (
                "is being accessed by other users" not in "\n".join(failure.detail)
                or attempt == RENAME_ATTEMPTS
            ):
                raise


def how_to_look_at(name: str) -> str:
    """What to do with a replaced database."""
    return (
        f"the replaced database is kept as {name}: look at it with `sudo -u {ADMINISTRATOR} psql {name}`, "
        f"remove it with `sudo -u {ADMINISTRATOR} dropdb {name}`"
    )
