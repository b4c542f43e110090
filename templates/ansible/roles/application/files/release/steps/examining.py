"""Django's own checks, the static files, and which migrations are pending."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from ..errors import ReleaseError
from ..files import remove_tree
from ..holding import WEB, WORKER, hold, let_go
from ..messages import cause, counted, first_line
from ..processes import has_failed, journal, script, stop_unit, systemctl
from ..static_files import keep_static_files
from ..transaction import Transaction
from .starting import begin_ping, make_room_for

EXAMINE_SECONDS = 5 * 60
EXAMINE = script("examine.py", "release_compatibility.py")
PAUSE_SECONDS = 0.01
# systemctl takes longer than a look at a file.
PAUSES_BETWEEN_STATES = 20


def examine(transaction: Transaction) -> str:
    """
    Runs Django's checks, collects the static files, and asks which migrations are pending.

    That happens in a copy of the release's web server, which has then imported the project and
    waits, as its worker does.
    """
    site, release = transaction.site, transaction.release
    staging = site.staging
    remove_tree(staging)
    transaction.take_back(remove_tree, staging)
    staging.mkdir(mode=0o700)
    os.chown(staging, site.accounts.site_user, site.accounts.site_group)
    unit, since = site.web(release.id), time.time()
    result_file = staging / "result.json"
    begin_held(transaction, result_file)
    result = wait_for(result_file, unit)
    if result and result.get("errors"):
        raise ReleaseError(f"{result['stage']}: {first_line(result['errors'][0])}", result["errors"])
    if result is None or result["stage"] != "done":
        lines = journal(unit, since)
        raise ReleaseError(f"{result['stage'] if result else 'start'}: {cause(lines)}", lines)
    for warning in result["warnings"]:
        transaction.reporter.warning("check", first_line(warning))
    transaction.pending = result["pending"]
    transaction.not_atomic = result.get("not_atomic", [])
    transaction.judgement = result.get("judgement", {})
    count = keep_static_files(site, release, staging)
    remove_tree(staging)
    if transaction.pending:
        # What has been imported may remember the old schema.
        stop_held(transaction)
    pending = counted(len(transaction.pending), "pending migration")
    if transaction.pending:
        more = ", …" if len(transaction.pending) > 3 else ""
        pending += f" ({', '.join(transaction.pending[:3])}{more})"
    return f"{counted(len(result['warnings']), 'warning')}, {counted(count, 'static file')}, {pending}"


def begin_held(transaction: Transaction, result_file: Path) -> None:
    """Starts web server and worker of the release, which wait after they have imported the project."""
    site, release = transaction.site, transaction.release
    make_room_for(transaction)
    job = {
        "script": EXAMINE,
        "arguments": [
            str(result_file.parent),
            str(result_file),
            transaction.previous.id if transaction.previous else "",
        ],
        "result": str(result_file),
    }
    transaction.take_back(let_go, site, release.id)
    hold(site, release.id, WEB, job)
    hold(site, release.id, WORKER, {})
    release.save(settings=site.fingerprint())
    transaction.worker_since = time.time()
    for unit in (site.web(release.id), site.worker(release.id)):
        transaction.take_back(stop_unit, unit)
        systemctl("start", "--no-block", unit)
    begin_ping(transaction)


def wait_for(result_file: Path, unit: str) -> dict[str, Any] | None:
    """What the checks have found, or None when their process died before it could say so."""
    deadline = time.monotonic() + EXAMINE_SECONDS
    pauses = 0
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            return json.loads(result_file.read_text(encoding="utf-8"))
        pauses += 1
        if pauses % PAUSES_BETWEEN_STATES == 0 and has_failed(unit):
            return None
        time.sleep(PAUSE_SECONDS)
    raise ReleaseError(f"the checks did not end within {EXAMINE_SECONDS} s")


def stop_held(transaction: Transaction) -> None:
    """Ends what waits, so that it is started anew."""
    site, release = transaction.site, transaction.release
    stop_unit(site.web(release.id))
    stop_unit(site.worker(release.id))
    let_go(site, release.id)
