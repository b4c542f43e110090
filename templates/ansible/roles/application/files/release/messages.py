"""Texts for people: sizes, counts, times, and the line of an output that says what went wrong."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Sequence

MIB = 1024 * 1024
DETAIL_LINES = 20


def megabytes(size: float) -> str:
    """A size in bytes for people."""
    return f"{size / MIB:.1f} MiB"


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def first_line(text: str) -> str:
    """The first line of a text."""
    return text.strip().partition("\n")[0]


def last_lines(*texts: str | None) -> list[str]:
    """The end of an output, without empty lines."""
    lines = [line.rstrip() for text in texts for line in (text or "").splitlines() if line.strip()]
    return lines[-DETAIL_LINES:]


def readable(line: str) -> str:
    """A line of a log in JSON as a person would write it; another line as it is."""
    try:
        entry = json.loads(line)
        text = f"{entry['level']} {entry['message']}"
    except (ValueError, KeyError, TypeError):
        return line
    error = str(entry.get("exc_info") or "").strip().splitlines()
    return f"{text}: {error[-1]}" if error else text


def cause(lines: Sequence[str]) -> str:
    """
    The line of an output that most likely says what went wrong: the last one of a Python traceback.
    """
    errors = [
        line for line in lines if re.match(r"\s*[A-Za-z_][\w.]*(Error|Exception|Improper\w+)\b.*", line)
    ]
    return (errors or list(lines) or ["it said nothing"])[-1].strip()
