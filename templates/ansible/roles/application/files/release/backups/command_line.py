"""What may be said on the command line of the backup command."""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

from ..command_line import Parser, absolute, person, seconds, token
from .catalogue import IDENTIFIER
from .settings import FIRST, SECOND


def parser() -> Parser:
    """Describes the command line."""
    top = Parser(
        prog=Path(sys.argv[0]).name,
        description="Backs up one site, restores it, and tries whether that works.",
        epilog="Exit status: 0 done, 1 failed, 2 wrong usage or not confirmed, 75 another run is busy.",
        allow_abbrev=False,
    )
    top.add_argument("--config", type=absolute, metavar="FILE", help="default: /etc/<site>/release.json")
    top.add_argument("--in-unit", help=argparse.SUPPRESS)
    words_class = functools.partial(Parser, allow_abbrev=False)
    commands = top.add_subparsers(dest="command", required=True, parser_class=words_class)

    def add(name: str, text: str, *, works: bool = True, places: bool = True) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        if works:
            command.add_argument("--by", type=person, metavar="WHO", help="who does this, for the history")
            command.add_argument(
                "--wait",
                type=seconds,
                default=0,
                metavar="SECONDS",
                help="wait so long for another run to end",
            )
        if places:
            command.add_argument("--place", choices=(FIRST, SECOND), default="", help="default: both")
        command.add_argument("--json", action="store_true", help="report one JSON object per line")
        return command

    add("run", "make a backup, and take it to the second place")
    add("drill", "restore the newest backup where it disturbs nobody, and compare")
    command = add("restore", "put a backup in the place of what is live; says first what would be lost")
    command.add_argument("backup", nargs="?", type=identifier, metavar="BACKUP", help="default: the newest")
    command.add_argument("--accept-loss", action="store_true", help="lose what has been written since")
    add("list", "show the backups in all places", works=False, places=False)
    add("prepare", "open the repositories, and make those that are missing", works=False)
    text = "let the password on standard input open the repositories, too"
    add("add-password", text, places=False)
    text = "let no password but the one of now open the repositories"
    add("remove-other-passwords", text, places=False)
    command = add(
        "report-failure", "write to the administrator that a unit failed", works=False, places=False
    )
    command.add_argument(
        "run", type=token, metavar="RUN", help="run-first, run-second, drill-first or drill-second"
    )
    return top


def identifier(text: str) -> str:
    """The id of a backup."""
    if not IDENTIFIER.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not like 20260131T031500Z, the id of a backup")
    return text
