"""The database: a dump of it, then the migrations."""

from __future__ import annotations

import os
import time

from ..errors import ReleaseError, Skipped
from ..files import open_new, require_room, sync_directory
from ..messages import MIB, cause, counted, last_lines, megabytes
from ..processes import Command, run
from ..transaction import Transaction

# A migration that waits for a lock makes every query behind it wait too, so it gives up and tries
# again.
LOCK_TIMEOUT = "3s"
MIGRATION_ATTEMPTS = 5
MIGRATION_PAUSE_SECONDS = 2.0


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
