"""Django's own checks, the static files, and which migrations are pending."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from ..errors import ReleaseError
from ..messages import cause, counted, first_line
from ..processes import Command, script
from ..static_files import keep_static_files
from ..transaction import Transaction

EXAMINE_SECONDS = 5 * 60
EXAMINE = script("examine.py", "release_compatibility.py")


def examine(transaction: Transaction) -> str:
    """Runs Django's checks, collects the static files, and asks which migrations are pending."""
    site, release = transaction.site, transaction.release
    running = transaction.previous.id if transaction.previous else ""
    with tempfile.TemporaryDirectory(prefix=f".{release.id}.", suffix=".tmp", dir=site.releases) as name:
        staging = Path(name)
        os.chown(staging, site.accounts.site_user, site.accounts.site_group)
        result_file = staging / "result.json"
        done = transaction.command(
            Command(
                "check",
                [release.path / ".venv/bin/python", "-c", EXAMINE, staging, result_file, running],
                release.path,
                {"RELEASE_ID": release.id},
                writable=(staging,),
                seconds=EXAMINE_SECONDS,
            )
        )
        try:
            result = json.loads(result_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise ReleaseError(
                f"the project's Python does not start: {cause(done.lines)}", done.lines
            ) from None
        if result.get("errors"):
            raise ReleaseError(f"{result['stage']}: {first_line(result['errors'][0])}", result["errors"])
        if not done.ok or result["stage"] != "done":
            raise ReleaseError(f"{result['stage']}: {cause(done.lines)}", done.lines)
        for warning in result["warnings"]:
            transaction.reporter.warning("check", first_line(warning))
        transaction.pending = result["pending"]
        transaction.not_atomic = result.get("not_atomic", [])
        transaction.judgement = result.get("judgement", {})
        count = keep_static_files(site, release, staging)
    pending = counted(len(transaction.pending), "pending migration")
    if transaction.pending:
        more = ", …" if len(transaction.pending) > 3 else ""
        pending += f" ({', '.join(transaction.pending[:3])}{more})"
    return f"{counted(len(result['warnings']), 'warning')}, {counted(count, 'static file')}, {pending}"
