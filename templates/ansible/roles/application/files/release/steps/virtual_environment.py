"""The Python packages of a release: a virtual environment that uv builds."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import ReleaseError
from ..files import begin_flush, give_to, remove_tree, require_room
from ..messages import MIB
from ..processes import Command
from ..releases import Release
from ..transaction import Transaction

BUILD_SECONDS = 30 * 60

# Raise this when virtual environments are to be built in another way than before.
VIRTUAL_ENVIRONMENT_FORMAT = 1
COMPLETE = ".complete"


def environment_key(release: Release) -> str:
    """The name of the virtual environment that a release needs: what goes into one, hashed."""
    digest = hashlib.sha256((release.path / "uv.lock").read_bytes())
    # The lock file does not say which of its packages are only for development.
    digest.update((release.path / "pyproject.toml").read_bytes())
    digest.update(
        f"{VIRTUAL_ENVIRONMENT_FORMAT} {sys.implementation.cache_tag} {platform.machine()}".encode()
    )
    return digest.hexdigest()[:32]


def build_environment(transaction: Transaction) -> str:
    """
    Gives the release its virtual environment: an existing one with the same packages, or a new one.
    """
    site, release = transaction.site, transaction.release
    directory = site.virtual_environments / environment_key(release)
    link = release.path / ".venv"
    link.symlink_to(f"../../{directory.relative_to(site.home)}")
    if (directory / COMPLETE).is_file():
        return f"reused {directory.name[:12]}"
    require_room(site.virtual_environments, 512 * MIB, 30_000)
    remove_tree(directory)
    transaction.take_back(remove_unfinished, directory)
    install_packages(transaction, directory)
    # Written by the site's user, who is to own nothing that the site executes.
    give_to(directory, site.accounts.root_user, site.accounts.site_group)
    if not (directory / "bin/gunicorn").exists():
        raise ReleaseError("the project does not depend on gunicorn: run `uv add gunicorn` and commit")
    begin_flush(directory).wait()
    (directory / COMPLETE).touch()
    return f"built {directory.name[:12]}"


def remove_unfinished(directory: Path) -> None:
    """Removes a virtual environment that was not built to its end."""
    if not (directory / COMPLETE).is_file():
        remove_tree(directory)


def install_packages(transaction: Transaction, directory: Path) -> None:
    """
    Lets uv make a virtual environment from the lock file.

    It runs as the site's user, without the site's secrets: a package that is built from source runs
    code of its own. That user may run this code later anyway, root must not.
    """
    site, release = transaction.site, transaction.release
    uv_cache = site.cache / "uv"
    for path in (directory, uv_cache):
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, site.accounts.site_user, site.accounts.site_group)
    variables = {
        "HOME": str(uv_cache),
        "UV_CACHE_DIR": str(uv_cache),
        "UV_COMPILE_BYTECODE": "1",
        # A hard link would make the cache and the environment one file with one owner.
        "UV_LINK_MODE": "copy",
        "UV_NO_PROGRESS": "1",
        "UV_PROJECT_ENVIRONMENT": str(directory),
        "UV_PYTHON": str(site.python),
        "UV_PYTHON_DOWNLOADS": "never",
        # The host's own authorities, as every other program uses them: an administrator may have
        # added that of a proxy.
        "UV_SYSTEM_CERTS": "1",
        "VIRTUAL_ENV": str(directory),
    }
    if site.config.certificate_authority_bundle:
        variables["SSL_CERT_FILE"] = site.config.certificate_authority_bundle
    groups = ("--frozen", "--no-dev", "--no-default-groups")
    if site.config.python_package_index_url:
        # The lock file names the addresses of another index. Its versions and hashes hold for any.
        requirements = uv_cache / "requirements.txt"
        variables["UV_DEFAULT_INDEX"] = site.config.python_package_index_url
        commands = [
            [site.uv, "venv", "--allow-existing", directory],
            [
                site.uv,
                "export",
                *groups,
                "--no-emit-project",
                "--output-file",
                requirements,
                "--quiet",
            ],
            [site.uv, "pip", "sync", "--require-hashes", requirements],
        ]
    else:
        commands = [[site.uv, "sync", *groups, "--no-install-project"]]
    for argv in commands:
        done = transaction.command(
            Command(
                "packages",
                argv,
                release.path,
                variables,
                writable=(directory, uv_cache),
                settings=False,
                seconds=BUILD_SECONDS,
            )
        )
        if not done.ok:
            raise ReleaseError(
                f"uv could not install the packages of uv.lock: {uv_cause(done.lines)}", done.lines
            )


def uv_cause(lines: Sequence[str]) -> str:
    """The innermost cause that uv names."""
    marked = [line.strip() for line in lines if re.match(r"\s*(error:|Caused by:|\u00d7|├─▶|╰─▶)", line)]
    return (marked or list(lines) or ["it said nothing"])[-1].strip()
