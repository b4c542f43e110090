"""Who keeps a migration waiting: what it waits for, and which process holds that."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

from .postgresql import ADMINISTRATOR, PSQL, as_administrator, connection
from .site import Site

# How PostgreSQL knows the connection of a migration.
APPLICATION = "release-migrate"
LOOK_SECONDS = 0.5
# Of a query only its kind, and its table if there is one of that name: its values may be anybody's data.
WAITING = r"""
select json_build_object(
  'lock', waiting.mode,
  'table', coalesce(waiting.relation::regclass::text, waiting.locktype),
  'pid', holder.pid,
  'user', holder.usename,
  'application', holder.application_name,
  'state', holder.state,
  'since', to_char(holder.state_change at time zone 'utc', 'HH24:MI:SS'),
  'seconds', round(extract(
    epoch from clock_timestamp() - coalesce(holder.xact_start, holder.backend_start)
  )),
  'command', upper(substring(holder.query from '^\s*([A-Za-z]+)')),
  'on', to_regclass(substring(
    regexp_replace(holder.query, '''[^'']*''', '', 'g') from
    '(?i)\m(?:from|into|update|table)\s+(?:only\s+)?([a-z_]\w*(?:\.[a-z_]\w*)?|"[^"]+")'
  ))::text
)
from pg_stat_activity migration
join pg_locks waiting on waiting.pid = migration.pid and not waiting.granted
cross join lateral unnest(pg_blocking_pids(migration.pid)) blocking
join pg_stat_activity holder on holder.pid = blocking
where migration.datname = current_database() and migration.application_name = :'application'
limit 1
"""


@contextlib.contextmanager
def watched(site: Site) -> Iterator[list[dict[str, Any]]]:
    """
    Looks again and again, while the `with` statement runs, who keeps the migration waiting. At its
    end the list holds what was seen, the last one last.

    One process for all of it: PostgreSQL's own client repeats the question.
    """
    seen: list[dict[str, Any]] = []
    with tempfile.TemporaryFile("w+") as questions, tempfile.TemporaryFile("w+") as answers:
        # psql would read on, and end, while it waits for its next turn.
        questions.write(f"{WAITING} \\watch {LOOK_SECONDS}\n")
        questions.seek(0)
        try:
            watcher = subprocess.Popen(
                [
                    *PSQL,
                    f"--set=application={APPLICATION}",
                    *connection(site, site.name, ADMINISTRATOR),
                ],
                stdin=questions,
                stdout=answers,
                stderr=subprocess.DEVNULL,
                text=True,
                **as_administrator(site),
            )
        except FileNotFoundError:
            # Without it only the explanation is missing.
            yield seen
            return
        try:
            yield seen
        finally:
            watcher.terminate()
            watcher.wait()
            answers.seek(0)
            for line in answers:
                with contextlib.suppress(ValueError):
                    found = json.loads(line)
                    if isinstance(found, dict):
                        seen.append(found)


def describe_blocker(blocker: dict[str, Any]) -> str:
    """What a migration waits for, who has it, and what can be done."""
    application = blocker["application"] or "unnamed"
    who = f"process {blocker['pid']} (user {blocker['user']}, application {application})"
    if str(blocker["state"]).startswith("idle in transaction"):
        doing = f"{blocker['state']} since {blocker['since']} UTC"
    else:
        on = f" on {blocker['on']}" if blocker["on"] else ""
        doing = f"busy with {blocker['command'] or 'a command'}{on}"
    return (
        f"it needs {blocker['lock']} on {blocker['table']}, and {who} has held a lock on that for up to "
        f"{blocker['seconds']} s: it is {doing}. Let it end, or end it with: sudo -u {ADMINISTRATOR} psql "
        f"-c 'select pg_terminate_backend({blocker['pid']})'; then deploy again"
    )
