"""What can go wrong, and what it means for the exit status."""

from __future__ import annotations

import traceback
from collections.abc import Iterable

from .messages import last_lines

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_LOCKED = 75  # EX_TEMPFAIL of sysexits.h: worth another try later


class ReleaseError(Exception):
    """
    What went wrong, in one line for people. `detail` holds the last lines of a log or an output.
    """

    exit_status = EXIT_FAILED
    status = "failed"

    def __init__(self, message: str, detail: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.detail = list(detail)


class UsageError(ReleaseError):
    """The command was given something that it cannot work with."""

    exit_status = EXIT_USAGE


class NotYetError(ReleaseError):
    """Something does not answer, or not well, and may do so in a moment."""


class LockedError(ReleaseError):
    """Another run changes this site right now."""

    exit_status = EXIT_LOCKED
    status = "locked"


class ConfirmationNeededError(ReleaseError):
    """What was asked for would do harm that only a person can agree to. Nothing has been changed."""

    exit_status = EXIT_USAGE
    status = "confirmation-needed"


class Skipped(Exception):  # noqa: N818  (not an error)
    """Ends a step that has nothing to do; the message says why."""


def unexpected(error: Exception) -> ReleaseError:
    """An error that no step expected, as one line. Where it came from goes to the history."""
    if isinstance(error, OSError):
        return ReleaseError(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
    return ReleaseError(
        f"unexpected {type(error).__name__}: {error}",
        last_lines(*traceback.format_exception(error)),
    )
