"""What the backup command can do, each command a function."""

from __future__ import annotations

import argparse
import contextlib
import time

from ..commands import stopped_by_signals, transact
from ..errors import LockedError, ReleaseError, UsageError, unexpected
from ..lock import locked
from ..messages import counted, megabytes
from ..redaction import secret_values
from ..reporting import Reporter
from ..site import Site
from ..steps.repairing import repair
from ..transaction import Outcome, Request, Step, Transaction
from . import drilling, making, restoring
from .catalogue import catalogue
from .job import Job
from .mail import write_to
from .passwords import add_password, read_password, remove_other_passwords
from .settings import FIRST, SECOND, BackupSettings, places, require_mounted
from .status import (
    FAILED,
    OK,
    RUNNING,
    TITLES,
    backup_state,
    begun,
    ended,
    key,
    read_status,
)

# What a run does, in order. At its end, whatever that is, it removes what it has needed on the way.
STEPS = {
    key("run", FIRST): (
        Step("open", making.open_first),
        Step("room", making.check_room),
        Step("dump", making.dump_database),
        Step("store", making.store),
        Step("rotate", making.rotate),
    ),
    key("run", SECOND): (
        Step("open", making.open_second),
        Step("copy", making.copy),
        Step("rotate", making.rotate),
    ),
    key("drill", FIRST): (
        Step("choose", drilling.choose_newest),
        Step("check", drilling.check),
        Step("dump", drilling.fetch),
        Step("restore", drilling.restore_dump),
        Step("compare", drilling.compare_rows),
        Step("uploads", drilling.sample),
    ),
    # The same snapshots: whether their rows come back, the first place has shown.
    key("drill", SECOND): (
        Step("choose", drilling.choose_newest),
        Step("check", drilling.check),
        Step("dump", drilling.fetch),
        Step("uploads", drilling.sample),
    ),
}
RESTORE = (
    Step("repair", repair),
    Step("choose", restoring.choose_backup),
    Step("migrations", restoring.refuse_unknown_migrations),
    Step("database", restoring.restore_database),
    Step("compare", restoring.require_acceptance),
    Step("uploads", restoring.restore_media),
    Step("migrate", restoring.bring_forward),
    Step("close", restoring.close_site),
    Step("swap", restoring.swap),
    Step("live", restoring.open_site),
    Step("settle", restoring.settle),
    Step("conclude", restoring.conclude, required=False),
)


def perform(
    site: Site, settings: BackupSettings, request: Request, reporter: Reporter, parent: str | None = None
) -> int:
    """Makes or checks backups, in one place after the other; reports, and returns the exit status."""
    asked = [request.place] if request.place else [FIRST, *([SECOND] if settings.second_place else [])]
    # The timers ask for the second place whether there is one or not.
    if asked == [SECOND] and not settings.second_place:
        reporter.result("unchanged", "there is no second place")
        return 0
    with contextlib.suppress(OSError):
        reporter.secrets = secret_values(site.backup_credentials.read_text(encoding="utf-8"))
    started = time.monotonic()
    done = []
    try:
        owner = f"{request.command} of the backups"
        with (
            locked(
                site, request.by, owner, request.wait, lambda busy: wait_for(reporter, busy), site.backup_lock
            ),
            stopped_by_signals(),
        ):
            for place in asked:
                done.append(perform_in(place, site, settings, request, reporter, parent))
    except LockedError as failure:
        reporter.result(failure.status, failure.message)
        return failure.exit_status
    except ReleaseError as failure:
        reporter.result(failure.status, failure.message, seconds=round(time.monotonic() - started, 3))
        return failure.exit_status
    status = {"run": "made", "drill": "proven"}[request.command]
    message = "; ".join(done)
    reporter.result(status, message, seconds=round(time.monotonic() - started, 3))
    return 0


def wait_for(reporter: Reporter, owner: str) -> None:
    """Says what this waits for."""
    reporter.warning("lock", f"{owner}: waiting")


def perform_in(
    place: str,
    site: Site,
    settings: BackupSettings,
    request: Request,
    reporter: Reporter,
    parent: str | None,
) -> str:
    """Does a run in one place, and writes down how it has ended. Raises ReleaseError when it fails."""
    name = key(request.command, place)
    begun(site, name)
    try:
        job = Job(site, settings, request, reporter, parent)
        job.place = place
        job.perform(STEPS[name])
    except Exception as error:
        failure = error if isinstance(error, ReleaseError) else unexpected(error)
        told = {"detail": failure.detail, "backup": "", "secrets": reporter.secrets}
        ended(site, name, FAILED, failure.message, **told)
        raise ReleaseError(f"{TITLES[name]} has failed: {failure.message}", failure.detail) from error
    backup = job.chosen.id if job.chosen else ""
    ended(site, name, OK, "", detail=[], backup=backup, secrets=[])
    return f"{TITLES[name]} {backup} is good" if backup else f"{TITLES[name]} had nothing to do"


def restore(
    site: Site, settings: BackupSettings, request: Request, reporter: Reporter, parent: str | None
) -> int:
    """Puts a backup in the place of what is live, as a transaction, and returns the exit status."""

    def act(transaction: Transaction) -> Outcome:
        with locked(site, request.by, "restore of a backup", request.wait, lock=site.backup_lock):
            job = Job(site, settings, request, reporter, parent)
            # What is recorded of the transaction is what the job does.
            job.steps = transaction.steps
            reporter.secrets += secret_values(site.backup_credentials.read_text(encoding="utf-8"))
            job.perform(RESTORE)
        closed = f"; visitors got the page for an outage for {job.switched_at - job.closed_at:.1f} s"
        live = job.previous.id if job.previous else None
        message = (
            f"{site.config.domain} has the rows and uploads of {job.backup.id}{closed if live else ''}; "
            f"{databases_note(job)}"
        )
        return Outcome("restored", message, live, live)

    return transact(site, request, reporter, parent, {"restore": act})


def databases_note(job: Job) -> str:
    """Where what was replaced is."""
    media = job.site.home / job.replacing.media
    return f"what was replaced is the database {job.replacing.database} and {media}"


def show_list(site: Site, settings: BackupSettings, reporter: Reporter) -> int:
    """Shows the backups in all places, newest first, and how the last runs have ended."""
    found = catalogue(places(site, settings), reporter)
    for backup in found:
        where = "+".join(backup.snapshots)
        columns = [backup.id, f"{where:<12}", f"{megabytes(backup.dump_size):>10}", backup.summary()]
        reporter.event("  ".join(columns), event="backup", **backup.describe())
    line, wrong, status = backup_state(site)
    for problem in wrong:
        reporter.warning("backups", problem)
    message = f"{counted(len(found), 'backup')}; {line}"
    reporter.result("listed", message, problems=wrong, runs=status)
    return 0


def prepare(site: Site, settings: BackupSettings, reporter: Reporter, place: str = "") -> int:
    """Opens the repositories, and makes those that are missing: what provisioning does."""
    with locked(site, "provision", "preparation of the backups", 600, lock=site.backup_lock):
        job = Job(site, settings, Request("prepare", "provision"), reporter)
        asked = [place] if place else list(job.repositories)
        if SECOND in asked:
            require_mounted(site, job.second)
        made = [job.repositories[each].location for each in asked if making.make_if_missing(job, each)]
    reporter.result(
        "made" if made else "ready", f"made {', '.join(made)}" if made else "all places are ready"
    )
    return 0


def change_passwords(
    site: Site, settings: BackupSettings, arguments: argparse.Namespace, reporter: Reporter
) -> int:
    """Does one half of a rotation of the password. Whatever runs has read the one of now at its start."""
    adds = arguments.command == "add-password"
    password = read_password() if adds else ""
    reporter.secrets = [password] if password else []
    by, wait = arguments.by or "root", arguments.wait
    with locked(
        site, by, "change of the password", wait, lambda busy: wait_for(reporter, busy), site.backup_lock
    ):
        # Those that are there: a second place that was set a moment ago is made with the password of then.
        found = [repository for repository in places(site, settings).values() if repository.exists()]
        if adds:
            added = add_password(found, password)
            message = f"it opens {counted(len(found), 'place')}"
            reporter.result("added" if added else "unchanged", message)
        else:
            reporter.result("removed", remove_other_passwords(found))
    return 0


def report_failure(site: Site, settings: BackupSettings, run: str, reporter: Reporter) -> int:
    """
    Writes to the administrator that a unit has failed, and makes sure that the status says so: what was
    killed could not say it itself.
    """
    command, _, place = run.partition("-")
    name = key(command, place)
    if name not in TITLES:
        raise UsageError(f"{run!r} is not one of {', '.join(each.replace(' ', '-') for each in TITLES)}")
    entry = read_status(site).get(name, {})
    if entry.get("state") == RUNNING:
        ended(site, name, FAILED, "it was killed", detail=[], backup="", secrets=[])
        entry = read_status(site)[name]
    message = entry.get("message") or "it could not begin"
    lines = [
        f"{TITLES[name].capitalize()} of {site.name} ({site.config.domain}) has failed:",
        "",
        f"    {message}",
        *(f"    | {line}" for line in entry.get("detail", [])),
        "",
        f"The last good one: {entry.get('last_ok') or 'none yet'}.",
        "",
        f"On the server: sudo {site.name}-backup list, and journalctl -u '{site.name}-backup*' -n 100",
    ]
    if not settings.admin_email:
        reporter.result("unchanged", "nobody is to be told: there is no address")
        return 0
    write_to(settings.admin_email, site, f"{TITLES[name]} has failed", lines)
    reporter.result("told", f"{settings.admin_email} was told")
    return 0


def execute(site: Site, arguments: argparse.Namespace, reporter: Reporter) -> int:
    """Does what the command line asks for, and returns the exit status."""
    settings = BackupSettings.read(site.backup_settings)
    if arguments.command == "list":
        return show_list(site, settings, reporter)
    if arguments.command == "prepare":
        return prepare(site, settings, reporter, arguments.place)
    if arguments.command in ("add-password", "remove-other-passwords"):
        return change_passwords(site, settings, arguments, reporter)
    if arguments.command == "report-failure":
        return report_failure(site, settings, arguments.run, reporter)
    request = Request.of(arguments)
    if arguments.command == "restore":
        return restore(site, settings, request, reporter, arguments.in_unit)
    return perform(site, settings, request, reporter, arguments.in_unit)
