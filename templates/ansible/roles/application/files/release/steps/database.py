"""The database: a dump of it, then the migrations."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..blockers import APPLICATION, describe_blocker, watched
from ..dumps import dump, dump_path
from ..errors import ReleaseError, Skipped
from ..files import require_room
from ..messages import MIB, cause, counted, megabytes
from ..postgresql import database_size, query
from ..processes import Command
from ..transaction import Transaction

# A migration that waits for a lock makes every query behind it wait too, so it gives up and tries
# again.
LOCK_TIMEOUT = "3s"
MIGRATION_ATTEMPTS = 5
MIGRATION_PAUSE_SECONDS = 2.0


def back_up(transaction: Transaction) -> str:
    """Dumps the database before it is migrated, and makes sure that the dump is complete."""
    site, release = transaction.site, transaction.release
    if not transaction.pending:
        raise Skipped("no migration is pending")
    site.backups.mkdir(mode=0o700, parents=True, exist_ok=True)
    require_room(site.backups, database_size(site, site.name) + 64 * MIB)
    path = dump_path(site, release.id)
    dump(site, path)
    size = path.stat().st_size
    transaction.dump = path
    release.save(dump=str(path), dump_size=size)
    return f"{path} ({megabytes(size)})"


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
        {
            "RELEASE_ID": release.id,
            "PGAPPNAME": APPLICATION,
            "PGOPTIONS": f"-c lock_timeout={LOCK_TIMEOUT}",
            "PYTHONUNBUFFERED": "1",
        },
        writable=(site.media,),
    )
    try:
        with watched(site) as waits:
            for attempt in range(1, MIGRATION_ATTEMPTS + 1):
                done = transaction.command(command)
                if done.ok:
                    release.save(migrations=transaction.pending)
                    tries = "" if attempt == 1 else f" at attempt {attempt}"
                    return f"{counted(len(transaction.pending), 'migration')}{tries}"
                waited = any("lock timeout" in line or "LockNotAvailable" in line for line in done.lines)
                if not waited or attempt == MIGRATION_ATTEMPTS:
                    break
                time.sleep(MIGRATION_PAUSE_SECONDS)
    except BaseException:
        forget_useless_dump(transaction)
        raise
    applied, left = forget_useless_dump(transaction)
    what = f"the migration {left[0]}" if left else "a migration"
    why = why_it_failed(done.lines, waits if waited else [], attempt)
    raise ReleaseError(f"{what} {why} ({consequence(transaction, applied)})", done.lines)


def why_it_failed(lines: Sequence[str], waits: Sequence[dict], attempts: int) -> str:
    """What went wrong, and if that is a lock, who holds it."""
    if waits:
        tries = f"in {counted(attempts, 'attempt')} of {LOCK_TIMEOUT}"
        return f"did not get its lock {tries}: {describe_blocker(waits[-1])}"
    return f"failed: {cause(lines)}"


def forget_useless_dump(transaction: Transaction) -> tuple[list[str], list[str]]:
    """
    Finds out which of the pending migrations were applied and which were not, and removes their
    dump if the database is as it was: a later rollback must not go back further than it has to.
    """
    pending = transaction.pending
    try:
        known = set(applied_migrations(transaction))
    except ReleaseError:
        return [], []
    applied = [name for name in pending if name in known]
    left = [name for name in pending if name not in known]
    # One that is not atomic may have done half of its work.
    if transaction.dump and not applied and left and left[0] not in transaction.not_atomic:
        transaction.dump.unlink(missing_ok=True)
        transaction.dump = None
    return applied, left


def applied_migrations(transaction: Transaction) -> list[str]:
    """The migrations that the database knows."""
    sql = "select coalesce(json_agg(app || '.' || name), '[]') from django_migrations"
    return query(transaction.site, transaction.site.name, sql)


def consequence(transaction: Transaction, applied: Sequence[str]) -> str:
    """What a failed migration means for the database."""
    if transaction.dump is None:
        return "the database is as it was"
    stays = f"{', '.join(applied)} stayed" if applied else "part of it may have stayed"
    return f"{stays} in the database; the dump from before is {transaction.dump}"
