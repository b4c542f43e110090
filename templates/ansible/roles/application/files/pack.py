"""
Packs the modules of the release command into one program: `pack.py TARGET`.

One file, because it replaces the one before it in one step: whoever starts the command while the
host is provisioned gets the old or the new one, never some modules of each. And because Ansible
needs a third of a second for every file that it looks after. The same modules make the same bytes,
so Ansible can tell whether anything has changed.
"""

import sys
import zipfile
from pathlib import Path

START = """\
import sys

from release.main import main

sys.exit(main(sys.argv[1:]))
"""


def pack(target: Path) -> None:
    """Writes the program. Nothing in it is compressed, so a pager shows its source."""
    here = Path(__file__).resolve().parent
    modules = {
        path.relative_to(here).as_posix(): path.read_bytes()
        for path in sorted(here.joinpath("release").rglob("*.py"))
    }
    with target.open("wb") as file:
        file.write(b"#!/usr/bin/python3 -IB\n")
        with zipfile.ZipFile(file, "w") as archive:
            for name, contents in {"__main__.py": START.encode(), **modules}.items():
                # Without a date: that of a file differs between two clones of a repository.
                archive.writestr(zipfile.ZipInfo(name), contents)


if __name__ == "__main__":
    pack(Path(sys.argv[1]))
