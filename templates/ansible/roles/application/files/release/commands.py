"""What the release command can do, each command a function."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from .backups.status import OK, backup_state, key, read_status
from .databases import how_to_look_at
from .dumps import release_of_dump
from .errors import EXIT_FAILED, LockedError, ReleaseError, UsageError, unexpected
from .files import directory_size
from .handing_over import hand_over, new_place, refuse_if_handed_over, take_back
from .health import illness
from .hot_fixes import hot_fixes
from .lock import lock_owner, locked
from .maintenance import Maintenance, apply, illness_for_visitors
from .messages import cause, counted, last_lines, megabytes, now
from .processes import Command, release_of, systemctl, unit_instances, unit_name
from .redaction import hide, secret_values
from .releases import BUILT, GOOD, rollback_target
from .reporting import Reporter
from .site import Site
from .steps import DELETE, DEPLOY, HOT_FIXES, PRUNE, RESTART, RESTORE, RESUME, ROLLBACK, TIDY
from .transaction import Outcome, Request, Transaction
from .warmth import is_warm

RETIRE_WAIT_SECONDS = 30 * 60.0


def deploy(transaction: Transaction) -> Outcome:
    """Puts the commit in the archive live, unless it is live and well."""
    site, request, live = transaction.site, transaction.request, transaction.previous
    warn_if_stale(transaction)
    transaction.perform([HOT_FIXES])
    if live and live.commit == request.commit and not hot_fixes(live):
        problem = illness(site, live)
        if live.settings != site.fingerprint():
            problem = problem or "its processes run with settings that have changed since"
        if not problem and live.status == BUILT:
            # The run that switched to it was killed before it could do the rest.
            transaction.release = live
            transaction.perform(RESUME)
            message = f"commit {live.commit[:8]} was live already, but not to the end"
            return Outcome("deployed", message, live.id, live.id)
        if not problem:
            transaction.perform([TIDY])
            return Outcome("unchanged", f"commit {live.commit[:8]} is live and well", live.id, live.id)
        transaction.reporter.warning("unchanged", f"commit {live.commit[:8]} is deployed again: {problem}")
    if live and live.status == BUILT and not illness(site, live):
        # The run that switched to it was killed: it is proven all the same.
        live.save(status=GOOD)
    transaction.perform(DEPLOY)
    message = f"https://{site.config.domain} serves commit {request.commit[:8]}"
    return Outcome("deployed", message, transaction.release.id, live.id if live else None)


def warn_if_stale(transaction: Transaction) -> None:
    """Says when the host was provisioned with other playbooks than the project has now."""
    wanted = transaction.request.provisioned
    if not wanted:
        return
    try:
        found = transaction.site.provisioned.read_text(encoding="utf-8").strip()
    except OSError:
        found = ""
    if found != wanted:
        transaction.reporter.warning(
            "provisioned",
            "the host was provisioned with other playbooks than this commit's: provision it again",
        )


def rollback(transaction: Transaction) -> Outcome:
    """Goes back to a release that was live before."""
    live, request = transaction.previous, transaction.request
    if request.accept_loss and not request.with_db:
        raise UsageError("--accept-loss says nothing without --with-db")
    transaction.perform(RESTORE if request.with_db else ROLLBACK)
    release = transaction.release
    message = f"https://{transaction.site.config.domain} serves commit {release.commit[:8]} again"
    if request.with_db:
        closed = transaction.switched_at - transaction.closed_at
        message += (
            f" with the data of {release_of_dump(transaction.dump)}'s dump; visitors got the page for an "
            f"outage for {closed:.1f} s; {how_to_look_at(transaction.restoring.replaced)}"
        )
    return Outcome("rolled-back", message, release.id, live.id if live else None)


def restart(transaction: Transaction) -> Outcome:
    """
    Starts the live code anew beside itself, so that it reads changed settings without an outage.
    """
    site, live = transaction.site, transaction.previous
    if live is None:
        return Outcome("unchanged", "nothing is live yet")
    if transaction.request.if_changed and live.settings == site.fingerprint():
        return Outcome("unchanged", "the settings have not changed since the start", live.id, live.id)
    transaction.request = transaction.request._replace(commit=live.commit)
    transaction.perform(RESTART)
    message = f"{live.commit[:8]} runs with the settings of now"
    return Outcome("restarted", message, transaction.release.id, live.id)


def delete(transaction: Transaction) -> Outcome:
    """Removes one release."""
    transaction.perform(DELETE)
    return Outcome("deleted", f"{transaction.request.release} is gone")


def prune(transaction: Transaction) -> Outcome:
    """Removes all releases but for so many, and those that are needed."""
    transaction.perform(PRUNE)
    kept = transaction.site.kept_releases()
    return Outcome("pruned", f"{counted(len(kept), 'release')} kept")


TRANSACTIONS: dict[str, Callable[[Transaction], Outcome]] = {
    "deploy": deploy,
    "rollback": rollback,
    "restart": restart,
    "delete": delete,
    "prune": prune,
    "hand-over": hand_over,
    "take-back": take_back,
}
# What may be done to a site that was handed over.
AFTER_HANDING_OVER = ("hand-over", "take-back", "delete", "prune")


def transact(
    site: Site,
    request: Request,
    reporter: Reporter,
    parent: str | None = None,
    operations: Mapping[str, Callable[[Transaction], Outcome]] = TRANSACTIONS,
) -> int:
    """
    Does one transaction under the lock, reports and records how it ended, and returns the exit
    status.
    """
    transaction: Transaction | None = None
    started = time.monotonic()

    def when_busy(owner: str) -> None:
        reporter.warning("lock", f"{owner}: waiting up to {request.wait} s")

    status, detail = 0, []
    with contextlib.suppress(OSError):
        reporter.secrets = secret_values(site.environment.read_text(encoding="utf-8"))
    try:
        with locked(site, request.by, request.command, request.wait, when_busy), stopped_by_signals():
            if request.command not in AFTER_HANDING_OVER:
                refuse_if_handed_over(site)
            transaction = Transaction(site, request, reporter, parent)
            outcome = operations[request.command](transaction)
    except Exception as error:  # whatever it is: it is reported and recorded, and perform() has cleaned up
        failure = error if isinstance(error, ReleaseError) else unexpected(error)
        status, detail = failure.exit_status, failure.detail
        live = site.live()
        decides = request.command not in ("delete", "prune")
        consequence = f"; {live.id} stays live" if live and transaction and decides else ""
        outcome = Outcome(failure.status, failure.message + consequence, None, live.id if live else None)
    seconds = round(time.monotonic() - started, 3)
    if transaction and outcome.status != "unchanged":
        try:
            record(site, transaction, outcome, seconds, detail, reporter.secrets)
        except OSError as error:
            reporter.warning("log", f"cannot write {site.log}: {error.strerror}")
    reporter.result(
        outcome.status,
        outcome.message,
        release=outcome.release,
        previous=outcome.previous,
        seconds=seconds,
        live_seconds=seconds_to_live(transaction),
    )
    return status


def seconds_to_live(transaction: Transaction | None) -> float | None:
    """How long it took until visitors got the release, or None if they never did."""
    if not transaction or not transaction.live_at:
        return None
    return round(transaction.live_at - transaction.started_at, 3)


def record(
    site: Site,
    transaction: Transaction,
    outcome: Outcome,
    seconds: float,
    detail: Sequence[str],
    secret_texts: Sequence[str],
) -> None:
    """Adds a line to the history: who did what, when, how long each step took and how it ended."""
    request = transaction.request
    entry = {
        "time": now(),
        "operation": request.command,
        "by": request.by,
        "commit": request.commit or None,
        **outcome._asdict(),
        "seconds": seconds,
        "steps": transaction.steps,
        "dump": str(transaction.dump) if transaction.dump else None,
        "detail": list(detail),
    }
    append_to_history(site, entry, secret_texts)


def append_to_history(site: Site, entry: Mapping[str, Any], secret_texts: Sequence[str] = ()) -> None:
    """Adds a line to the history."""
    site.log.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    descriptor = os.open(site.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(hide(dict(entry), secret_texts), ensure_ascii=False) + "\n")


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Turns a request to stop into a ReleaseError, so that what was half done is taken back."""

    def stop(number: int, _frame: object) -> NoReturn:
        # A second signal must not interrupt what the first one made necessary.
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_number, signal.SIG_IGN)
        raise ReleaseError(f"stopped by {signal.Signals(number).name}")

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    # A reader that is gone is no reason to stop: Reporter copes.
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show_list(site: Site, reporter: Reporter) -> int:
    """Shows the releases on disk, newest first."""
    live = site.live()
    releases = site.kept_releases()
    for release in releases:
        is_live = bool(live and live.id == release.id)
        size = directory_size(release.path)
        applied = counted(len(release.migrations), "migration") if release.migrations else ""
        dump = f"dump {release.dump} ({megabytes(release.dump_size)})" if release.dump else ""
        columns = [
            "*" if is_live else " ",
            release.id,
            f"{release.status:<11}",
            f"{megabytes(size):>10}",
            release.by,
            *(note for note in (release.message, applied, dump) if note),
        ]
        reporter.event(
            "  ".join(columns).rstrip(),
            event="release",
            **release.describe(),
            live=is_live,
            size=size,
        )
    if not releases:
        reporter.event("nothing has been deployed yet", event="result", status="empty", message="no release")
    return 0


def retire(site: Site) -> int:
    """Stops every release that is not live: what a timer does when a warm one has waited long enough."""
    try:
        with locked(site, "the retire timer", "retire", RETIRE_WAIT_SECONDS):
            live = site.live()
            idle = [unit for unit in unit_instances(site) if not live or release_of(unit) != live.id]
            return subprocess.call(["systemctl", "stop", "--no-block", *idle]) if idle else 0
    except LockedError:
        # Whatever runs for so long starts the timer again when it is done.
        return 0


def show_status(site: Site, reporter: Reporter) -> int:
    """Shows what is live, whether it is well, and who changes it right now."""
    live, owner = site.live(), lock_owner(site)
    problem = illness(site, live) if live else "nothing is live yet"
    if place := new_place(site):
        problem = f"it was handed over to {place}"
    changed = hot_fixes(live) if live else []
    target = rollback_target(site.kept_releases(), live) if live else None
    provisioned = None
    with contextlib.suppress(OSError):
        provisioned = site.provisioned.read_text(encoding="utf-8").strip()
    lines = [f"site      {site.name} (https://{site.config.domain})"]
    if live:
        lines.append(f"live      {live.id}, commit {live.commit}, deployed {live.created} by {live.by}")
    lines.append(f"health    {problem or 'well'}")
    maintenance, visitors = maintenance_of(site)
    lines.append(f"visitors  {visitors}")
    warm = bool(target and is_warm(site, target))
    backups, wrong, runs = backup_state(site)
    going_back = f"would go to {target.id}{', which is warm' if warm else ''}" if target else ""
    lines.append(f"rollback  {going_back or 'nothing to go back to'}")
    if backups:
        lines.append(f"backups   {'; '.join([backups, *wrong])}")
    if changed:
        lines.append(f"hot fixes {', '.join(changed)}")
    if owner:
        lines.append(f"locked    {owner}")
    reporter.event(
        "\n".join(lines),
        event="status",
        site=site.name,
        domain=site.config.domain,
        **(live.describe() if live else {"release": None}),
        healthy=not problem,
        problem=problem or None,
        previous=target.id if target else None,
        warm=warm if target else None,
        hot_fixes=changed or None,
        provisioned=provisioned,
        maintenance=maintenance,
        backups={"problems": wrong, "runs": runs} if backups else None,
        locked=owner or None,
    )
    return 0


def maintain(site: Site, arguments: argparse.Namespace, reporter: Reporter) -> int:
    """
    Closes the site to visitors or opens it, reports and records how that ended, and returns the exit
    status.

    It has a lock of its own: it touches nothing that a deploy touches, and a deploy may take minutes.
    """
    wanted = Maintenance()
    if arguments.action == "on":
        allow = tuple(dict.fromkeys(arguments.allow))
        wanted = Maintenance(True, now(), arguments.by, allow, arguments.retry_after, arguments.message)
    operation = f"maintenance {arguments.action}"
    began, was_on = False, None
    exit_status, result, detail = 0, arguments.action, []
    try:
        with locked(site, arguments.by, operation, lock=site.maintenance_lock), stopped_by_signals():
            began = True
            with contextlib.suppress(ReleaseError):
                was_on = Maintenance.of(site).on
            if not wanted.on:
                refuse_if_handed_over(site)
            seen = apply(site, wanted)
        message = f"{site.config.domain} is closed for maintenance; {seen}"
        if not wanted.on:
            message = f"{site.config.domain} is open to everybody"
            if not site.live():
                message += ", and nothing is live yet"
            elif problem := illness_for_visitors(site):
                exit_status = EXIT_FAILED
                message = f"maintenance is off, but visitors do not get the site: {problem}"
    except Exception as error:  # whatever it is: it is reported and recorded, and all is as it was before
        failure = error if isinstance(error, ReleaseError) else unexpected(error)
        exit_status, result, detail = failure.exit_status, failure.status, failure.detail
        unchanged = {True: "; maintenance stays on", False: "; maintenance stays off", None: ""}[was_on]
        message = failure.message + unchanged
    if began and (wanted.on or was_on is not False):
        entry = {
            "time": now(),
            "operation": operation,
            "by": arguments.by,
            "status": result,
            "message": message,
            "maintenance": dataclasses.asdict(wanted),
            "detail": detail,
        }
        try:
            append_to_history(site, entry)
        except OSError as error:
            reporter.warning("log", f"cannot write {site.log}: {error.strerror}")
    reporter.result(result, message, maintenance=maintenance_of(site)[0])
    return exit_status


def maintenance_of(site: Site) -> tuple[dict[str, Any] | None, str]:
    """Whether the site is closed, for programs and for people. None: nobody knows, and why."""
    try:
        state = Maintenance.of(site)
    except ReleaseError as failure:
        return None, failure.message
    return dataclasses.asdict(state), state.describe()


def show_maintenance(site: Site, reporter: Reporter) -> int:
    """Shows whether the site is closed to visitors, and for whom it is not."""
    state = Maintenance.of(site)
    reporter.event(state.describe(), event="maintenance", **dataclasses.asdict(state))
    return 0


def back_up(site: Site, by: str, reporter: Reporter) -> int:
    """
    Has the unit that makes the nightly backup make one now, and waits for its end. A copy to the second
    place follows by itself.
    """
    if not site.backup_settings.is_file():
        raise ReleaseError("there are no backups of this site: provision the host again")
    started = time.monotonic()
    unit = f"{site.name}-backup@run.service"
    begun = systemctl("start", unit)
    entry = read_status(site).get(key("run", "first"), {})
    seconds = round(time.monotonic() - started, 3)
    made = begun.returncode == 0 and entry.get("state") == OK
    status, message = "made", f"the backup {entry.get('last_ok_backup')} is good"
    if not made:
        reason = entry.get("message") or cause(last_lines(begun.stderr))
        status, message = "failed", f"no backup was made: {reason}"
    told = {"status": status, "message": message, "seconds": seconds}
    append_to_history(site, {"time": now(), "operation": "backup", "by": by, **told})
    reporter.result(status, message, seconds=seconds)
    return 0 if made else EXIT_FAILED


def manage(site: Site, words: Sequence[str]) -> int:
    """
    Runs manage.py of the live release as the site's user, with its settings, and returns its exit
    status.
    """
    live = site.live()
    if live is None:
        raise ReleaseError("nothing is live yet: deploy first")
    command = Command(
        "manage",
        [live.path / ".venv/bin/python", "manage.py", *words],
        live.path,
        {"RELEASE_ID": live.id, "PYTHONUNBUFFERED": "1"},
        writable=(site.media,),
    )
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    return subprocess.call(command.under_systemd(site, unit_name(site, "manage"), None, terminal=terminal))


def start(site: Site) -> int:
    """Starts what `current` names: what the boot unit does."""
    live = site.live()
    if live is None or new_place(site):
        return 0
    return subprocess.call(["systemctl", "start", site.web(live.id), site.worker(live.id), site.beat])
