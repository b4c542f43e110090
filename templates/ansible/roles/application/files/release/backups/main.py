"""The backup command, from its command line to the exit status."""

from __future__ import annotations

from collections.abc import Sequence

from ..main import in_unit_of_its_own, require_root, site_of
from ..reporting import Reporter
from .command_line import parser

# So that a connection that breaks cannot cut them in half. systemd's own units are ones already.
IN_UNIT = ("run", "drill", "restore")


def execute(words: Sequence[str], reporter: Reporter) -> int:
    """Does what the command line asks for and returns the exit status."""
    arguments = parser().parse_args(words)
    require_root()
    site = site_of(arguments, "backup")
    if arguments.command in IN_UNIT and not arguments.in_unit:
        return in_unit_of_its_own(site, arguments, words, "backup")
    from . import commands

    return commands.execute(site, arguments, reporter)
