"""What may be said on the command line, by root and by the deploy account."""

from __future__ import annotations

import argparse
import functools
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from .errors import UsageError

# In place of the name of a file.
STANDARD_INPUT = Path("-")
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Parser(argparse.ArgumentParser):
    """Reports wrong usage as every other error is reported."""

    def error(self, message: str) -> NoReturn:
        """Raises UsageError."""
        raise UsageError(f"{message} (see {self.prog} --help)")


def parser() -> Parser:
    """Describes the command line."""
    top = Parser(
        prog=Path(sys.argv[0]).name,
        description="Puts releases of one site live on this host, and takes them back.",
        epilog="Exit status: 0 done or unchanged, 1 failed, 2 wrong usage, 75 another run is busy.",
        allow_abbrev=False,
    )
    top.add_argument("--config", type=absolute, metavar="FILE", help="default: /etc/<site>/release.json")
    top.add_argument("--in-unit", help=argparse.SUPPRESS)
    commands = top.add_subparsers(
        dest="command", required=True, parser_class=functools.partial(Parser, allow_abbrev=False)
    )

    def add(name: str, text: str, *, as_json: bool = True, by: bool = False) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        if by:
            command.add_argument("--by", type=person, metavar="WHO", help="who does this, for the history")
        if as_json:
            command.add_argument("--json", action="store_true", help="report one JSON object per line")
        return command

    command = add("deploy", "put a commit live", by=True)
    command.add_argument(
        "--archive",
        required=True,
        type=Path,
        metavar="FILE",
        help="tar archive of the commit, - for stdin",
    )
    command.add_argument("--commit", required=True, type=commit, metavar="SHA")
    command.add_argument(
        "--provisioned",
        type=fingerprint,
        default="",
        metavar="FINGERPRINT",
        help="of the playbooks",
    )
    command.add_argument(
        "--allow-incompatible-migrations",
        action="store_true",
        help="migrate although the release that runs cannot live with the new schema",
    )
    command = add("rollback", "go back to a release that was live before", by=True)
    command.add_argument("release", nargs="?", type=token, metavar="RELEASE", help="id or commit")
    command.add_argument(
        "--with-db",
        action="store_true",
        help="with the data of then too; says what would be lost, unless --accept-loss is given",
    )
    command.add_argument(
        "--accept-loss", action="store_true", help="with --with-db: lose what has been written since"
    )
    command = add(
        "restart",
        "start the live release anew, without an outage, after its settings changed",
        by=True,
    )
    command.add_argument("--if-changed", action="store_true", help="only if it runs with other settings")
    add("list", "show the releases on disk")
    add("status", "show what is live and whether it is well")
    add("start", "start what is to be live (at boot)", as_json=False)
    command = add("manage", "run manage.py of the live release: manage -- ARGS", as_json=False)
    command.add_argument("words", nargs="*", metavar="ARGS")
    return top


def absolute(text: str) -> Path:
    """A path that means the same in every directory."""
    if not text.startswith("/"):
        raise argparse.ArgumentTypeError(f"{text!r} does not start with a slash")
    return Path(text)


def commit(text: str) -> str:
    """A full commit id."""
    if not COMMIT.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a full commit id (git rev-parse HEAD prints it)")
    return text


def token(text: str) -> str:
    """A word of letters, digits and hyphens."""
    if not re.fullmatch(r"[0-9A-Za-z-]{1,100}", text):
        raise argparse.ArgumentTypeError(f"{text!r} has other characters than letters, digits and hyphens")
    return text


def fingerprint(text: str) -> str:
    """A fingerprint of playbooks, or nothing."""
    return token(text) if text else ""


def person(text: str) -> str:
    """A name in one short line."""
    if not text.strip() or len(text) > 100 or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is not a name of at most 100 printable characters")
    return text.strip()


REMOTE_COMMANDS = ("deploy", "rollback", "list", "status")


def remote_words(words: Sequence[str]) -> list[str]:
    """
    The command that a client of the deploy account asked for, as a list of words.

    Raises UsageError for everything that is not a plain release command. What stands here is what
    the key of a continuous integration server can do on this host.
    """
    if len(words) != 1:
        raise UsageError("--ssh-command takes one argument and stands alone")
    try:
        asked = shlex.split(words[0])
    except ValueError as error:
        raise UsageError(f"cannot read the command {words[0]!r}: {error}") from None
    allowed = f"this account runs only: {', '.join(REMOTE_COMMANDS)}"
    if not asked:
        raise UsageError(f"there is no shell here; {allowed}")
    if asked[0] not in REMOTE_COMMANDS:
        raise UsageError(f"{asked[0]!r} is refused; {allowed}")
    return asked


def refuse_local_options(arguments: argparse.Namespace) -> None:
    """Raises UsageError for what only root may say: which files are read, and what data is lost."""
    if arguments.config or arguments.in_unit:
        raise UsageError("--config and --in-unit are refused here")
    if arguments.command == "deploy" and arguments.archive != STANDARD_INPUT:
        raise UsageError("--archive must be - here: send the archive on standard input")
    if arguments.command == "rollback" and (arguments.with_db or arguments.accept_loss):
        raise UsageError("--with-db and --accept-loss are refused here: only an administrator may lose data")
