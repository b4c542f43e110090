"""What may be said on the command line, by root and by the deploy account."""

from __future__ import annotations

import argparse
import functools
import ipaddress
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from .errors import UsageError
from .site import RETRY_AFTER_SECONDS

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
    words_class = functools.partial(Parser, allow_abbrev=False)
    commands = top.add_subparsers(dest="command", required=True, parser_class=words_class)

    def add(
        name: str,
        text: str,
        *,
        as_json: bool = True,
        by: bool = False,
        transaction: bool = False,
        among: Any = commands,
    ) -> argparse.ArgumentParser:
        command = among.add_parser(name, help=text, description=text)
        if by or transaction:
            command.add_argument("--by", type=person, metavar="WHO", help="who does this, for the history")
        if transaction:
            command.add_argument(
                "--wait",
                type=seconds,
                default=0,
                metavar="SECONDS",
                help="wait so long for another run to end",
            )
        if as_json:
            command.add_argument("--json", action="store_true", help="report one JSON object per line")
        return command

    command = add("deploy", "put a commit live", transaction=True)
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
        "--discard-hot-fix",
        action="store_true",
        help="deploy although the live release was changed on the server",
    )
    command.add_argument(
        "--allow-incompatible-migrations",
        action="store_true",
        help="migrate although the release that runs cannot live with the new schema",
    )
    command = add("rollback", "go back to a release that was live before", transaction=True)
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
        transaction=True,
    )
    command.add_argument("--if-changed", action="store_true", help="only if it runs with other settings")
    command = add("delete", "remove a release that is not needed", transaction=True)
    command.add_argument("release", type=token, metavar="RELEASE", help="id or commit")
    command = add("prune", "remove all releases but the newest, and those that are needed", transaction=True)
    command.add_argument("keep", type=positive, metavar="NUMBER", help="how many stay")
    command = add(
        "hand-over", "end the site here for good, because another host takes it over", transaction=True
    )
    command.add_argument("--to", required=True, type=person, metavar="ADDRESS", help="of that host")
    command.add_argument(
        "--tasks-wait",
        type=seconds,
        default=60,
        metavar="SECONDS",
        help="how long tasks that were sent may take; default: 60",
    )
    command.add_argument("--leave-tasks", action="store_true", help="lose the tasks that are left then")
    add("take-back", "bring back the site that was handed over", transaction=True)
    add("list", "show the releases on disk")
    add("status", "show what is live and whether it is well")
    add("report", "show what somebody should look at: certificate, backups, updates, disk")
    add("backup", "make a backup now, as every night", by=True)
    text = "close the site to visitors while it is worked on"
    command = add("maintenance", text, as_json=False)
    actions = command.add_subparsers(dest="action", required=True, parser_class=words_class)
    command = add("on", f"{text}; again: with another list and message", by=True, among=actions)
    command.add_argument(
        "--allow",
        action="append",
        default=[],
        type=network,
        metavar="ADDRESS|NETWORK",
        help="who sees the site all the same; may be repeated",
    )
    command.add_argument(
        "--retry-after",
        type=retry_seconds,
        default=RETRY_AFTER_SECONDS,
        metavar="SECONDS",
        help=f"when programs may ask again; default: {RETRY_AFTER_SECONDS}",
    )
    command.add_argument(
        "--message", type=sentence, default="", metavar="TEXT", help="what visitors are told"
    )
    add("off", "let everybody in", by=True, among=actions)
    add("status", "show whether the site is closed, and for whom", among=actions)
    add("start", "start what is to be live (at boot)", as_json=False)
    add("retire", "stop what is not live (some time after a deploy)", as_json=False)
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


def seconds(text: str) -> int:
    """A number of seconds, at most a day."""
    if not (text.isascii() and text.isdigit() and int(text) <= 24 * 60 * 60):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, at most 86400")
    return int(text)


def positive(text: str) -> int:
    """A number that is at least 1."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000")
    return int(text)


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


def network(text: str) -> str:
    """An address or a network as nginx reads it. One IPv4 address has one form, however it was written."""

    def refuse(reason: str) -> NoReturn:
        raise argparse.ArgumentTypeError(f"{text!r} {reason}")

    try:
        if "%" in text:
            raise ValueError("an address with a zone means something on one network only")
        given = ipaddress.ip_interface(text.strip())
        mapped = getattr(given.ip, "ipv4_mapped", None)
        if mapped and given.network.prefixlen >= 96:
            given = ipaddress.ip_interface(f"{mapped}/{given.network.prefixlen - 96}")
    except ValueError:
        refuse("is neither an address nor a network: write it as 203.0.113.7, 2001:db8::7 or 10.0.0.0/8")
    found = given.network
    if given.ip != found.network_address:
        refuse(f"names an address inside of a network: write {found}, or {given.ip} for that address alone")
    if found.prefixlen == 0:
        refuse("would let everybody in: that is maintenance off")
    return str(given.ip if found.prefixlen == found.max_prefixlen else found)


LONGEST_RETRY_SECONDS = 7 * 24 * 60 * 60


def retry_seconds(text: str) -> int:
    """A time that a visitor may be asked to wait."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= LONGEST_RETRY_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds from 1 to {LONGEST_RETRY_SECONDS}"
        )
    return int(text)


LONGEST_MESSAGE = 500


def sentence(text: str) -> str:
    """A text in one line."""
    if len(text) > LONGEST_MESSAGE or not text.isprintable():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a text of at most {LONGEST_MESSAGE} printable characters in one line"
        )
    return text.strip()


REMOTE_COMMANDS = ("deploy", "rollback", "list", "status", "report", "backup", "maintenance")


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
