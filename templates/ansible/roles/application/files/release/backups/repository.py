"""Keeps backups in a repository of restic's: encrypted, and each piece of a file stored once."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ReleaseError
from ..files import open_new
from ..messages import last_lines
from ..processes import run

# What restic ends with when it has made a snapshot, but could not read every file.
EXIT_INCOMPLETE = 3
NOT_THERE = "Is there a repository at the following location|unable to open config file: .* does not exist"


class UnreadableError(ReleaseError):
    """A snapshot was made, but some files are not in it."""


class NotThereError(ReleaseError):
    """There is no repository."""


class Repository:
    """One repository. `name` is what it is called in messages."""

    def __init__(self, name: str, location: str, environment: Mapping[str, str]) -> None:
        self.name = name
        self.location = location
        self.environment = dict(environment)

    @property
    def path(self) -> Path | None:
        """Its directory, unless it is in a store."""
        return Path(self.location) if self.location.startswith("/") else None

    def run(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs restic to its end."""
        environment = {**self.environment, **options.pop("env", {})}
        return run(["restic", "--repo", self.location, *words], env=environment, **options)

    def ask(self, what: str, *words: str, **options: Any) -> str:
        """Runs restic and returns what it prints. Raises ReleaseError when it fails; `what` says at what."""
        done = self.run(*words, **options)
        if done.returncode:
            raise self.failure(what, done)
        return done.stdout or ""

    def failure(self, what: str, done: subprocess.CompletedProcess[str]) -> ReleaseError:
        """What a failed run of restic means."""
        lines = last_lines(done.stdout if not done.stderr else "", done.stderr)
        kind = UnreadableError if done.returncode == EXIT_INCOMPLETE else ReleaseError
        if re.search(NOT_THERE, done.stderr or ""):
            kind = NotThereError
        return kind(f"{self.name} ({self.location}): {what}: {complaint(lines)}", lines)

    def exists(self) -> bool:
        """Whether there is one. Raises ReleaseError when nobody can tell."""
        return self.is_there(self.run("--no-lock", "cat", "config"))

    def is_there(self, done: subprocess.CompletedProcess[str]) -> bool:
        """Whether a command has found a repository. Raises ReleaseError when it failed otherwise."""
        if done.returncode == 0:
            return True
        failure = self.failure("cannot be opened", done)
        if isinstance(failure, NotThereError):
            return False
        raise failure

    def create(self, like: Repository | None = None) -> None:
        """Makes an empty one, which cuts files into pieces like another: the same piece is stored once."""
        if self.path:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.remove_unfinished(self.path)
        words, variables = like.as_source() if like else ([], {})
        chunks = ["--copy-chunker-params"] if like else []
        self.ask("cannot be made", "init", *words, *chunks, env=variables)

    def remove_unfinished(self, directory: Path) -> None:
        """
        Removes what restic leaves when it is killed while it makes a repository: keys, and no file `config`.

        Raises ReleaseError when there is more than that: somebody has lost the file.
        """
        files = [path for path in directory.rglob("*") if path.is_file()]
        if any(path.parent != directory / "keys" for path in files):
            raise ReleaseError(
                f"{self.name}: {directory} is not empty, and its file config is missing, without which no "
                "backup in it can be read. Put that file back, or move the directory away to begin anew"
            )
        for path in files:
            path.unlink()

    def as_source(self) -> tuple[list[str], dict[str, str]]:
        """The options and variables for a command that reads from this one and writes to another."""
        password = {"RESTIC_FROM_PASSWORD": self.environment["RESTIC_PASSWORD"]}
        return ["--from-repo", self.location], password

    def unlock(self) -> bool:
        """Removes the locks of runs that were killed, and only those. False: there is no repository."""
        return self.is_there(self.run("unlock"))

    def snapshots(self) -> list[dict[str, Any]]:
        """All snapshots, as restic describes them. Without a lock: a host that is gone may have left one."""
        return json.loads(self.ask("cannot be read", "--no-lock", "snapshots", "--json")) or []

    def add(self, host: str, moment: str, tags: Iterable[str], paths: Sequence[Path]) -> str:
        """
        Stores files and directories as a snapshot and returns its id.

        Raises UnreadableError when the snapshot lacks some of them.
        """
        words = ["--host", host, "--time", moment, *(f"--tag={tag}" for tag in tags)]
        said = self.ask("cannot store the backup", "backup", "--json", *words, *map(str, paths))
        summaries = [json.loads(line) for line in said.splitlines() if '"summary"' in line]
        return str(summaries[-1]["snapshot_id"])

    def tag(self, snapshot: str, *, remove: str, add: str) -> None:
        """Exchanges a tag of a snapshot. The snapshot gets a new id."""
        self.ask("cannot mark the backup", "tag", "--remove", remove, "--add", add, snapshot)

    def forget(self, snapshots: Iterable[str]) -> None:
        """Removes snapshots. What only they held is still there, until the next rotation."""
        if names := list(snapshots):
            self.ask("cannot remove what is not needed", "forget", *names)

    def rotate(self, tag: str, keep: Mapping[str, int]) -> tuple[list[dict[str, Any]], int]:
        """
        Removes the snapshots with a tag that no rule keeps, and what only they held. Returns those
        that stay, and how many went.
        """
        rules = [f"--keep-{period}={number}" for period, number in keep.items() if number]
        words = ["forget", "--json", "--tag", tag, "--group-by", "", *rules, "--prune"]
        said = self.ask("cannot remove what is not needed", *words)
        # What it says of the removal follows in other lines.
        groups = [json.loads(line) for line in said.splitlines() if line.startswith("[{")][:1]
        kept = [snapshot for group in groups[0] for snapshot in group["keep"] or []] if groups else []
        return kept, sum(len(group["remove"] or []) for group in groups[0]) if groups else 0

    def copy(self, source: Repository, snapshots: Sequence[str]) -> None:
        """Adds snapshots of another repository. Those that are here are left out."""
        words, variables = source.as_source()
        self.ask("cannot take the copy", "copy", *words, *snapshots, env=variables)

    def read_file(self, snapshot: str, path: Path) -> str:
        """A small text file of a snapshot. Raises ReleaseError when it is damaged."""
        return self.ask(f"cannot give {path}", "--no-lock", "dump", snapshot, str(path))

    def write_file(self, snapshot: str, path: Path, target: Path) -> None:
        """Writes a file of a snapshot to a new one. Raises ReleaseError when it is damaged."""
        with open_new(target, 0o600) as file:
            self.ask(f"cannot give {path}", "--no-lock", "dump", snapshot, str(path), stdout=file)
            os.fsync(file.fileno())

    def files(self, snapshot: str, directory: Path) -> list[dict[str, Any]]:
        """What is below a directory of a snapshot, as restic describes it."""
        words = ["--no-lock", "ls", "--json", "--recursive", snapshot, str(directory)]
        lines = self.ask("cannot be read", *words).splitlines()
        nodes = [json.loads(line) for line in lines if '"path"' in line]
        return [node for node in nodes if Path(node["path"]) != directory and node.get("path")]

    def restore(self, snapshot: str, paths: Iterable[Path], target: Path) -> None:
        """Writes files and directories of a snapshot below a directory, under their whole paths."""
        # They are patterns.
        wanted = [re.sub(r"([\\*?\[])", r"\\\1", str(path)) for path in paths]
        words = [word for path in wanted for word in ("--include", path)]
        self.ask("cannot give uploads", "--no-lock", "restore", snapshot, *words, "--target", str(target))

    def size(self) -> int:
        """Bytes that it takes."""
        said = json.loads(self.ask("cannot be read", "--no-lock", "stats", "--mode", "raw-data", "--json"))
        return int(said["total_size"])

    def check(self, subset: str) -> None:
        """
        Compares what is stored with its checksums: all of it, or the part that `subset` names. Raises
        ReleaseError with the first damage.
        """
        words = ["--read-data-subset", subset] if subset else ["--read-data"]
        self.ask("is damaged", "check", *words)


def complaint(lines: Sequence[str]) -> str:
    """The line of restic's output that says what went wrong."""
    told = [message for line in lines if (message := error_in(line))]
    fatal = [line.removeprefix("Fatal: ") for line in lines if line.startswith("Fatal: ")]
    # At the end it only says that something was found.
    vague = ("repository contains errors", "There were", "at least one source file")
    damage = [line for line in lines if re.search(r"\b(error|pack|blob|invalid|hash)\b", line)]
    for line in [*(line for line in fatal if not line.startswith(vague)), *told, *damage, *fatal, *lines]:
        return re.sub(r"^error: ", "", line).strip()
    return "it said nothing"


def error_in(line: str) -> str:
    """What an error in JSON says, or ""."""
    if '"message_type":"error"' not in line:
        return ""
    try:
        entry = json.loads(line)
        return f"{entry['error'].get('message') or entry['error']}: {entry.get('item', '')}"
    except (ValueError, KeyError, AttributeError):
        return line
