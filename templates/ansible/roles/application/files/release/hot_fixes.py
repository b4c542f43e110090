"""Finds what somebody has changed in a release on the server: a deploy would silently undo it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from .files import open_new, regular_files
from .releases import FILES, OWN_NAMES, Release
from .site import Accounts


def record_files(directory: Path, accounts: Accounts) -> None:
    """Notes what the files of a release hold when it is unpacked."""
    text = json.dumps(contents(directory), sort_keys=True)
    with open_new(directory / FILES, 0o640) as file:
        file.write(text.encode())
    os.chown(directory / FILES, accounts.root_user, accounts.root_group)


def contents(directory: Path) -> dict[str, str]:
    """A hash of each file of the commit, by its path."""
    found = {}
    for path in regular_files(directory):
        if path.parts[0] not in OWN_NAMES and "__pycache__" not in path.parts:
            found[path.as_posix()] = hashlib.sha256((directory / path).read_bytes()).hexdigest()
    return found


def hot_fixes(release: Release) -> list[str]:
    """
    The files that are not as they were when the release was unpacked: `views.py (changed)`.

    None for a release that was made before these notes were kept.
    """
    try:
        noted = json.loads((release.path / FILES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    found = contents(release.path)
    changed = [(path, "changed") for path in noted if path in found and found[path] != noted[path]]
    removed = [(path, "removed") for path in noted if path not in found]
    added = [(path, "added") for path in found if path not in noted]
    return [f"{path} ({what})" for path, what in sorted([*changed, *removed, *added])]
