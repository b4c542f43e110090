"""What a person or a program sees of a run."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from typing import Any, TextIO

from .redaction import hide


class Reporter:
    """Tells what happens, as text for people or as one JSON object per line for programs."""

    def __init__(self, output: TextIO, *, as_json: bool) -> None:
        self.output = output
        self.as_json = as_json
        self.secrets: list[str] = []

    def write(self, text: str) -> None:
        """Writes a line. A connection that is gone must not stop a deploy."""
        try:
            print(text, file=self.output, flush=True)
        except (OSError, ValueError):
            # What is still buffered would fail again when Python ends.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.output.fileno())

    def event(self, text: str, **fields: Any) -> None:
        """Reports one thing in the form that was asked for. Fields that are None are left out."""
        if self.as_json:
            # Hidden first: in JSON a secret with a quotation mark looks different.
            told = hide({name: value for name, value in fields.items() if value is not None}, self.secrets)
            self.write(json.dumps(told, ensure_ascii=False))
        else:
            self.write(hide(text, self.secrets))

    def step(self, name: str, status: str, seconds: float, message: str, detail: Sequence[str] = ()) -> None:
        """Reports the end of a step: ok, failed or skipped."""
        mark = {"ok": " ", "skipped": "-", "failed": "!"}[status]
        lines = [
            f"{mark} {name:<12} {seconds:7.2f} s  {message}".rstrip(),
            *(f"    | {line}" for line in detail),
        ]
        self.event(
            "\n".join(lines),
            event="step",
            name=name,
            status=status,
            seconds=round(seconds, 3),
            message=message or None,
            detail=list(detail) or None,
        )

    def warning(self, name: str, message: str) -> None:
        """Reports something that a person should look at, and that stops nothing."""
        self.event(f"! warning: {message}", event="warning", name=name, message=message)

    def result(self, status: str, message: str, **fields: Any) -> None:
        """Reports how a run has ended: the last line."""
        self.event(f"{status}: {message}", event="result", status=status, **fields, message=message)
