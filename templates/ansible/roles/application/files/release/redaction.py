"""Keeps secrets out of messages and of the history."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable
from typing import Any


def secret_values(environment: str) -> list[str]:
    """The values in an environment file that no message may show, the longest first."""
    found = set()
    for name, quoted, bare in re.findall(
        r'^([A-Za-z_]\w*)=(?:"((?:[^"\\]|\\.)*)"|(.*))$', environment, re.MULTILINE | re.DOTALL
    ):
        value = re.sub(r'\\(["\\$`])', r"\1", quoted) if quoted else bare.splitlines()[0] if bare else ""
        if re.search(r"SECRET|PASSWORD|TOKEN|KEY", name):
            found.update([value, *value.split(",")])
        if password := re.match(r"[\w+.-]+://[^/@:]*:([^/@]*)@", value):
            found.update([password[1], urllib.parse.unquote(password[1])])
    return sorted((value for value in found if len(value) >= 6), key=len, reverse=True)


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
