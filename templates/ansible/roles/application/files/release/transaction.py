"""A run that changes which release is live: what it was asked, its steps, and what it takes back."""

from __future__ import annotations

import argparse
import contextlib
import math
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .archives import Archive
from .errors import ReleaseError, Skipped, unexpected
from .messages import last_lines
from .processes import Command, Result, journal, start, systemctl, unit_name
from .releases import Release
from .reporting import Reporter
from .site import Site


class Request(NamedTuple):
    """What a run was asked to do. Its fields have the names of the options that were given."""

    command: str
    by: str
    commit: str = ""
    archive: Path | None = None
    # the release to go back to, or "" for the one before
    release: str = ""
    # the fingerprint of the playbooks that the controller would provision with, or ""
    provisioned: str = ""
    # do nothing if the processes already run with the settings of today
    if_changed: bool = False
    # seconds to wait for another run
    wait: int = 0
    # deploy although somebody has changed the live release on the server
    discard_hot_fix: bool = False
    # how many releases `prune` leaves
    keep: int = 0
    # migrate although the release that runs cannot live with it
    allow_incompatible_migrations: bool = False
    # go back with the data too, and lose what has been written since
    with_db: bool = False
    accept_loss: bool = False
    # the backup to restore, or "" for the newest
    backup: str = ""
    # where backups are kept: "first", "second", or "" for both
    place: str = ""
    # the host that takes the site over
    to: str = ""
    # seconds to wait for tasks that were sent, and whether those that are left are lost
    tasks_wait: int = 0
    leave_tasks: bool = False

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Request:
        """The request that a command line makes."""
        given = {name: value for name, value in vars(arguments).items() if value is not None}
        return cls(**{name: value for name, value in given.items() if name in cls._fields})


class Outcome(NamedTuple):
    """How a command has ended."""

    status: str
    message: str
    release: str | None = None
    previous: str | None = None


class Transaction:
    """
    One run that changes which release is live.

    Its steps are functions that take it as their argument. What a step has to take back when a
    later one fails, it pushes on `undo`; settling empties that.
    """

    def __init__(self, site: Site, request: Request, reporter: Reporter, parent: str | None = None) -> None:
        self.site = site
        self.request = request
        self.reporter = reporter
        self.parent = parent
        self.undo = contextlib.ExitStack()
        self.previous = site.live()
        self.steps: list[dict[str, Any]] = []
        self.archive: Archive | None = None
        self.pending: list[str] = []
        # of the pending ones, those that can be left half done
        self.not_atomic: list[str] = []
        # what the release that runs could not live with: see scripts/release_compatibility.py
        self.judgement: dict[str, list[dict[str, str]]] = {}
        self.dump: Path | None = None
        # writes the release to the disk
        self.flush: subprocess.Popen[bytes] | None = None
        self.started_at = time.monotonic()
        # what steps/restoring.py has under way
        self.restoring: Any = None
        self.closed_at = 0.0
        self.switched_at = 0.0
        self.live_at = 0.0
        # or it was warm
        self.started_web = False
        # when the unit of its worker was started, and whether it need not wait any more
        self.worker_since = 0.0
        self.worker_begun = False
        # waits for the answer of the worker
        self.ping: Running | None = None
        self.beat_restarted = False
        self._release: Release | None = None

    @property
    def release(self) -> Release:
        """The release that is to be live."""
        if self._release is None:
            raise ReleaseError("no release has been chosen yet")
        return self._release

    @release.setter
    def release(self, release: Release) -> None:
        self._release = release

    def take_back(self, action: Callable[..., object], *arguments: Any) -> None:
        """Registers what to do if a later step fails. It must never hide why that failed."""

        def safely() -> None:
            try:
                action(*arguments)
            except (OSError, ReleaseError) as error:
                self.reporter.warning("undo", f"could not take back a step: {error}")

        self.undo.callback(safely)

    def perform(self, steps: Sequence[Step]) -> None:
        """
        Does steps in order. After a ReleaseError everything is as it was before, and the
        ReleaseError goes on.
        """
        with self.undo:
            for step in steps:
                self.perform_step(step)

    def perform_step(self, step: Step) -> None:
        """Does one step, times it and reports it."""
        started = time.monotonic()
        status, message, failure = "ok", "", None
        try:
            message = step.run(self) or ""
        except Skipped as reason:
            status, message = "skipped", str(reason)
        except ReleaseError as error:
            failure = error
        except Exception as error:
            failure = unexpected(error)
        if failure:
            status, message = "failed", failure.message
        seconds = time.monotonic() - started
        self.steps.append({"name": step.name, "status": status, "seconds": round(seconds, 3)})
        self.reporter.step(step.name, status, seconds, message, failure.detail if failure else ())
        if failure and step.required:
            raise failure

    def command(self, command: Command) -> Result:
        """Runs a command of the project as the site's user and waits for it."""
        return self.begin(command).wait()

    def begin(self, command: Command) -> Running:
        """Starts a command of the project as the site's user."""
        return Running(command, self.site, self.parent)


class Running:
    """A command of the project that runs."""

    def __init__(self, command: Command, site: Site, parent: str | None) -> None:
        self.unit = unit_name(site, command.purpose)
        self.since = time.time()
        self.process = start(command.under_systemd(site, self.unit, parent))

    def wait(self, seconds: float = math.inf, give_up: Callable[[], bool] = lambda: False) -> Result:
        """
        Waits for its end. Stops it when it has not ended after so many seconds, or when there is
        nothing to wait for any more.
        """
        deadline = time.monotonic() + seconds
        try:
            while self.is_busy():
                if time.monotonic() >= deadline or give_up():
                    self.kill()
            output, complaints = self.process.communicate()
        except BaseException:
            self.stop()
            raise
        status = self.process.returncode
        # Only systemd-run was killed then, and what it waited for may still be writing.
        if status < 0:
            systemctl("stop", self.unit)
        # A command that could not even start has said nothing itself, but systemd knows why.
        lines = last_lines(output, complaints)
        if status and not lines:
            lines = journal(self.unit, self.since)
        return Result(status == 0, lines)

    def is_busy(self) -> bool:
        """Looks for half a second whether it ends. Its output is read meanwhile, or it could not."""
        try:
            self.process.communicate(timeout=0.5)
        except subprocess.TimeoutExpired:
            return True
        return False

    def stop(self) -> None:
        """Ends it, whatever it does, unless it has ended and was waited for."""
        if self.process.returncode is None:
            self.kill()
            self.process.communicate()

    def kill(self) -> None:
        """Ends it, and does not wait."""
        systemctl("stop", self.unit)
        self.process.kill()


class Step(NamedTuple):
    """
    A part of a transaction: its name in reports and what it does. It returns what it has to say.
    """

    name: str
    run: Callable[[Transaction], str | None]
    # a failure of one that is not required is reported, and the rest goes on
    required: bool = True
