"""
Restoring a backup: the database into one of its own, the uploads beside those of now, and both in the
place of the live ones at once.

Everything that takes time happens while the site is served. Then it closes: nobody may write to what
is about to be replaced. A file says that this is under way; a run that finds it knows that another one
was killed.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .. import databases
from ..differences import Difference, differences
from ..dumps import dumps, release_of_dump
from ..errors import ConfirmationNeededError, ReleaseError, Skipped, UsageError
from ..files import regular_files, remove_tree, require_room, sync_directory, write_atomically
from ..messages import MIB, counted, megabytes
from ..postgresql import data_directory, database_size, tables
from ..processes import Command, systemctl, unit_instances
from ..releases import Release
from ..site import Site
from ..steps.restoring import start, stop, summarize
from ..steps.switching import check_live
from .catalogue import catalogue, choose, microseconds_of
from .counting import applied_migrations
from .job import DUMP, MANIFEST, Contents, Job

REPLACED = "media.replaced-"


class Replacing(NamedTuple):
    """What is under way: the backup, and the names of what it replaces."""

    backup: str
    # the database that was live
    database: str
    # the directory of the uploads that were live
    media: str

    @classmethod
    def under_way(cls, site: Site) -> Replacing | None:
        """What a run has begun and not ended, or None."""
        try:
            return cls(**json.loads(mark(site).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def mark(site: Site) -> Path:
    """The file that says what is under way."""
    return site.backups / "restoring-backup.json"


def restored_media(site: Site) -> Path:
    """Where the uploads of a backup are until they replace those of now: on the same file system."""
    return site.home / "media.restored"


def choose_backup(job: Job) -> str:
    """Finds the backup that was asked for, and reads what is in it. The first place is the faster one."""
    site, request = job.site, job.request
    job.chosen = choose(catalogue(job.repositories, job.reporter), request.backup, request.place)
    place = request.place or next(name for name in job.repositories if name in job.chosen.snapshots)
    job.place = place
    job.snapshot = job.chosen.snapshots[place]
    job.contents = Contents.of(job.source.read_file(job.snapshot, job.staged(MANIFEST)))
    if job.contents.site != site.name:
        raise ReleaseError(f"{job.chosen.id} is a backup of {job.contents.site}, not of {site.name}")
    if os.path.ismount(site.media) or site.media.is_symlink():
        how = f"restic --repo {job.source.location} restore {job.snapshot} --include {site.media} --target /"
        raise UsageError(
            f"{site.media} is a disk of its own and cannot be exchanged: restore by hand with {how}"
        )
    return f"{job.chosen.id} from the {place} place, made on {job.contents.host}: {job.chosen.summary()}"


def refuse_unknown_migrations(job: Job) -> str:
    """Stops when the backup is of a newer release than the live one, whose code could not live with it."""
    site, contents = job.site, job.contents
    assert contents is not None
    if job.previous is None:
        raise Skipped("nothing is live yet")
    here = applied_migrations(site, site.name, tables(site, site.name))
    unknown = [name for name in contents.migrations if name not in here]
    if unknown:
        raise UsageError(
            f"{job.backup.id} has migrations that the live release does not know ({', '.join(unknown[:3])}): "
            f"deploy commit {contents.commit[:8]} first, or a later one"
        )
    job.pending = [name for name in here if name not in contents.migrations]
    return f"{counted(len(job.pending), 'migration')} later than the backup"


def restore_database(job: Job) -> str:
    """Restores the dump into a new database, while the live one goes on."""
    site, contents = job.site, job.contents
    assert contents is not None
    require_room(site.backups, contents.dump_size + 64 * MIB)
    require_room(data_directory(site), 2 * contents.dump_size + 256 * MIB)
    job.replacing = Replacing(
        job.backup.id,
        databases.replaced_name(site),
        f"{REPLACED}{datetime.datetime.now(datetime.UTC).strftime('%Y%m%dT%H%M%SZ')}",
    )
    write_atomically(mark(site), json.dumps(job.replacing._asdict()) + "\n", 0o600)
    sync_directory(site.backups)
    job.take_back(remove_restored, site)
    name = databases.scratch_name(site)
    remove_tree(job.staging)
    job.staging.mkdir(mode=0o700)
    job.take_back(remove_tree, job.staging)
    dump = job.staged(DUMP)
    job.source.write_file(job.snapshot, job.staged(DUMP), dump)
    databases.remove(site, name)
    databases.create_beside(site, name)
    databases.restore(site, dump, name)
    remove_tree(job.staging)
    return f"{name} ({megabytes(database_size(site, name))})"


def remove_restored(site: Site) -> None:
    """Removes what was restored and is not needed, and what says that something is under way."""
    databases.remove(site, databases.scratch_name(site))
    remove_tree(restored_media(site))
    mark(site).unlink(missing_ok=True)


def uploads_now(site: Site) -> dict[str, tuple[int, int]]:
    """Size and time of each upload, by its path."""
    found = {}
    for path in regular_files(site.media):
        with contextlib.suppress(FileNotFoundError):
            status = (site.media / path).stat()
            found[path.as_posix()] = (status.st_size, status.st_mtime_ns // 1000)
    return found


def uploads_then(job: Job) -> dict[str, tuple[int, int]]:
    """The same of the backup."""
    media = job.site.media
    return {
        Path(node["path"]).relative_to(media).as_posix(): (
            node.get("size", 0),
            microseconds_of(node["mtime"]),
        )
        for node in job.source.files(job.snapshot, media)
        if node["type"] == "file"
    }


def require_acceptance(job: Job) -> str:
    """Says what would be lost, and stops unless a person has accepted that."""
    site = job.site
    found = differences(site, site.name, databases.scratch_name(site))
    now, then = uploads_now(site), uploads_then(job)
    lost = sum(1 for path, state in now.items() if then.get(path) != state)
    returning = sum(1 for path, state in then.items() if now.get(path) != state)
    for difference in found:
        job.reporter.event(f"    {difference.describe()}", event="difference", **difference._asdict())
    if lost or returning:
        job.reporter.event(
            f"    uploads: {counted(lost, 'file')} added or changed since, "
            f"{counted(returning, 'file')} changed or deleted since",
            event="difference",
            **Difference("uploads", lost, returning)._asdict(),
        )
    summary = f"{summarize(found)}; {counted(lost, 'upload')} of now would be lost and {returning} come back"
    if job.request.accept_loss:
        return f"accepted: {summary}"
    raise ConfirmationNeededError(
        f"the backup {job.backup.id} was made {job.backup.when} on {job.backup.host}: {summary}. "
        "Nothing has been changed. To lose that, give --accept-loss too"
    )


def restore_media(job: Job) -> str:
    """Restores the uploads beside those of now, and gives them to the site."""
    site, contents = job.site, job.contents
    assert contents is not None
    target = restored_media(site)
    require_room(site.home, contents.size + 64 * MIB, contents.files + 100)
    remove_tree(target)
    target.mkdir(mode=0o700)
    job.source.restore(job.snapshot, [site.media], target)
    inside = target / site.media.relative_to(site.media.anchor)
    # A backup without any upload has the directory all the same.
    if not inside.is_dir():
        raise ReleaseError(f"{job.backup.id} holds no {site.media}")
    owner, group = site.accounts.site_user, site.media.stat().st_gid
    for path in walk(inside):
        # The accounts of another host have other numbers.
        os.chown(path, owner, group, follow_symlinks=False)
        if not path.is_symlink():
            keep = 0o2777 if path.is_dir() else 0o777
            path.chmod(path.stat().st_mode & keep)
    inside.chmod(site.media.stat().st_mode & 0o7777)
    return f"{counted(len(list(regular_files(inside))), 'upload')}"


def walk(directory: Path) -> Iterator[Path]:
    """A directory and everything in it."""
    yield directory
    for parent, directories, files in os.walk(directory):
        for name in [*directories, *files]:
            yield Path(parent, name)


def bring_forward(job: Job) -> str:
    """Applies to the restored database the migrations that came after the backup."""
    site, live = job.site, job.previous
    if live is None or not job.pending:
        raise Skipped("no migration came after the backup")
    address = f"postgresql://{site.name}@/{databases.scratch_name(site)}?host={site.postgresql_sockets}"
    # The settings of the site name its own database, and win over variables of the unit.
    words = ["/usr/bin/env", f"DATABASE_URL={address}", live.path / ".venv/bin/python", "manage.py"]
    command = Command(
        "migrate",
        [*words, "migrate", "--noinput", "--verbosity=1"],
        live.path,
        {"RELEASE_ID": live.id, "PYTHONUNBUFFERED": "1"},
    )
    done = job.command(command)
    if not done.ok:
        raise ReleaseError(
            f"the migrations after {job.backup.id} cannot be applied to it: {(done.lines or ['?'])[-1]}",
            done.lines,
        )
    return counted(len(job.pending), "migration")


def close_site(job: Job) -> str:
    """Stops everything that writes: the web servers last, because then visitors get the page that says so."""
    site = job.site
    job.take_back(start, site, job.previous)
    units = unit_instances(site)
    web = [unit for unit in units if "-web@" in unit]
    if job.previous is None and not units:
        raise Skipped("nothing is live yet")
    stop(site.beat, *(unit for unit in units if unit not in web))
    job.closed_at = time.monotonic()
    stop(*web)
    return ", ".join(web)


def swap(job: Job) -> str:
    """Puts database and uploads of the backup in the place of the live ones."""
    site, replacing = job.site, job.replacing
    job.take_back(swap_back, site, replacing)
    databases.swap(site, databases.scratch_name(site), replacing.database)
    swap_media(site, replacing)
    # What it remembers is of another past.
    systemctl("try-restart", site.memcached)
    return f"{replacing.database} and {replacing.media} were replaced"


def swap_media(site: Site, replacing: Replacing) -> None:
    """Exchanges the uploads. Can be repeated."""
    restored = restored_media(site) / site.media.relative_to(site.media.anchor)
    if not restored.is_dir():
        return
    if site.media.is_dir():
        site.media.rename(site.home / replacing.media)
    restored.rename(site.media)
    sync_directory(site.home)
    shutil.rmtree(restored_media(site), ignore_errors=True)


def swap_back(site: Site, replacing: Replacing) -> None:
    """Puts what was live back in its place, if it was replaced."""
    systemctl("stop", site.beat, *unit_instances(site))
    replaced = site.home / replacing.media
    if replaced.is_dir():
        remove_tree(site.media)
        replaced.rename(site.media)
    if databases.exists(site, replacing.database):
        databases.swap(site, replacing.database, databases.scratch_name(site))


def open_site(job: Job) -> str:
    """Starts the live release again and asks it as a visitor would."""
    if job.previous is None:
        raise Skipped("nothing is live yet")
    start(job.site, job.previous)
    job.release = job.previous
    said = check_live(job)
    job.switched_at = time.monotonic()
    return said


def settle(job: Job) -> str:
    """From here on nothing is taken back any more."""
    job.undo.pop_all()
    return ""


def conclude(job: Job) -> str:
    """Keeps what was replaced now, and removes what was replaced before."""
    return finish(job.site, job.replacing)


def finish(site: Site, replacing: Replacing) -> str:
    """Writes down what a restored backup means. Can be repeated."""
    # Dumps from before migrations that came later are of a past that did not happen.
    for path in dumps(site):
        if release_of_dump(path) > replacing.backup:
            path.unlink()
    for name in databases.replaced_databases(site):
        if name != replacing.database:
            databases.remove(site, name)
    for path in site.home.glob(f"{REPLACED}*"):
        if path.name != replacing.media:
            remove_tree(path)
    mark(site).unlink(missing_ok=True)
    media = site.home / replacing.media
    return f"{databases.how_to_look_at(replacing.database)}; the replaced uploads are in {media}"


def end_replacing(site: Site, live: Release | None) -> str:
    """
    Ends what a run that was killed has begun to restore, and says how, or "": forward if the database
    is the restored one already, back otherwise.
    """
    replacing = Replacing.under_way(site)
    if replacing is None:
        mark(site).unlink(missing_ok=True)
        return ""
    if databases.exists(site, replacing.database):
        # What runs still sees the directory of the uploads that it was started with.
        systemctl("stop", site.beat, *unit_instances(site))
        swap_media(site, replacing)
        finish(site, replacing)
        start(site, live)
        return f"the restored backup {replacing.backup} stays: {replacing.database} is what was replaced"
    remove_restored(site)
    start(site, live)
    return "the restoring of a backup that was killed is taken back"
