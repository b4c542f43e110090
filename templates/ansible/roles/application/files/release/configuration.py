"""Reads the settings that provisioning has written."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from .errors import ReleaseError

REMEDY = "provision the host again"


def read_settings(kind: type, path: Path, *, may_be_zero: Collection[str] = ()) -> dict[str, Any]:
    """
    Reads a JSON file with the fields of a dataclass, as its arguments. Numbers are at least 1, unless
    they may be zero.

    Raises ReleaseError with what is wrong and what to do.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReleaseError(f"cannot read {path}: {error.strerror}: {REMEDY}") from None
    except ValueError as error:
        raise ReleaseError(f"{path} is not valid JSON ({error}): {REMEDY}") from None
    if not isinstance(values, dict):
        raise ReleaseError(f"{path} does not hold a JSON object: {REMEDY}")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name, value in values.items():
        if name not in fields:
            raise ReleaseError(f"{path}: unknown setting {name!r}: {REMEDY}")
        expected = fields[name].type
        if type(value).__name__ != expected:
            raise ReleaseError(f"{path}: {name} must be {expected}, not {value!r}: {REMEDY}")
        smallest = 0 if name in may_be_zero else 1
        if isinstance(value, int) and value < smallest:
            raise ReleaseError(f"{path}: {name} must be at least {smallest}, not {value}: {REMEDY}")
    for name, field in fields.items():
        if name not in values and field.default is dataclasses.MISSING:
            raise ReleaseError(f"{path}: {name} is missing: {REMEDY}")
    return values
