"""The switch to a release, the checks after it, and the end of the old one."""

from __future__ import annotations

import time

from ..errors import ReleaseError, Skipped
from ..files import point, sync_directory
from ..health import persist, through_nginx
from ..messages import cause, last_lines
from ..processes import Command, journal, release_of, script, systemctl, unit_instances, unit_states
from ..releases import BAD, GOOD, WITHDRAWN
from ..static_files import publish_plain_static_files
from ..transaction import Transaction
from ..warmth import warm_unit
from .starting import begin_worker

# Short, because visitors are waiting.
LIVE_SECONDS = 3.0
# How often in a row a release must answer through nginx before the old one may go.
LIVE_ANSWERS = 3
# Between the switch and the stop of the old release: requests that nginx has passed on but that the
# old release has not accepted yet.
DRAIN_SECONDS = 1.0
# How long the tasks that wait may take until a worker has taken them.
QUEUE_SECONDS = 60.0
DRAIN = script("drain.py")


def hand_over(transaction: Transaction) -> str:
    """
    Tells the old workers to take no more tasks and to finish those that they have.

    It comes before the switch: a task that only the new code knows would be thrown away by an old
    worker. Tasks that are sent meanwhile wait in the broker for the new one.
    """
    site, release = transaction.site, transaction.release
    begin_worker(transaction)
    mine = site.worker(release.id)
    old = [u for u in unit_instances(site) if u.startswith(f"{site.name}-worker@") and u != mine]
    if not old:
        raise Skipped("no other worker runs")
    if transaction.previous:
        transaction.take_back(systemctl, "start", "--no-block", site.worker(transaction.previous.id))
    systemctl("stop", "--no-block", *old)
    return ", ".join(old)


def drain(transaction: Transaction) -> str:
    """
    Lets the release that is left answer its last requests, and its worker do the tasks that wait.

    Only then may an older worker take tasks: one that it does not know it would throw away.
    """
    site, previous = transaction.site, transaction.previous
    if previous is None or unit_states(site.worker(previous.id)) != ["active"]:
        raise Skipped("no other worker runs")
    time.sleep(max(0.0, transaction.switched_at + DRAIN_SECONDS - time.monotonic()))
    systemctl("stop", site.web(previous.id))
    emptied = transaction.begin(
        Command(
            "drain",
            [previous.path / ".venv/bin/python", "-c", DRAIN, site.worker_node(previous.id)],
            previous.path,
            {"RELEASE_ID": previous.id},
        )
    ).wait(QUEUE_SECONDS)
    if not emptied.ok:
        transaction.reporter.warning(
            "drain",
            f"tasks still wait after {QUEUE_SECONDS:.0f} s: the worker of {transaction.release.id} takes "
            "them, and throws away those that it does not know",
        )
    return f"{previous.id} has answered all requests and taken all tasks"


def switch(transaction: Transaction) -> str:
    """Makes the new release the live one: one rename."""
    site, release = transaction.site, transaction.release
    transaction.take_back(switch_back, transaction)
    publish_plain_static_files(site, release)
    if transaction.flush:
        transaction.flush.wait()
    point(site.current, f"releases/{release.id}")
    transaction.switched_at = time.monotonic()
    return f"{transaction.previous.id if transaction.previous else 'nothing'} -> {release.id}"


def switch_back(transaction: Transaction) -> None:
    """Makes the old release the live one again. It still runs, unless it had stopped before."""
    site, release, previous = transaction.site, transaction.release, transaction.previous
    if release.status != GOOD:
        release.save(status=BAD, message="failed after it was switched to")
    if previous is None:
        site.current.unlink(missing_ok=True)
        systemctl("stop", site.beat)
        return
    point(site.current, f"releases/{previous.id}")
    publish_plain_static_files(site, previous)
    systemctl("start", site.web(previous.id))
    if transaction.beat_restarted:
        systemctl("restart", site.beat)
    transaction.reporter.warning("switch", f"switched back to {previous.id}")


def check_live(transaction: Transaction) -> str:
    """Asks the site as a visitor would, over HTTPS through nginx."""
    site, release = transaction.site, transaction.release
    for _ in range(LIVE_ANSWERS):
        try:
            persist(lambda: through_nginx(site, release), LIVE_SECONDS)
        except ReleaseError as failure:
            raise ReleaseError(
                f"https://{site.config.domain} is not well after the switch: {failure.message}"
            ) from None
    transaction.live_at = time.monotonic()
    return f"https://{site.config.domain}/health/ answers"


def restart_beat(transaction: Transaction) -> str:
    """
    Restarts the scheduler, of which there is exactly one. It runs the code that `current` names.
    """
    unit, since = transaction.site.beat, time.time()
    transaction.beat_restarted = True
    restarted = systemctl("restart", unit)
    if restarted.returncode:
        lines = journal(unit, since) or last_lines(restarted.stderr)
        raise ReleaseError(f"{unit} does not start: {cause(lines)}", lines)
    return unit


def settle(transaction: Transaction) -> str:
    """From here on nothing is taken back."""
    transaction.undo.pop_all()
    release, previous = transaction.release, transaction.previous
    release.save(status=GOOD, message="")
    if transaction.request.command == "rollback" and previous and previous.status == GOOD:
        previous.save(status=WITHDRAWN, message=f"rolled back by {transaction.request.by}")
    sync_directory(transaction.site.home)
    return f"{release.id} is live"


def retire(transaction: Transaction) -> str:
    """
    Lets everything that is not the live release end: requests are answered, running tasks done.

    What a rollback would go back to stays warm for a while. The end is not waited for, because a
    task may take minutes; systemd sees to it.
    """
    site, release = transaction.site, transaction.release
    warm = warm_unit(site, release) if site.config.keep_warm_seconds else ""
    old = [u for u in unit_instances(site) if release_of(u) != release.id and u != warm]
    if warm:
        systemctl("restart", site.retire_timer)
    if not old:
        raise Skipped(f"{warm} stays warm" if warm else "no other release runs")
    time.sleep(max(0.0, transaction.switched_at + DRAIN_SECONDS - time.monotonic()))
    stopped = systemctl("stop", "--no-block", *old)
    if stopped.returncode:
        raise ReleaseError("the old release does not stop", last_lines(stopped.stderr))
    return ", ".join(old) + (f"; {warm} stays warm" if warm else "")
