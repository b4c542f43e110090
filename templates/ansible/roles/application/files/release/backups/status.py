"""How the last backups and drills have ended: a file that people and programs read."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any

from ..files import write_atomically
from ..messages import now
from ..redaction import hide
from ..site import Site

RUNNING, OK, FAILED = "running", "ok", "failed"
# What runs are called, by command and place.
TITLES = {
    "run first": "the backup",
    "run second": "the copy to the second place",
    "drill first": "the drill",
    "drill second": "the drill of the second place",
}
# After so many hours without a good one something is wrong: a night and its random delay, or a week.
LONGEST_HOURS = {"run": 30, "drill": 8 * 24}


def key(command: str, place: str) -> str:
    """The name of a run in the file."""
    return f"{command} {place}"


def read_status(site: Site) -> dict[str, dict[str, Any]]:
    """The contents of the file; nothing if there is none."""
    try:
        found = json.loads((site.backups / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: entry for name, entry in found.items() if name in TITLES and isinstance(entry, dict)}


def write_status(site: Site, name: str, **fields: Any) -> None:
    """Changes the entry of one run. There is one run at a time."""
    status = read_status(site)
    status[name] = {**status.get(name, {}), **fields}
    write_atomically(site.backups / "status.json", json.dumps(status, indent=2) + "\n", 0o600)


def begun(site: Site, name: str) -> None:
    """Notes that a run has begun: if nothing follows, it was killed."""
    write_status(site, name, state=RUNNING, began=now(), ended="", message="", detail=[])


def ended(
    site: Site,
    name: str,
    state: str,
    message: str,
    *,
    detail: list[str],
    backup: str,
    secrets: list[str],
) -> None:
    """Notes how a run has ended."""
    good = {"last_ok": now(), "last_ok_backup": backup} if state == OK else {}
    told = hide({"message": message, "detail": detail}, secrets)
    write_status(site, name, state=state, ended=now(), **told, **good)


def problems(status: Mapping[str, Mapping[str, Any]], names: list[str]) -> list[str]:
    """What is wrong with the backups, one line for each of the runs that there should be."""
    found = []
    for name in names:
        entry, title = status.get(name, {}), TITLES[name]
        if entry.get("state") == FAILED:
            found.append(f"{title} failed at {entry.get('ended')}: {entry.get('message')}")
        elif not entry.get("last_ok"):
            if name == "run first" and entry.get("state") != RUNNING:
                found.append("no backup has been made yet")
        elif hours_since(str(entry["last_ok"])) > LONGEST_HOURS[name.split()[0]]:
            found.append(f"{title} has not succeeded since {entry['last_ok']}")
    return found


def hours_since(moment: str) -> float:
    """Hours since a time in ISO 8601."""
    then = datetime.datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return (datetime.datetime.now(datetime.UTC) - then).total_seconds() / 3600


def summary(status: Mapping[str, Mapping[str, Any]]) -> str:
    """The newest backup and the last drill, for people."""
    backup, drill = (status.get(name, {}).get("last_ok") for name in ("run first", "drill first"))
    if not backup:
        return "none yet"
    return f"last one {backup}, {f'last drill {drill}' if drill else 'no drill yet'}"


def backup_state(site: Site) -> tuple[str, list[str], dict[str, Any]]:
    """For the status of a site: a line, what is wrong, and the whole. Nothing if there are no backups."""
    # Settings are read without their checks: a status must not fail because of them.
    try:
        settings = json.loads(site.backup_settings.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "", [], {}
    status = read_status(site)
    places = ["first", *(["second"] if settings.get("second_place") else [])]
    names = [key(command, place) for command in ("run", "drill") for place in places]
    return summary(status), problems(status, names), status
