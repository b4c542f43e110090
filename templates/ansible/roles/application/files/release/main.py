"""The whole program: from the command line to the exit status."""

from __future__ import annotations

import argparse
import getpass
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .command_line import STANDARD_INPUT, parser, refuse_local_options, remote_words
from .errors import EXIT_FAILED, EXIT_LOCKED, EXIT_USAGE, ReleaseError, UsageError, unexpected
from .messages import MIB
from .processes import BEHIND_VISITORS, unit_name, without_expansion
from .reporting import Reporter
from .site import SITE_NAME, Config, Site

# Commands that change nothing, or do not wait for a unit of their own.
AT_ONCE = ("list", "status", "report", "backup", "manage", "start", "retire")


def in_unit_of_its_own(
    site: Site, arguments: argparse.Namespace, words: Sequence[str], purpose: str = "release"
) -> int:
    """
    Runs what changes the site in a systemd unit, so that a connection that breaks cannot cut it in
    half. The unit gets this program's standard input and output as they are.
    """
    # What is said twice counts as it was said last.
    said_last = [f"--by={arguments.by or os.environ.get('SUDO_USER') or getpass.getuser()}"]
    if arguments.command == "deploy" and arguments.archive != STANDARD_INPUT:
        archive = arguments.archive.absolute()
        if not archive.is_file():
            raise UsageError(f"there is no archive {arguments.archive}")
        said_last.append(f"--archive={archive}")
    unit = unit_name(site, purpose)
    program = [
        sys.executable,
        "-IB",
        Path(sys.argv[0]).absolute(),
        f"--in-unit={unit}",
        *words,
        *said_last,
    ]
    how = ["--wait", "--pipe", "--collect", "--quiet", f"--unit={unit}", f"--property={BEHIND_VISITORS}"]
    try:
        status = subprocess.call(["systemd-run", *how, "--", *without_expansion(program)])
    except FileNotFoundError:
        raise ReleaseError("systemd-run is not installed: this host does not run systemd") from None
    if status not in (0, EXIT_FAILED, EXIT_USAGE, EXIT_LOCKED):
        raise ReleaseError(f"{unit} was killed: ask for the status, then do the same again")
    return status


def store_upload(site: Site) -> Path:
    """
    Reads the archive on standard input into a file, to its end: until then nothing has happened.
    Raises ReleaseError when there is no room for it.
    """
    from .archives import spool

    try:
        site.releases.mkdir(parents=True, exist_ok=True)
        return spool(sys.stdin.buffer, site.releases, site.config.archive_limit_mib * MIB)
    except OSError as error:
        raise ReleaseError(f"cannot store the archive in {site.releases}: {error.strerror}") from None


def site_of(arguments: argparse.Namespace, suffix: str) -> Site:
    """
    The site of the configuration file: as given, or that of the site whose name this program was
    started by.
    """
    path = arguments.config
    if not path:
        site = Path(sys.argv[0]).name.removesuffix(f"-{suffix}")
        if not SITE_NAME.fullmatch(site):
            raise UsageError(
                f"started as {Path(sys.argv[0]).name}, not as <site>-{suffix}: give --config FILE"
            )
        path = Path("/etc", site, "release.json")
    return Site.on_this_host(Config.read(path))


def require_root() -> None:
    """Raises ReleaseError for everybody else."""
    if os.geteuid() != 0:
        raise ReleaseError(f"{Path(sys.argv[0]).name} must be run as root: use sudo")


def execute(words: Sequence[str], reporter: Reporter) -> int:
    """Does what the command line asks for and returns the exit status."""
    remote = bool(words) and words[0] == "--ssh-command"
    if remote:
        words = remote_words(words[1:])
        reporter.as_json = "--json" in words
    arguments = parser().parse_args(words)
    if remote:
        refuse_local_options(arguments)
    require_root()
    site = site_of(arguments, "release")
    asks = arguments.command == "maintenance" and arguments.action == "status"
    if not (arguments.in_unit or asks or arguments.command in AT_ONCE):
        return in_unit_of_its_own(site, arguments, words)
    # Only now: what starts a unit needs none of it, and a deploy waits for that.
    from . import commands
    from .transaction import Request

    if arguments.command == "list":
        return commands.show_list(site, reporter)
    if arguments.command == "status":
        return commands.show_status(site, reporter)
    if arguments.command == "report":
        from .report import show_report

        return show_report(site, reporter)
    if arguments.command == "backup":
        by = arguments.by or os.environ.get("SUDO_USER") or getpass.getuser()
        return commands.back_up(site, by, reporter)
    if asks:
        return commands.show_maintenance(site, reporter)
    if arguments.command == "manage":
        return commands.manage(site, arguments.words)
    if arguments.command == "start":
        return commands.start(site)
    if arguments.command == "retire":
        return commands.retire(site)
    if arguments.command == "maintenance":
        return commands.maintain(site, arguments, reporter)
    request = Request.of(arguments)
    if request.archive == STANDARD_INPUT:
        # Whoever sends it need not wait for this unit, which has started meanwhile.
        request = request._replace(archive=store_upload(site))
    try:
        return commands.transact(site, request, reporter, arguments.in_unit)
    finally:
        if request.archive and request.archive.parent == site.releases:
            request.archive.unlink(missing_ok=True)


def main(words: Sequence[str]) -> int:
    """The whole program. Errors become one line and an exit status."""
    reporter = Reporter(sys.stdout, as_json="--json" in words)
    try:
        if Path(sys.argv[0]).name.endswith("-backup"):
            # The same program under another name: what it shares with this one is changed in one step.
            from .backups.main import execute as execute_backup

            return execute_backup(words, reporter)
        return execute(words, reporter)
    except ReleaseError as failure:
        error = failure
    except OSError as failure:
        error = unexpected(failure)
    except KeyboardInterrupt:
        error = ReleaseError("stopped; a transaction that had begun goes on: see status")
    if reporter.as_json:
        reporter.result(error.status, error.message)
    else:
        print(f"{Path(sys.argv[0]).name}: {error.message}", file=sys.stderr)
    return error.exit_status
