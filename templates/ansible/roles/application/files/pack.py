"""
Packs the modules of the release command into one program. `pack.py` prints it in base64, for Ansible.

One file, because it replaces the one before it in one step: whoever starts the command while the
host is provisioned gets the old or the new one, never some modules of each. The same modules make
the same bytes, so Ansible can tell whether anything has changed.
"""

import base64
import io
import zipfile
from pathlib import Path

START = """\
import sys

from release.main import main

sys.exit(main(sys.argv[1:]))
"""


def program() -> bytes:
    """The program. Nothing in it is compressed, so a pager shows its source."""
    here = Path(__file__).resolve().parent
    modules = {
        path.relative_to(here).as_posix(): path.read_bytes()
        for path in sorted(here.joinpath("release").rglob("*.py"))
    }
    file = io.BytesIO()
    file.write(b"#!/usr/bin/python3 -IB\n")
    with zipfile.ZipFile(file, "w") as archive:
        for name, contents in {"__main__.py": START.encode(), **modules}.items():
            # Without a date: that of a file differs between two clones of a repository.
            archive.writestr(zipfile.ZipInfo(name), contents)
    return file.getvalue()


def pack(target: Path) -> None:
    """Writes the program to a file."""
    target.write_bytes(program())


if __name__ == "__main__":
    print(base64.b64encode(program()).decode())
