"""Keeps secrets out of messages and of the history."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Any

# The line of an environment file after which every value is a secret, whatever its name.
OWN_SECRETS = "# Secrets of the project's own."


def secret_values(environment: str) -> list[str]:
    """The values in an environment file that no message may show, the longest first."""
    found = set()
    others, _, own = environment.partition(f"\n{OWN_SECRETS}")
    for name, value in assignments(others):
        if re.search(r"SECRET|PASSWORD|TOKEN|KEY", name):
            found.update([value, *value.split(",")])
        if password := re.match(r"[\w+.-]+://[^/@:]*:([^/@]*)@", value):
            found.update([password[1], urllib.parse.unquote(password[1])])
    for _, value in assignments(own):
        # A message may show one line of several.
        found.update([value, *value.splitlines()])
    return sorted((value for value in found if len(value) >= 6), key=len, reverse=True)


def assignments(environment: str) -> Iterator[tuple[str, str]]:
    """The names and values in an environment file, whose syntax is systemd's."""
    for name, quoted, bare in re.findall(
        r'^([A-Za-z_]\w*)=(?:"((?:[^"\\]|\\.)*)"|(.*))$', environment, re.MULTILINE | re.DOTALL
    ):
        yield name, re.sub(r'\\(["\\$`])', r"\1", quoted) if quoted else "".join(bare.splitlines()[:1])


def hide(value: Any, secret_texts: Iterable[str]) -> Any:
    """A text, or a structure of them, without the secrets in it."""
    if isinstance(value, str):
        for secret in secret_texts:
            value = value.replace(secret, "[hidden]")
    elif isinstance(value, list):
        return [hide(item, secret_texts) for item in value]
    elif isinstance(value, dict):
        return {name: hide(item, secret_texts) for name, item in value.items()}
    return value
