"""Runs programs: on their own, as units of systemd, and the project's own in a sandbox."""

from __future__ import annotations

import pkgutil
import re
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .errors import ReleaseError
from .messages import last_lines, readable
from .site import Site

# When the processors are busy, a release that is made gets a fifth of what the site gets.
BEHIND_VISITORS = "CPUWeight=20"
# The sandbox for commands of the project (manage.py) and for uv: that of the units, as far as it
# makes sense for a command that runs once.
SANDBOX = (
    "CapabilityBoundingSet=",
    "LockPersonality=yes",
    "NoNewPrivileges=yes",
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHome=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "ProtectSystem=strict",
    "RemoveIPC=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "UMask=0027",
)


def run(argv: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """
    Runs a program to its end, with its output captured. Its exit status is the caller's business.
    """
    try:
        return subprocess.run(
            [str(word) for word in argv],
            stdin=None if "input" in options else options.pop("stdin", subprocess.DEVNULL),
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=options.pop("stderr", subprocess.PIPE),
            text=True,
            errors="replace",
            check=False,
            **options,
        )
    except FileNotFoundError:
        raise ReleaseError(f"the program {argv[0]} is not installed: provision the host again") from None


def start(argv: Sequence[str | Path]) -> subprocess.Popen[str]:
    """Starts a program whose output is captured. Raises ReleaseError when it is not there."""
    try:
        return subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise ReleaseError(f"the program {argv[0]} is not installed: provision the host again") from None


def systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs systemctl."""
    return run(["systemctl", *words])


def unit_states(*units: str) -> list[str]:
    """The state of each unit: active, inactive, failed…"""
    states = systemctl("is-active", *units).stdout.split()
    return states if len(states) == len(units) else ["unknown"] * len(units)


def has_failed(unit: str) -> bool:
    """Whether a unit that is to start has died, even if systemd tries again."""
    shown = systemctl("show", "--property=ActiveState,NRestarts,SubState", unit).stdout
    state = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    failed = state.get("ActiveState") == "failed" or state.get("SubState") == "auto-restart"
    return failed or state.get("NRestarts", "0") != "0"


def unit_instances(site: Site) -> list[str]:
    """
    The web and worker units of this site that systemd runs, starts or stops, whatever their
    release.
    """
    listing = systemctl(
        "list-units",
        "--all",
        "--plain",
        "--no-legend",
        f"{site.name}-web@*",
        f"{site.name}-worker@*",
    ).stdout
    return [line.split()[0] for line in listing.splitlines() if line.split()]


def release_of(unit: str) -> str:
    """The release that a web or worker unit belongs to."""
    return unit.partition("@")[2].removesuffix(".service")


# What systemd itself writes into the journal of a unit, and what helps nobody to find a mistake.
SYSTEMD_SAYS = re.compile(
    r"^(Start(ed|ing)|Stopp(ed|ing)|Failed to start) "
    r"|: (Main process exited|Failed with result|Deactivated|Consumed|Scheduled restart"
    r"|Failed at step|State '.*' timed out|Killing process)"
)


def journal(unit: str, since: float) -> list[str]:
    """The last lines that a unit has written since a time, given in seconds since 1970."""
    # What was written last is on its way.
    run(["journalctl", "--sync"])
    # Not rounded: that would leave out what was written in the rest of the second.
    shown = run(["journalctl", "--unit", unit, "--since", f"@{int(since)}", "--output", "cat", "--no-pager"])
    said = [line for line in shown.stdout.splitlines() if not SYSTEMD_SAYS.search(line)]
    return last_lines("\n".join(readable(line) for line in said))


def stop_unit(unit: str) -> None:
    """Stops a unit and forgets that it failed."""
    systemctl("stop", unit)
    systemctl("reset-failed", unit)


def without_expansion(words: Sequence[str | Path]) -> list[str]:
    """systemd replaces $NAME in the arguments of a service. These are meant as they are."""
    return [str(word).replace("$", "$$") for word in words]


class Result(NamedTuple):
    """How a command has ended, and the last lines that it has written."""

    ok: bool
    lines: list[str]


# Makes a module of a text, so that a program which is a text too can import it.
MODULE = """\
import sys, types
sys.modules[{name!r}] = types.ModuleType({name!r})
exec({text!r}, sys.modules[{name!r}].__dict__)
"""


def script(name: str, *modules: str) -> str:
    """
    The text of a program in scripts/, for `python -c` of a release: started as a file, it would put
    its own directory where the project's Python looks for modules first. `modules` are others in
    scripts/ that it imports.
    """
    # The package is inside of a zip file on a server.
    texts = {each: pkgutil.get_data("release", f"scripts/{each}").decode() for each in (*modules, name)}
    program = texts.pop(name)
    imported = [MODULE.format(name=each.removesuffix(".py"), text=text) for each, text in texts.items()]
    return "".join([*imported, program])


def unit_name(site: Site, purpose: str) -> str:
    """A name that no other unit has: two of the same kind may run at once."""
    return f"{site.name}-{purpose}-{secrets.token_hex(4)}.service"


class Command(NamedTuple):
    """A command of the project: what to run, where, with which variables, and what it may write."""

    purpose: str
    argv: Sequence[str | Path]
    directory: Path
    variables: Mapping[str, str] = {}
    writable: Sequence[Path] = ()
    # with the site's settings and secrets
    settings: bool = True
    # what it may take at most, or 0
    seconds: int = 0

    def under_systemd(
        self, site: Site, unit: str, parent: str | None, *, terminal: bool = False
    ) -> list[str]:
        """
        The argument list that runs this in a sandbox, a unit of its own, as the site's user.

        With `parent`, the unit of a release command, it ends when that does.
        """
        options = [
            f"--unit={unit}",
            f"--description={self.purpose} of {site.name}",
            "--wait",
            "--pty" if terminal else "--pipe",
            "--collect",
            "--quiet",
            f"--uid={site.name}",
            f"--gid={site.name}",
            f"--property={BEHIND_VISITORS}",
            f"--working-directory={self.directory}",
            *(f"--property={setting}" for setting in SANDBOX),
            *(f"--property=ReadWritePaths={path}" for path in self.writable),
            *(f"--setenv={name}={value}" for name, value in self.variables.items()),
        ]
        if self.settings:
            options.append(f"--property=EnvironmentFile={site.environment}")
        else:
            # A package that is being built is not to talk to the database in the site's name.
            options.append("--property=InaccessiblePaths=-/run/postgresql")
        if self.seconds:
            options.append(f"--property=RuntimeMaxSec={self.seconds}")
        if parent:
            options += [f"--property=BindsTo={parent}", f"--property=After={parent}"]
        return ["systemd-run", *options, "--", *without_expansion(self.argv)]
