"""Lets another password open the repositories, and takes back all but the one of now."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

from ..errors import ReleaseError
from ..messages import counted
from .repository import Repository


def read_password() -> str:
    """The line on standard input: a command line could be seen by others."""
    password = sys.stdin.readline().rstrip("\n")
    if not password:
        raise ReleaseError("no password came on standard input")
    return password


def add_password(repositories: Iterable[Repository], password: str) -> int:
    """Lets a further password open repositories, and returns how many it did not open before."""
    added = 0
    for repository in repositories:
        if opens(repository, password):
            continue
        words = ["key", "add", "--new-password-file", "/dev/stdin"]
        repository.ask("takes no further password", *words, input=password)
        added += 1
    return added


def remove_other_passwords(repositories: Iterable[Repository]) -> str:
    """Lets nothing but the password of now open repositories, and says what it has removed."""
    removed = 0
    for repository in repositories:
        keys = json.loads(repository.ask("cannot be read", "--no-lock", "key", "list", "--json"))
        for key in keys:
            if not key["current"]:
                repository.ask("does not give up an old password", "key", "remove", key["id"])
                removed += 1
    return f"{counted(removed, 'old password')} removed" if removed else "no other password opens them"


def opens(repository: Repository, password: str) -> bool:
    """Whether a password opens a repository. Raises ReleaseError when there is none, or nobody can tell."""
    done = repository.run("--no-lock", "cat", "config", env={"RESTIC_PASSWORD": password})
    if done.returncode and "wrong password" not in (done.stderr or ""):
        raise repository.failure("cannot be opened", done)
    return done.returncode == 0
