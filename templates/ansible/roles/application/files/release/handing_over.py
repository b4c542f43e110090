"""
Ends the life of a site on this host, because another one takes it over, and brings it back.

From the moment when nobody can write here any more, a copy of the data is the last one. So the order
is: visitors, then the web servers with the requests that run, then the tasks that those have sent, then
the worker. What is left is the page for maintenance, and the data.

A file says where the site went. As long as it is there, nothing starts the site here.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from .errors import ReleaseError, Skipped, UsageError
from .files import sync_directory, write_atomically
from .lock import locked
from .maintenance import Maintenance, apply
from .messages import counted, last_lines, now
from .processes import run, systemctl, unit_instances
from .releases import Release
from .site import Site
from .steps.restoring import start, stop
from .transaction import Outcome, Step, Transaction

# How often the broker is asked: each question takes it a second of computing.
TASKS_PAUSE_SECONDS = 0.5
MESSAGE = "This site is moving to another server."
# Queues by which Celery's programs talk to each other; nothing waits in them.
CELERY_OWN = (".pidbox", "celeryev.")


def mark(site: Site) -> Path:
    """The file that says where the site went."""
    return site.settings / "handed-over.json"


def new_place(site: Site) -> str:
    """Where the site went, or "" while it is here."""
    try:
        return str(json.loads(mark(site).read_text(encoding="utf-8"))["to"])
    except (OSError, ValueError, KeyError, TypeError):
        return "another host" if mark(site).exists() else ""


def refuse_if_handed_over(site: Site) -> None:
    """Raises UsageError when the site is not here any more."""
    if place := new_place(site):
        raise UsageError(f"{site.name} was handed over to {place} and must not run here as well")


def units_of_their_own(site: Site) -> list[str]:
    """What starts something without being asked."""
    return [f"{site.name}-backup.timer", f"{site.name}-backup-drill.timer"]


def close(transaction: Transaction) -> str:
    """Shows visitors the page for maintenance."""
    site, by = transaction.site, transaction.request.by
    with locked(site, by, "hand-over", 60, lock=site.maintenance_lock):
        before = Maintenance.of(site)
        if before.on and new_place(site):
            raise Skipped("it is closed already")
        # What a run that was killed has begun is not what was before.
        transaction.take_back(apply, site, Maintenance() if before.message == MESSAGE else before)
        return apply(site, Maintenance(True, now(), by, (), message=MESSAGE))


def stop_timers(transaction: Transaction) -> str:
    """Nothing here starts by itself any more: no backup of what is old by then, and nothing at a boot."""
    site = transaction.site
    transaction.take_back(start_timers, site)
    systemctl("disable", f"{site.name}-boot.service")
    systemctl("disable", "--now", *units_of_their_own(site))
    systemctl("stop", site.retire_timer)
    return ""


def start_timers(site: Site) -> None:
    """The opposite."""
    systemctl("enable", f"{site.name}-boot.service")
    systemctl("enable", "--now", *units_of_their_own(site))


def stop_web(transaction: Transaction) -> str:
    """Lets running requests end, and nobody send tasks any more."""
    site = transaction.site
    units = [unit for unit in unit_instances(site) if "-web@" in unit]
    transaction.take_back(start, site, transaction.previous)
    stop(site.beat, *units)
    return ", ".join(units)


def await_tasks(transaction: Transaction) -> str:
    """Waits until the worker has done everything that was sent: only this host's broker knows of it."""
    site, request = transaction.site, transaction.request
    until = time.monotonic() + request.tasks_wait
    while waiting := tasks(site):
        if request.leave_tasks:
            return f"{counted(waiting, 'task')} will be lost, as accepted"
        if time.monotonic() >= until:
            raise ReleaseError(
                f"{counted(waiting, 'task')} have not been done within {request.tasks_wait} s, or are to be "
                "done later; they would be lost"
            )
        time.sleep(TASKS_PAUSE_SECONDS)
    return "no task waits"


def tasks(site: Site) -> int:
    """How many tasks wait, or are being done. Raises ReleaseError when the broker does not say."""
    asked = run(["rabbitmqctl", "--quiet", "--vhost", site.name, "list_queues", "name", "messages"])
    if asked.returncode:
        said = last_lines(asked.stdout, asked.stderr)
        raise ReleaseError(f"the broker does not tell how many tasks wait: {(said or ['?'])[-1]}", said)
    rows = [line.split("\t") for line in asked.stdout.splitlines()]
    numbers = {row[0]: row[1] for row in rows if len(row) == 2 and row[1].isdigit()}
    return sum(int(number) for name, number in numbers.items() if not any(own in name for own in CELERY_OWN))


def stop_worker(transaction: Transaction) -> str:
    """Stops what is left."""
    units = unit_instances(transaction.site)
    if not units:
        raise Skipped("none runs")
    stop(*units)
    return ", ".join(units)


def settle(transaction: Transaction) -> str:
    """Writes down where the site went."""
    site, request = transaction.site, transaction.request
    told = {"to": request.to, "by": request.by, "since": now()}
    write_atomically(mark(site), json.dumps(told) + "\n", 0o644)
    sync_directory(site.settings)
    transaction.undo.pop_all()
    return ""


HAND_OVER = (
    Step("close", close),
    Step("timers", stop_timers),
    Step("web", stop_web),
    Step("tasks", await_tasks),
    Step("worker", stop_worker),
    Step("settle", settle),
)


def hand_over(transaction: Transaction) -> Outcome:
    """Stops the site for good, but for the page that says so. Can be repeated."""
    site, live = transaction.site, transaction.previous
    transaction.perform(HAND_OVER)
    message = f"{site.config.domain} is closed here, and nothing writes to its data"
    return Outcome("handed-over", message, live.id if live else None, live.id if live else None)


def take_back(transaction: Transaction) -> Outcome:
    """Brings the site back that was handed over. Can be repeated."""
    site, live = transaction.site, transaction.previous
    if not mark(site).exists() and Maintenance.of(site).message != MESSAGE:
        return Outcome("unchanged", f"{site.name} was not handed over", live.id if live else None, None)
    transaction.perform((Step("start", start_all), Step("open", open_again)))
    return Outcome("taken-back", f"{site.config.domain} is served from here", live.id if live else None, None)


def start_all(transaction: Transaction) -> str:
    """Starts what was stopped."""
    site, live = transaction.site, transaction.previous
    mark(site).unlink(missing_ok=True)
    sync_directory(site.settings)
    start_timers(site)
    start(site, live)
    return describe(live)


def describe(live: Release | None) -> str:
    """A release for people."""
    return live.id if live else "nothing is live"


def open_again(transaction: Transaction) -> str:
    """Lets visitors in."""
    site, by = transaction.site, transaction.request.by
    with locked(site, by, "take-back", 60, lock=site.maintenance_lock):
        return apply(site, Maintenance())
