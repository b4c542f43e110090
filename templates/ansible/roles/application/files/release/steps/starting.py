"""Starts the processes of a release beside the live ones, and asks whether they are well."""

from __future__ import annotations

import time

from ..errors import ReleaseError, Skipped
from ..files import begin_flush
from ..health import on_its_socket, persist, warm_up
from ..holding import WEB, WORKER, hold_file, is_held
from ..messages import cause, last_lines
from ..processes import (
    Command,
    has_failed,
    journal,
    release_of,
    script,
    stop_unit,
    systemctl,
    unit_instances,
    unit_states,
)
from ..releases import BUILT
from ..transaction import Transaction
from ..warmth import is_warm

# Seconds. A new release that does not answer within these is not going to.
PROBE_SECONDS = 15.0
WORKER_SECONDS = 60.0
PING = script("ping.py")


def start_web(transaction: Transaction) -> str:
    """
    Starts the release's Gunicorn beside the live one. It is ready when the project is imported.
    """
    site, release = transaction.site, transaction.release
    unit, since = site.web(release.id), time.time()
    if release.status == BUILT:
        # A host that loses power after the switch must find more than the name of the release.
        transaction.flush = begin_flush(site.home)
        transaction.take_back(transaction.flush.wait)
    transaction.started_web = not is_warm(site, release)
    if is_held(site, release.id, WEB):
        hold_file(site, release.id, WEB).unlink()
        # It is starting: this waits until it is ready.
        started = systemctl("start", unit)
    elif not transaction.started_web:
        raise Skipped(f"{unit} still runs")
    else:
        make_room_for(transaction)
        release.save(settings=site.fingerprint())
        transaction.take_back(stop_unit, unit)
        # Not "start": it may still run, with settings that have changed since.
        started = systemctl("restart", unit)
    if started.returncode or has_failed(unit):
        lines = journal(unit, since) or last_lines(started.stderr)
        raise ReleaseError(f"{unit} does not start: {cause(lines)}", lines)
    return unit


def make_room_for(transaction: Transaction) -> None:
    """Stops a release that is kept warm: the next one needs its memory, and two are enough."""
    needed = {transaction.release.id, transaction.previous.id if transaction.previous else ""}
    if idle := [unit for unit in unit_instances(transaction.site) if release_of(unit) not in needed]:
        systemctl("stop", "--no-block", *idle)


def probe(transaction: Transaction) -> str:
    """
    Asks the new release, on its own socket, whether it and every service that it needs are well.
    """
    site, release = transaction.site, transaction.release
    unit, since = site.web(release.id), time.time()
    try:
        persist(
            lambda: on_its_socket(site, release),
            PROBE_SECONDS,
            give_up=lambda: unit_states(unit) != ["active"],
        )
    except ReleaseError as failure:
        raise ReleaseError(f"the new release is not well: {failure.message}", journal(unit, since)) from None
    if transaction.started_web:
        warm_up(site, release)
    return "database, cache and broker answer"


def start_worker(transaction: Transaction) -> str:
    """Starts the release's worker, and waits until it takes orders from the broker."""
    begin_worker(transaction)
    site, release = transaction.site, transaction.release
    unit, since = site.worker(release.id), transaction.worker_since
    assert transaction.ping is not None
    answered = transaction.ping.wait(WORKER_SECONDS, give_up=lambda: has_failed(unit))
    if not answered.ok or unit_states(unit) != ["active"]:
        lines = journal(unit, since) or answered.lines
        raise ReleaseError(f"the worker of the new release does not answer: {cause(lines)}", lines)
    return site.worker_node(release.id)


def begin_ping(transaction: Transaction) -> None:
    """Starts the program that waits until the worker answers. It takes as long as a worker to start."""
    site, release = transaction.site, transaction.release
    nodes = [site.worker_node(release.id)]
    # A rollback lets the newer worker end its tasks first.
    if transaction.previous and transaction.request.command != "rollback":
        nodes.append(site.worker_node(transaction.previous.id))
    transaction.ping = transaction.begin(
        Command(
            "ping",
            [release.path / ".venv/bin/python", "-c", PING, *nodes],
            release.path,
            {"RELEASE_ID": release.id},
        )
    )
    transaction.take_back(transaction.ping.stop)


def begin_worker(transaction: Transaction) -> None:
    """Lets the release's worker start, without waiting for it, unless it does already."""
    site, release = transaction.site, transaction.release
    if transaction.worker_begun:
        return
    transaction.worker_begun = True
    if transaction.ping is None:
        begin_ping(transaction)
    if is_held(site, release.id, WORKER):
        hold_file(site, release.id, WORKER).unlink()
        return
    unit = site.worker(release.id)
    transaction.take_back(stop_unit, unit)
    transaction.worker_since = time.time()
    systemctl("start", "--no-block", unit)
